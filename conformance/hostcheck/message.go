package hostcheck

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

// A message is a JSON-RPC message of a host, as far as the suite looks at it.
type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *rpcError       `json:"error"`
}

// An rpcError is the error of a JSON-RPC response.
type rpcError struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// kind says what a message is.
type kind int

const (
	garbage kind = iota // no JSON-RPC message
	request
	notification
	response
)

var errNotMessage = errors.New("not a JSON-RPC message")

// parseMessage reads one JSON-RPC message.
func parseMessage(raw []byte) (message, kind, error) {
	var m message
	if trimmed := bytes.TrimSpace(raw); len(trimmed) == 0 || trimmed[0] != '{' {
		return m, garbage, errNotMessage
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return m, garbage, err
	}
	hasID := len(m.ID) > 0 && string(m.ID) != "null"
	switch {
	case m.Method != "" && len(m.ID) > 0:
		return m, request, nil
	case m.Method != "":
		return m, notification, nil
	case hasID && (m.Result != nil || m.Error != nil):
		return m, response, nil
	}
	return m, garbage, errNotMessage
}

// validID says whether raw is what a request may have for an id: a string or
// an integer.
func validID(raw json.RawMessage) bool {
	return len(raw) > 0 && (raw[0] == '"' || !bytes.ContainsAny(raw, ".eE{[tfn"))
}

// The keys of _meta in the newer era.
const (
	metaVersion      = "io.modelcontextprotocol/protocolVersion"
	metaClient       = "io.modelcontextprotocol/clientInfo"
	metaCapabilities = "io.modelcontextprotocol/clientCapabilities"
	metaServer       = "io.modelcontextprotocol/serverInfo"
	metaSubscription = "io.modelcontextprotocol/subscriptionId"
)

// callParams are the parameters of tools/call, and the _meta of any request.
type callParams struct {
	Name           string                     `json:"name"`
	Arguments      json.RawMessage            `json:"arguments"`
	InputResponses map[string]json.RawMessage `json:"inputResponses"`
	RequestState   *string                    `json:"requestState"`
	Meta           map[string]json.RawMessage `json:"_meta"`
}

func parseParams(raw json.RawMessage) callParams {
	var p callParams
	if len(raw) > 0 {
		// What does not parse is empty; the checks on parameters say so.
		_ = json.Unmarshal(raw, &p)
	}
	return p
}

// stateGiven says whether the parameters have a state at all, null included.
func stateGiven(raw json.RawMessage) bool {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(raw, &members)
	_, ok := members["requestState"]
	return ok
}

// text returns a member of _meta that is a string.
func (p callParams) text(key string) string {
	var s string
	_ = json.Unmarshal(p.Meta[key], &s)
	return s
}

// label returns the argument by which the scenarios tell their calls apart.
func (p callParams) label() string {
	var args struct {
		Call string `json:"call"`
	}
	_ = json.Unmarshal(p.Arguments, &args)
	return args.Call
}

// modes are the modes of elicitation that a host declared.
type modes struct{ declared, form, url, empty bool }

// elicitationModes reads a client's capabilities.
func elicitationModes(capabilities json.RawMessage) modes {
	var c struct {
		Elicitation map[string]json.RawMessage `json:"elicitation"`
	}
	if json.Unmarshal(capabilities, &c) != nil || c.Elicitation == nil {
		return modes{}
	}
	_, form := c.Elicitation["form"]
	_, url := c.Elicitation["url"]
	empty := len(c.Elicitation) == 0
	return modes{declared: true, form: form || empty, url: url, empty: empty}
}

// sameJSON compares two JSON texts by value.
func sameJSON(a, b json.RawMessage) bool {
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

// encode is json.Marshal without escapes for HTML. What the suite sends is its
// own, so that encoding cannot fail.
func encode(v any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("hostcheck: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// excerpt shortens text for people, and makes what cannot be printed visible.
func excerpt(raw []byte, limit int) string {
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
