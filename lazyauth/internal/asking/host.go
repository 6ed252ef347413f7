package asking

import (
	"context"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A Client is who can be shown a prompt, as a comparable value: the session where there is
// one, the principal where every request stands alone.
type Client any

// ClientOf returns the client behind a request that is made for who.
func ClientOf(req *mcp.CallToolRequest, who grants.Principal) Client {
	if req.Extra != nil && (req.Session == nil || Modern(req.Params.Meta) || req.Session.ID() == "") {
		return who // stateless HTTP: a session is one request
	}
	return req.Session
}

// A Host is through whom a person can be asked: a call, in one of the forms that the
// eras give it, or a program.
type Host interface {
	// Client says who would be shown the prompt.
	Client() Client
	// Tool names the tool, for the observer.
	Tool() string
	// Request is the one through which the person can be reached for now.
	Request() Request
	// Progress keeps the call's progress; nil if a program asks.
	Progress() *Progress
	// MayBegin returns why no flight may begin for the host. It is called under Owner.mu of
	// package grants, and Person.mu.
	MayBegin() error
	// Show brings the prompt to the person by elicitation in this mode, and returns once
	// it is on its way; an error ends the wait. It is ErrHandedOver if the prompt takes
	// the place of the answer that the caller waits for. Nothing goes out if the slot has
	// ended: see Delivery.Shown.
	Show(ctx context.Context, d *Delivery, slot Slot, mode elicit.Channel) error
}

// A Request is one that a call waits in.
type Request struct {
	Ctx     context.Context      // the request's: it ends with the request; nil if the host has to come back first
	Call    *mcp.CallToolRequest // nil if a program asks
	Arrived time.Duration        // since the epoch
	Again   bool                 // it came for a call that has waited before it
	Silent  bool                 // a program asks nobody, and waits for whom a call asks
	Failed  Reach                // modes that its host declares and does not deliver
	Shown   *ShownElsewhere      // the prompt that another process has answered the call with; nil if none has
}

// left is how much longer the request can wait from now on.
func (p *People) left(r Request) time.Duration {
	if r.Call == nil {
		return time.Hour // the flight ends first
	}
	return p.config.MaxWait(r.Call) - (p.now() - r.Arrived) // in this order: it may be endless
}

// Reach returns the channels to the person behind the request.
func (r Request) Reach() Reach {
	if r.Call == nil {
		return Reach(0).With(elicit.URL) // in effect: the program asks
	}
	return ReachOf(r.Call).Without(r.Failed)
}

// Shows reports whether the request's host declares that it shows prompts like p, so that its
// model gets none.
func Shows(call *mcp.CallToolRequest, p *elicit.Prompt) bool {
	return call == nil || ReachOf(call).of(p).Elicits()
}

// FirstModern is the first protocol revision without sessions and without
// requests from the server: what the host must ask of its user stands in
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

// A Reach is the set of channels that get to the person behind a request. Text
// always does.
type Reach uint8

// With returns r and c.
func (r Reach) With(c elicit.Channel) Reach { return r | 1<<c }

// Without returns r without the channels of other.
func (r Reach) Without(other Reach) Reach { return r &^ other }

// of returns the channels of r that prompts like p can go by. A form has no link, and nobody
// can type one that is an authorization request.
func (r Reach) of(p *elicit.Prompt) Reach {
	if p.UserCode == "" {
		return r.Without(Reach(0).With(elicit.Form))
	}
	return r
}

// Has reports whether c is in r.
func (r Reach) Has(c elicit.Channel) bool { return c == elicit.Text || r&(1<<c) != 0 }

// Elicits reports whether r has a mode of elicitation.
func (r Reach) Elicits() bool { return Elicits(r.Best()) }

// Best returns the best channel of r.
func (r Reach) Best() elicit.Channel {
	for c := elicit.URL; c > elicit.Text; c-- {
		if r.Has(c) {
			return c
		}
	}
	return elicit.Text
}

// Elicits reports whether c is a mode of elicitation.
func Elicits(c elicit.Channel) bool { return c >= elicit.Form }

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
		r = r.With(elicit.Progress)
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
		r = r.With(elicit.URL)
	}
	if caps.Elicitation.Form != nil || caps.Elicitation.URL == nil {
		r = r.With(elicit.Form)
	}
	return r
}
