package wire_test

import (
	"encoding/json"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

func TestParse(t *testing.T) {
	for raw, want := range map[string]wire.Kind{
		`{"jsonrpc":"2.0","id":1,"method":"ping"}`:             wire.Request,
		`{"jsonrpc":"2.0","id":null,"method":"ping"}`:          wire.Request, // a wrong one, which the checks tell
		`{"jsonrpc":"2.0","method":"notifications/cancelled"}`: wire.Notification,
		`{"jsonrpc":"2.0","id":"x","result":{}}`:               wire.Response,
		`{"jsonrpc":"2.0","id":"x","error":{"code":-1}}`:       wire.Response,
		`{"jsonrpc":"2.0","id":"x","error":"no window"}`:       wire.Response, // likewise
		`{"jsonrpc":"2.0","id":"x","error":{"code":"no"}}`:     wire.Response,
		`{"jsonrpc":"2.0","id":"x"}`:                           wire.Garbage,
		`{"jsonrpc":"2.0","result":{}}`:                        wire.Garbage,
		`[{"jsonrpc":"2.0","id":1,"method":"ping"}]`:           wire.Garbage,
		`{"id":1,"method":"ping"} {}`:                          wire.Garbage,
		``:                                                     wire.Garbage,
	} {
		if _, got, _ := wire.Parse([]byte(raw)); got != want {
			t.Errorf("%s is %d, not %d", raw, got, want)
		}
	}
}

func TestValidID(t *testing.T) {
	for raw, want := range map[string]bool{
		`1`: true, `-3`: true, `"a"`: true, `"1.5"`: true, `1.5`: false, `1e3`: false, `null`: false, `{}`: false, `[1]`: false,
		`true`: false, ``: false,
	} {
		if got := wire.ValidID(json.RawMessage(raw)); got != want {
			t.Errorf("%s: %v", raw, got)
		}
	}
}
