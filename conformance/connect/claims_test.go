package connect_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// The tests that docs/SECURITY.md names are there.
func TestClaims(t *testing.T) {
	root := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(root, "docs", "SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	var source []byte
	for _, pattern := range []string{"*_test.go", filepath.Join(root, "lazyauth", "*_test.go"), filepath.Join(root, "lazyauth", "httpforward", "*_test.go")} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			read, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			source = append(source, read...)
		}
	}
	named := regexp.MustCompile("`(Test[A-Za-z_]+)`").FindAllSubmatch(text, -1)
	for _, name := range named {
		if !bytes.Contains(source, []byte("func "+string(name[1])+"(")) {
			t.Errorf("there is no %s", name[1])
		}
	}
	if len(named) < 20 {
		t.Errorf("%d tests are named", len(named))
	}
}
