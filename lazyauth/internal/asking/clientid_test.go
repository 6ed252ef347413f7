package asking_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func offeredIn(t testing.TB, text string) string {
	t.Helper()
	var params mcp.CallToolParams
	if json.Unmarshal([]byte(text), &params) != nil {
		return ""
	}
	return asking.OfferedClientID(params.Meta)
}

// What a host offers stands in one place of a request of the newer era, and is a text.
func TestOfferedClientID(t *testing.T) {
	const modern, legacy = `"io.modelcontextprotocol/protocolVersion":"2026-07-28",`, `"io.modelcontextprotocol/protocolVersion":"2025-11-25",`
	for capabilities, want := range map[string]string{
		`{"auth":{"cimd":{"clientId":"https://editor.example.test/c"}}}`: "https://editor.example.test/c",
		`{"auth":{"cimd":{"clientId":"anything\u0000"}}}`:                "anything\x00",
		`{"auth":{"cimd":{"clientid":"x"}}}`:                             "",
		`{"auth":{"cimd":{"clientId":["x"]}}}`:                           "",
		`{"auth":{"cimd":"x"}}`:                                          "",
		`{"auth":["x"]}`:                                                 "",
		`{"experimental":{"auth":{"cimd":{"clientId":"x"}}}}`:            "",
		`{}`: "", `null`: "", `7`: "",
	} {
		if got := offeredIn(t, `{"_meta":{`+modern+`"io.modelcontextprotocol/clientCapabilities":`+capabilities+`}}`); got != want {
			t.Errorf("%s: %q, want %q", capabilities, got, want)
		}
		for _, era := range []string{legacy, ""} {
			if got := offeredIn(t, `{"_meta":{`+era+`"io.modelcontextprotocol/clientCapabilities":`+capabilities+`}}`); got != "" {
				t.Errorf("in the era before, %s: %q", capabilities, got)
			}
		}
	}
	if asking.OfferedClientID(nil) != "" {
		t.Error("without _meta")
	}
}

// A sign-in outlives the call that began it, and so does what that called its program: no more of it than is shown.
func TestProgram_IsKeptShort(t *testing.T) {
	for name, want := range map[string]string{
		"": "", "Sample Agent": "Sample Agent", strings.Repeat("W", 1<<20): strings.Repeat("W", 512), strings.Repeat("W", 512): strings.Repeat("W", 512),
	} {
		call := &mcp.CallToolRequest{Params: &mcp.CallToolParamsRaw{Meta: mcp.Meta{
			mcp.MetaKeyProtocolVersion: "2026-07-28", mcp.MetaKeyClientInfo: map[string]any{"name": name, "version": "1"},
		}}}
		if got := asking.ProgramOf(call); got != want {
			t.Errorf("of a name of %d bytes %d are kept, and not %d", len(name), len(got), len(want))
		}
	}
}

func FuzzOfferedClientID(f *testing.F) {
	f.Add(`{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"auth":{"cimd":{"clientId":"x"}}}}}`)
	f.Add(`{"_meta":{"io.modelcontextprotocol/protocolVersion":7,"io.modelcontextprotocol/clientCapabilities":[]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		if id := offeredIn(t, text); len(id) > len(text) {
			t.Errorf("%q is not in %q", id, text) // that it panics is the other thing that it must not
		}
	})
}
