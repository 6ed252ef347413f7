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

// A Channel is a way to reach the person behind a request.
type Channel int

const (
	// Text is the error text of the tool call itself, for hosts that declare
	// nothing better: the model reads it and passes it on.
	Text Channel = iota
	// ServerRequest is an elicitation/create request from the server to the
	// host while the call waits (up to MCP 2025-11-25).
	ServerRequest
	// RoundTrip is an InputRequiredResult which the host answers by sending
	// the call again (from MCP 2026-07-28).
	RoundTrip
)

// String names the channel for logs.
func (c Channel) String() string {
	switch c {
	case ServerRequest:
		return "elicitation"
	case RoundTrip:
		return "input_required"
	default:
		return "text"
	}
}

// ChannelFor returns the channel for a URL-mode prompt that req's host can
// take, judged by what this very request declares. An undeclared mode is never
// used: a bare "elicitation": {} means form mode only (MCP 2025-11-25
// client/elicitation, "Capabilities").
//
// A request of one era inside a session that was opened in the other gets
// Text: neither a server request nor an InputRequiredResult is sure to be
// understood there.
func ChannelFor(req *mcp.CallToolRequest) Channel {
	caps := req.ClientCapabilities()
	if caps == nil || caps.Elicitation == nil || caps.Elicitation.URL == nil || req.Session == nil {
		return Text
	}
	opened := req.Session.InitializeParams()
	sessionIsModern := opened != nil && opened.ProtocolVersion >= FirstModern
	switch modern := Modern(req.Params.Meta); {
	case modern != sessionIsModern:
		return Text
	case modern:
		return RoundTrip
	default:
		return ServerRequest
	}
}
