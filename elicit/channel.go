package elicit

import "github.com/modelcontextprotocol/go-sdk/mcp"

// FirstModern is the first protocol revision without sessions and without
// requests from the server: what the host must ask of its user it is told in
// an InputRequiredResult (MCP 2026-07-28 basic/patterns/mrtr).
const FirstModern = "2026-07-28"

// Modern reports whether a request with this _meta speaks revision 2026-07-28
// or later. Only such requests name their protocol version in _meta; what the
// session negotiated earlier says nothing about them.
//
// It is on the path of every tool call and allocates nothing.
func Modern(meta map[string]any) bool {
	version, ok := meta[mcp.MetaKeyProtocolVersion].(string)
	return ok && version >= FirstModern
}

// A Channel is a way to bring a prompt to the person behind a request.
type Channel uint8

// The channels, the worst first.
const (
	// Text is the error text of the tool call itself, for hosts that declare
	// nothing better: the model reads it and passes it on.
	Text Channel = iota
	// Progress is the message of the request's progress notifications, which
	// some hosts show to their person and not to the model.
	Progress
	// Form is an elicitation in form mode, without fields and without a link:
	// the person types the address.
	Form
	// URL is an elicitation in URL mode.
	URL
)

// String names the channel for logs.
func (c Channel) String() string {
	switch c {
	case URL:
		return "url"
	case Form:
		return "form"
	case Progress:
		return "progress"
	default:
		return "text"
	}
}

// Elicits reports whether c is a mode of elicitation.
func (c Channel) Elicits() bool { return c >= Form }

// A Reach is the set of channels that get to the person behind a request. Text
// always does.
type Reach uint8

// With returns r and c.
func (r Reach) With(c Channel) Reach { return r | 1<<c }

// Without returns r without the channels of other.
func (r Reach) Without(other Reach) Reach { return r &^ other }

// Has reports whether c is in r.
func (r Reach) Has(c Channel) bool { return c == Text || r&(1<<c) != 0 }

// Elicits reports whether r has a mode of elicitation.
func (r Reach) Elicits() bool { return r.Best().Elicits() }

// Best returns the best channel of r.
func (r Reach) Best() Channel {
	for c := URL; c > Text; c-- {
		if r.Has(c) {
			return c
		}
	}
	return Text
}

// ReachOf returns the channels that req's host can take, judged by what this
// very request declares. An undeclared mode is never used: a bare
// "elicitation": {} means form mode only (MCP 2025-11-25 client/elicitation,
// "Capabilities"), and without a progress token there is no progress.
//
// A request of one era inside a session that was opened in the other is never
// elicited: neither a server request nor an InputRequiredResult is sure to be
// understood there.
func ReachOf(req *mcp.CallToolRequest) Reach {
	var r Reach
	if req.Session == nil {
		return r
	}
	if req.Params.GetProgressToken() != nil {
		r = r.With(Progress)
	}
	opened := req.Session.InitializeParams()
	caps := req.ClientCapabilities()
	if !Modern(req.Params.Meta) && opened != nil {
		caps = opened.Capabilities // what the server request will be held against
	}
	if caps == nil || caps.Elicitation == nil {
		return r
	}
	sessionIsModern := opened != nil && opened.ProtocolVersion >= FirstModern
	if Modern(req.Params.Meta) != sessionIsModern {
		return r
	}
	if caps.Elicitation.URL != nil {
		r = r.With(URL)
	}
	if caps.Elicitation.Form != nil || caps.Elicitation.URL == nil {
		r = r.With(Form)
	}
	return r
}
