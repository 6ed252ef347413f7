package lazyauth_test

import (
	"os"
	"strings"
	"testing"
)

// The README shows the Example, not something like it.
func TestReadme_ShowsTheExample(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(readme), "```go\n")
	shown, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("the README has no Go block")
	}
	// The README says main where the Example says Example.
	shown = strings.Replace(shown, "func main() {", "func Example() {", 1)
	for part := range strings.SplitSeq(shown, "\n\n") {
		if part = strings.TrimSpace(part); !strings.Contains(string(source), part) {
			t.Errorf("the README shows code that is not in example_test.go:\n%s", part)
		}
	}
}
