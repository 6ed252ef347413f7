package store_test

import (
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// The kinds are in the order of what is lost, so that the worst of several servers is the greatest, and each
// says something of its own.
func TestLosses_String(t *testing.T) {
	seen := make(map[string]bool)
	for l := store.LosesUnknown; l <= store.LosesAny+1; l++ {
		if text := l.String(); text == "" || seen[text] {
			t.Errorf("%d says %q", int(l), text)
		} else {
			seen[text] = true
		}
	}
}
