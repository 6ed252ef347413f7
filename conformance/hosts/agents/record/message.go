package record

import (
	"encoding/json"
	"slices"
	"strings"
)

// Members of _meta, in 2026-07-28 and of lazyauth.
const (
	metaPrefix = "io.modelcontextprotocol/"
	metaReason = "io.github.lazyauth/reason"
)

// A message is JSON-RPC, as far as it matters here.
type message struct {
	ID     json.RawMessage
	Method string
	Params params
	Result *result
	Error  *failure
}

type params struct {
	// of a call
	Name           string
	RequestState   string
	InputResponses map[string]struct{ Action string }
	Meta           map[string]json.RawMessage `json:"_meta"`

	// of initialize
	Capabilities capabilities
	ClientInfo   implementation

	// of a cancellation
	RequestID json.RawMessage

	// of an elicitation, and of progress
	elicitation
}

type elicitation struct{ Mode, URL, Message string }

type capabilities struct{ Elicitation *map[string]json.RawMessage }

type implementation struct{ Name, Version string }

type result struct {
	// of initialize
	ProtocolVersion string

	// of an elicitation
	Action string

	// of a call
	Content       []struct{ Text string }
	IsError       bool
	Meta          map[string]json.RawMessage `json:"_meta"`
	ResultType    string
	RequestState  string
	InputRequests map[string]struct {
		Method string
		Params elicitation
	}
}

type failure struct{ Message string }

// meta reads a member of _meta; what is not there or has another type is left
// as it is.
func meta(members map[string]json.RawMessage, name string, into any) {
	if raw, ok := members[name]; ok {
		_ = json.Unmarshal(raw, into) // what an agent says wrong is hostcheck's concern
	}
}

// modes are the modes of elicitation that are declared, for people to read.
func (c capabilities) modes() string {
	if c.Elicitation == nil {
		return "nothing"
	}
	var modes []string
	for mode := range *c.Elicitation {
		modes = append(modes, mode)
	}
	if len(modes) == 0 {
		return "`{}`, which is form"
	}
	slices.Sort(modes)
	slices.Reverse(modes) // url before form
	return strings.Join(modes, ", ")
}

// text is what a model reads of a result.
func (r *result) text() string {
	var all []string
	for _, c := range r.Content {
		all = append(all, c.Text)
	}
	return strings.Join(all, "\n")
}
