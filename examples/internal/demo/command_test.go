package demo_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/lazyauth/mcp-lazyauth/examples/internal/demo"
)

// Help is read in a terminal of 80 columns.
func TestCommand_HelpIsNarrow(t *testing.T) {
	var out, log strings.Builder
	if code := (demo.Command{Name: "quickstart", Does: "shows."}).Run(t.Context(), []string{"-help"}, &out, &log); code != 0 || log.String() != "" {
		t.Errorf("it ends with %d and %q", code, log.String())
	}
	if !strings.Contains(out.String(), "Exit codes: 0") {
		t.Errorf("it prints %q", out.String())
	}
	for line := range strings.Lines(out.String()) {
		if width := utf8.RuneCountInString(strings.TrimRight(line, "\n")); width > 80 {
			t.Errorf("%d columns: %q", width, line)
		}
	}
}
