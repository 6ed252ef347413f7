package fault_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/fault"
)

func TestError(t *testing.T) {
	mark := errors.New("a mark")
	err := error(&fault.Error{Where: "in Redis at db.example.com", Is: store.ErrNoAnswer, Text: "it does not run: start it", Cause: context.Canceled, Mark: mark})
	want := "store: rows in Redis at db.example.com: " + store.ErrNoAnswer.Error() + ": it does not run: start it: context canceled"
	if err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	for _, is := range []error{store.ErrNoAnswer, context.Canceled, mark} {
		if !errors.Is(err, is) {
			t.Errorf("%v is not wrapped", is)
		}
	}
	bare := &fault.Error{Where: "here", Text: "no"}
	if bare.Error() != "store: rows here: no" || len(bare.Unwrap()) != 0 {
		t.Errorf("got %q, which wraps %v", bare, bare.Unwrap())
	}
}

func TestShown(t *testing.T) {
	for text, want := range map[string]string{
		"no such user":            "no such user",
		"two\r\nlines\x1b[31m":    "two  lines [31m",
		"not\xffUTF-8":            "not UTF-8",
		"\u202eback":              " back",
		strings.Repeat("ä", 160):  strings.Repeat("ä", 160),
		strings.Repeat("ä", 1000): strings.Repeat("ä", 160) + "…",
	} {
		if got := fault.Shown(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}
