package demo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNoColourInAFile(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if NewScreen(file).terminal {
		t.Error("a file counts as a terminal")
	}
}

func TestWrapBreaksBetweenWords(t *testing.T) {
	got := strings.Join(wrap("one two three  four incomprehensibilities", 9), "|")
	if want := "one two|three|four|incomprehensibilities"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
