package asking_test

import (
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func TestHost_Modern(t *testing.T) {
	for version, want := range map[any]bool{
		"2026-07-28": true, "2027-01-01": true, "2025-11-25": false, "": false, nil: false, 20260728: false,
	} {
		if got := asking.Modern(mcp.Meta{mcp.MetaKeyProtocolVersion: version}); got != want {
			t.Errorf("version %v: %t, want %t", version, got, want)
		}
	}
	if asking.Modern(nil) {
		t.Error("a request without _meta is modern")
	}
	if n := testing.AllocsPerRun(100, func() { asking.Modern(nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
