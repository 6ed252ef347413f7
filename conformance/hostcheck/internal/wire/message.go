package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
)

// A Message is a JSON-RPC message of a host, as far as the suite looks at it.
type Message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *Error          `json:"error"`
}

// An Error is the error of a JSON-RPC response.
type Error struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// Kind says what a message is.
type Kind int

// The kinds.
const (
	Garbage Kind = iota // no JSON-RPC message
	Request
	Notification
	Response
)

// String is the kind in a word.
func (k Kind) String() string {
	return [...]string{"no message", "the request", "the notification", "the response"}[k]
}

var errNotMessage = errors.New("not a JSON-RPC message")

// Parse reads one JSON-RPC message.
func Parse(raw []byte) (Message, Kind, error) {
	var m Message
	if trimmed := bytes.TrimSpace(raw); len(trimmed) == 0 || trimmed[0] != '{' {
		return m, Garbage, errNotMessage
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		var mismatch *json.UnmarshalTypeError
		if !errors.As(err, &mismatch) || mismatch.Field != "error" && !strings.HasPrefix(mismatch.Field, "error.") {
			return m, Garbage, err
		}
		m.Error = new(Error) // a response with an error of another shape, which the checks tell
	}
	hasID := len(m.ID) > 0 && string(m.ID) != "null"
	switch {
	case m.Method != "" && len(m.ID) > 0:
		return m, Request, nil
	case m.Method != "":
		return m, Notification, nil
	case hasID && (m.Result != nil || m.Error != nil):
		return m, Response, nil
	}
	return m, Garbage, errNotMessage
}

// ValidID says whether raw is what a request may have for an id: a string or
// an integer.
func ValidID(raw json.RawMessage) bool {
	return len(raw) > 0 && (raw[0] == '"' || !bytes.ContainsAny(raw, ".eE{[tfn"))
}

// The keys of _meta in the newer era.
const (
	MetaVersion      = "io.modelcontextprotocol/protocolVersion"
	MetaClient       = "io.modelcontextprotocol/clientInfo"
	MetaCapabilities = "io.modelcontextprotocol/clientCapabilities"
	MetaServer       = "io.modelcontextprotocol/serverInfo"
	MetaSubscription = "io.modelcontextprotocol/subscriptionId"
)

// CallParams are the parameters of tools/call and of the other requests that can
// take several rounds, and the _meta of any request.
type CallParams struct {
	Name           string                     `json:"name"`
	URI            string                     `json:"uri"`
	Arguments      json.RawMessage            `json:"arguments"`
	InputResponses map[string]json.RawMessage `json:"inputResponses"`
	RequestState   *string                    `json:"requestState"`
	Meta           map[string]json.RawMessage `json:"_meta"`
}

// ParseParams reads parameters. What does not parse is empty.
func ParseParams(raw json.RawMessage) CallParams {
	var p CallParams
	if len(raw) > 0 {
		_ = json.Unmarshal(raw, &p)
	}
	return p
}

// StateGiven says whether the parameters have a state at all, null included.
func StateGiven(raw json.RawMessage) bool {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(raw, &members)
	_, ok := members["requestState"]
	return ok
}

// String returns a member of _meta that is a string.
func (p CallParams) String(key string) string {
	var s string
	_ = json.Unmarshal(p.Meta[key], &s)
	return s
}

// Label returns the argument by which the scenarios tell their calls apart; for a
// resource it is in the query of its URI.
func (p CallParams) Label() string {
	var args struct {
		Call string `json:"call"`
	}
	_ = json.Unmarshal(p.Arguments, &args)
	if u, err := url.Parse(p.URI); err == nil && p.URI != "" {
		return u.Query().Get("call")
	}
	return args.Call
}

// Modes are the modes of elicitation that a host declared.
type Modes struct{ Declared, Form, URL, Empty bool }

// ElicitationModes reads a client's capabilities.
func ElicitationModes(capabilities json.RawMessage) Modes {
	var c struct {
		Elicitation map[string]json.RawMessage `json:"elicitation"`
	}
	if json.Unmarshal(capabilities, &c) != nil || c.Elicitation == nil {
		return Modes{}
	}
	_, form := c.Elicitation["form"]
	_, url := c.Elicitation["url"]
	empty := len(c.Elicitation) == 0
	return Modes{Declared: true, Form: form || empty, URL: url, Empty: empty}
}

// SameJSON compares two JSON texts by value.
func SameJSON(a, b json.RawMessage) bool {
	var x, y any
	if len(a) == 0 || len(b) == 0 || bytes.Equal(a, b) {
		return bytes.Equal(a, b)
	}
	if decode(a, &x) != nil || decode(b, &y) != nil {
		return false
	}
	ax, err1 := json.Marshal(x)
	by, err2 := json.Marshal(y)
	return err1 == nil && err2 == nil && bytes.Equal(ax, by)
}

// decode is json.Unmarshal that keeps numbers as they are written.
func decode(raw []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return d.Decode(v)
}

// Encode is json.Marshal without escapes for HTML. What the suite sends is its
// own, so that encoding cannot fail.
func Encode(v any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("hostcheck: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Excerpt shortens text for people, and makes what cannot be printed visible.
func Excerpt(raw []byte, limit int) string {
	s := strings.ToValidUTF8(string(raw[:min(len(raw), limit)]), "�")
	s = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' {
			return '·'
		}
		return r
	}, s)
	if len(raw) > limit {
		s += "…"
	}
	return s
}
