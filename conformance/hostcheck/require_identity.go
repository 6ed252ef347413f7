package hostcheck

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// What tells requests apart, and how they are carried.
var identity = []Requirement{
	{
		ID: "B16", Name: "does not reuse ids in flight", Revision: Modern, Level: MustNot, Observed: onWire,
		Text:       "The id of a request, a string or an integer, is not that of another one which has not been answered.",
		Section:    section(Modern, "basic/index#requests"),
		Everywhere: true,
		eras:       modernOnly,
		request: func(j judge, c *call) {
			for _, other := range c.others {
				if wire.SameJSON(other.ID, c.ID) {
					j.fail(fmt.Sprintf("the id %s is that of a request in flight", wire.Excerpt(c.ID, 40)), other.Event, c.Event)
					return
				}
			}
			if !wire.ValidID(c.ID) {
				j.fail(fmt.Sprintf("the id %s is neither a string nor an integer", wire.Excerpt(c.ID, 40)), c.Event)
				return
			}
			j.pass(c.Event)
		},
	},
	{
		ID: "A29", Name: "uses unique progress tokens", Revision: Legacy, Level: Must, Observed: onWire,
		Text:       "A progress token is a string or an integer, and no two active requests have the same.",
		Section:    section(Legacy, "basic/utilities/progress#progress-flow"),
		Everywhere: true,
		eras:       legacyOnly,
		request:    uniqueToken,
		end:        noTokens,
	},
	{
		ID: "B29", Name: "uses unique progress tokens", Revision: Modern, Level: Must, Observed: onWire,
		Text:       "A progress token is a string or an integer, and no two active requests have the same.",
		Section:    section(Modern, "basic/patterns/progress#progress-flow"),
		Everywhere: true,
		eras:       modernOnly,
		request:    uniqueToken,
		end:        noTokens,
	},
	{
		ID: "A30", Name: "posts one message at a time", Revision: Legacy, Level: Must, Observed: onWire,
		Text: "Every message to the server, answers included, is a POST of its own that accepts application/json and " +
			"text/event-stream.",
		Section:    section(Legacy, "basic/transports#sending-messages-to-the-server"),
		Everywhere: true,
		eras:       legacyOnly, transport: HTTP,
		post: onePost,
	},
	{
		ID: "B23", Name: "posts one message at a time", Revision: Modern, Level: Must, Observed: onWire,
		Text:       "Every message is a POST of its own that accepts application/json and text/event-stream.",
		Section:    section(Modern, "basic/transports/streamable-http#sending-messages"),
		Everywhere: true,
		eras:       modernOnly, transport: HTTP,
		post: onePost,
	},
	{
		ID: "B20", Name: "sends no responses", Revision: Modern, Level: MustNot, Observed: onWire,
		Text:       "The host writes requests and notifications only, even to a server that wrongly sends it a request.",
		Section:    section(Modern, "basic/transports/stdio#sending-messages"),
		overHTTP:   section(Modern, "basic/transports/streamable-http#sending-messages"),
		Everywhere: true,
		eras:       modernOnly,
		response: func(j judge, l *wire.Line) {
			j.fail("the host sent a JSON-RPC response; in this protocol it answers by retrying its request", l.Event)
		},
		end: func(j judge, s *session) {
			if next, ok := s.goesOn(); ok && len(s.labelled("backwards")) > 0 {
				j.pass(next.now().Event)
			}
		},
	},
}

// uniqueToken is about progress tokens, a rule that both revisions have.
func uniqueToken(j judge, c *call) {
	token, ok := c.Meta["progressToken"]
	if !ok || c.echoes() {
		return
	}
	if !wire.ValidID(token) {
		j.fail(fmt.Sprintf("the progress token %s is neither a string nor an integer", wire.Excerpt(token, 40)), c.Event)
		return
	}
	for _, other := range c.others {
		if theirs, ok := other.Meta["progressToken"]; ok && wire.SameJSON(token, theirs) {
			j.fail(fmt.Sprintf("the progress token %s is that of a request in flight", wire.Excerpt(token, 40)), other.Event, c.Event)
			return
		}
	}
	j.pass(c.Event)
}

// noTokens is for hosts that send no progress tokens: they are optional.
func noTokens(j judge, s *session) {
	for _, c := range s.requests {
		if _, ok := c.Meta["progressToken"]; ok {
			return
		}
	}
	if len(s.flows) > 0 {
		j.note("the host sends no progress tokens")
	}
}

// onePost is about HTTP requests as such, a rule that both revisions have.
func onePost(j judge, l *wire.Line) {
	accepts := strings.ToLower(strings.Join(l.Header.Values("Accept"), ","))
	switch {
	case bytes.HasPrefix(bytes.TrimSpace(l.Raw), []byte("[")):
		j.fail("a POST carries a batch; each message is one of its own", l.Event)
	case l.Kind == wire.Garbage:
		j.fail("a POST carries no JSON-RPC message", l.Event)
	case !strings.Contains(accepts, "application/json") || !strings.Contains(accepts, "text/event-stream"):
		j.fail(fmt.Sprintf("a POST accepts %q; both application/json and text/event-stream must be listed",
			wire.Excerpt([]byte(accepts), 80)), l.Event)
	default:
		j.pass(l.Event)
	}
}
