//go:build unix

package store

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
)

// theirs is a file that belongs to somebody else.
type theirs struct{ fs.FileInfo }

func (f theirs) Sys() any {
	stat := *f.FileInfo.Sys().(*syscall.Stat_t)
	stat.Uid += 12345
	return &stat
}

func TestSomebodyElses(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := private(dir, info, fs.ModeDir); err != nil {
		t.Errorf("mine: %v", err)
	}
	if err := private(dir, theirs{info}, fs.ModeDir); !errors.Is(err, ErrUnsafe) || !strings.Contains(err.Error(), "user with id") {
		t.Errorf("theirs: %v", err)
	}
}
