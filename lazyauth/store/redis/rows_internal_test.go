package redis

import (
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// FuzzIDOf: what comes by a channel, or out of a set, is an id or an error, and an id is written in one way.
func FuzzIDOf(f *testing.F) {
	f.Add("grant:" + strings.Repeat("ab", store.HashSize))
	f.Add("grant:")
	f.Add(":" + strings.Repeat("0", 2*store.HashSize))
	f.Fuzz(func(t *testing.T, name string) {
		id, err := idOf(name)
		if err == nil && nameOf(id) != strings.ToLower(name) && strings.ToLower(id.Kind) == id.Kind {
			t.Errorf("%q becomes %q", name, nameOf(id))
		}
	})
}

// What a server has may be less than the scripts write: other programs, other versions.
func TestTime_Malformed(t *testing.T) {
	for _, text := range []string{"", "x", "1e99", "9223372036854775808", "0x10"} {
		if at, err := at(text); err == nil {
			t.Errorf("%q: %v", text, at)
		}
	}
	for _, text := range []string{"0", strings.Repeat("0", 63), strings.Repeat("z", 64)} {
		if h, err := hashOf(text); err == nil {
			t.Errorf("%q: %v", text, h)
		}
	}
}
