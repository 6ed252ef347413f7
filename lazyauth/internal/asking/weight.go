package asking

import (
	"encoding/json"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// unit is how many bytes more a call has that counts as one more.
const unit = 4 << 10

// WeightOf returns how many of the calls that may wait one counts as: what it keeps in memory while it
// waits is bounded with them. A program's, which has no request, is one.
func WeightOf(call *mcp.CallToolRequest) int {
	if call == nil {
		return 1
	}
	size := len(call.Params.Arguments) + len(call.Params.RequestState) + sizeOf(map[string]any(call.Params.Meta))
	for _, response := range call.Params.InputResponses {
		size += sizeOfResponse(response)
	}
	return 1 + size/unit
}

// sizeOf returns about how many bytes a value takes that was decoded from JSON. The decoder bounds how
// deep it is.
func sizeOf(value any) int {
	const word = 8
	switch v := value.(type) {
	case string:
		return 2*word + len(v)
	case map[string]any:
		size := 6 * word
		for name, one := range v {
			size += 6*word + len(name) + sizeOf(one)
		}
		return size
	case []any:
		size := 3 * word
		for _, one := range v {
			size += 2*word + sizeOf(one)
		}
		return size
	}
	return word
}

// sizeOfResponse is sizeOf for what a host answered to a request of ours.
func sizeOfResponse(response mcp.InputResponse) int {
	if r, ok := response.(*mcp.ElicitResult); ok {
		return sizeOf(r.Content) + sizeOf(map[string]any(r.Meta))
	}
	text, err := json.Marshal(response)
	if err != nil {
		return unit
	}
	return len(text)
}
