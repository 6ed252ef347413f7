package asking_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A call counts by what it keeps in memory, whatever part of it that is in.
func TestWeightOf(t *testing.T) {
	long := strings.Repeat("x", 64<<10)
	small, large := json.RawMessage(`{}`), json.RawMessage(`"`+long+`"`)
	for name, c := range map[string]struct {
		params      mcp.CallToolParamsRaw
		least, most int
	}{
		"a usual one":     {mcp.CallToolParamsRaw{Arguments: small, Meta: mcp.Meta{"progressToken": "1"}}, 1, 1},
		"large arguments": {mcp.CallToolParamsRaw{Arguments: large}, 17, 17},
		"a long _meta":    {mcp.CallToolParamsRaw{Meta: mcp.Meta{"a": []any{long, 1.0}}}, 17, 18},
		"many in _meta":   {mcp.CallToolParamsRaw{Meta: mcp.Meta{"a": many(t, 16<<10)}}, 100, 800},
		"a long state":    {mcp.CallToolParamsRaw{RequestState: long}, 17, 17},
		"a long answer":   {mcp.CallToolParamsRaw{InputResponses: mcp.InputResponseMap{"a": &mcp.ElicitResult{Action: "accept", Content: map[string]any{"b": long}}}}, 17, 18},
		//nolint:staticcheck // deprecated, and hosts may send it
		"a model's": {mcp.CallToolParamsRaw{InputResponses: mcp.InputResponseMap{"a": &mcp.CreateMessageResult{
			Role: "assistant", Model: "m", Content: &mcp.TextContent{Text: long},
		}}}, 17, 18},
		//nolint:staticcheck // deprecated, and hosts may send it
		"roots": {mcp.CallToolParamsRaw{InputResponses: mcp.InputResponseMap{"a": &mcp.ListRootsResult{Roots: []*mcp.Root{{URI: "file:///" + long}}}}}, 17, 18},
	} {
		if got := asking.WeightOf(&mcp.CallToolRequest{Params: &c.params}); got < c.least || got > c.most {
			t.Errorf("%s: %d, want %d to %d", name, got, c.least, c.most)
		}
	}
	if got := asking.WeightOf(nil); got != 1 {
		t.Errorf("a program's: %d", got)
	}
}

// many is a list of so many empty objects, as it is decoded.
func many(t *testing.T, n int) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte("["+strings.Repeat("{},", n)+"{}]"), &v); err != nil {
		t.Fatal(err)
	}
	return v
}
