package hostcheck

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// Sessions of the older era over HTTP: their headers, their ends, their streams.
var sessional = []Requirement{
	{
		ID: "A39", Name: "names the protocol version over HTTP", Revision: Legacy, Level: Must, Observed: onWire,
		Text:       "Every request after the initialization has MCP-Protocol-Version, with the revision that was agreed on.",
		Section:    section(Legacy, "basic/transports#protocol-version-header"),
		Everywhere: true,
		eras:       legacyOnly, transport: HTTP,
		line: func(j judge, s *session, l *wire.Line) {
			if s.begins(l) {
				return
			}
			s.namesVersion(j, l.Header, l.Event)
		},
		bare: func(j judge, s *session, b *wire.Bare) { s.namesVersion(j, b.Header, b.Event) },
	},
	{
		ID: "A40", Name: "stays in its session", Revision: Legacy, Level: Must, Observed: onWire,
		Text: "Every request after the initialization has the MCP-Session-Id that the server gave: answers, notifications, and " +
			"requests without a message, too.",
		Section:    section(Legacy, "basic/transports#session-management"),
		Everywhere: true,
		eras:       legacyOnly, transport: HTTP,
		line: func(j judge, s *session, l *wire.Line) {
			if s.begins(l) {
				return
			}
			s.namesSession(j, l.Header, l.Event)
		},
		bare: func(j judge, s *session, b *wire.Bare) {
			if s.scenario.hopeless && b.Method == http.MethodGet && b.Header.Get("Mcp-Session-Id") == "" {
				return // the host leaves, or begins anew as for a server of 2024-11-05
			}
			s.namesSession(j, b.Header, b.Event)
		},
	},
	{
		ID: "A46", Name: "begins a new session after 404", Revision: Legacy, Level: Must, Observed: onWire,
		Text: "When a request with a session is answered with 404, the host begins a new one: it initializes again, without a " +
			"session.",
		Section: section(Legacy, "basic/transports#session-management"),
		eras:    legacyOnly, transport: HTTP,
		end: func(j judge, s *session) {
			var refused, again *wire.Line
			for _, l := range s.Lines() {
				switch {
				case l.Method == "initialize" && len(s.lost) > 0 && l.Event > s.lostAt:
					again = l // also where a message that was refused was on its way, and comes only now
				case refused == nil && slices.Contains(s.lost, l.Header.Get("Mcp-Session-Id")) && s.InNoSession(l):
					refused = l
				}
			}
			next, on := s.goesOn()
			switch {
			case refused == nil && on && len(s.lost) > 0:
				j.note("the host sends nothing more in the session that had ended", next.now().Event)
			case refused == nil:
			case again == nil:
				j.fail("the server answered 404, as the session had ended, and the host did not initialize again", refused.Event)
			default:
				id := again.Header.Get("Mcp-Session-Id")
				j.that(id == "", "the host initializes again with the session that had ended", refused.Event, again.Event)
			}
		},
	},
	{
		ID: "A47", Name: "ends its session", Revision: Legacy, Level: Should, Observed: onWire,
		Text:    "A session that is no longer needed, as when the host ends, is ended with DELETE.",
		Section: section(Legacy, "basic/transports#session-management"),
		eras:    legacyOnly, transport: HTTP,
		bare: func(j judge, _ *session, b *wire.Bare) {
			if b.Method == http.MethodDelete {
				j.pass(b.Event)
			}
		},
		end: func(j judge, s *session) {
			for _, p := range s.peers {
				_, initialize := p.Initialized()
				switch {
				case slices.Contains(s.deleted, p.ID):
				case s.endedAt == 0 || !s.orderly || len(s.flows) == 0 || s.flows[len(s.flows)-1].gone():
					j.note("the host did not come to an orderly end, so that it is not seen what it does then", initialize.Event)
				default:
					j.fail("the host ended, and did not end its session with DELETE", initialize.Event)
				}
			}
		},
	},
	{
		ID: "A48", Name: "says that it reads streams", Revision: Legacy, Level: Must, Observed: onWire,
		Text:       "A GET, which asks for a stream, accepts text/event-stream.",
		Section:    section(Legacy, "basic/transports#listening-for-messages-from-the-server"),
		Everywhere: true,
		eras:       legacyOnly, transport: HTTP,
		bare: func(j judge, _ *session, b *wire.Bare) {
			if b.Method == http.MethodGet {
				accepts := strings.ToLower(strings.Join(b.Header.Values("Accept"), ","))
				j.that(strings.Contains(accepts, "text/event-stream"),
					fmt.Sprintf("a GET accepts %q; text/event-stream must be listed", wire.Excerpt([]byte(accepts), 80)), b.Event)
			}
		},
	},
	{
		ID: "A49", Name: "answers what comes by its stream", Revision: Legacy, Level: Must, Observed: onWire,
		Text: "A host that opened a stream with GET answers the requests that come there, such as a ping, by a POST. It need not " +
			"open one.",
		Section: section(Legacy, "basic/transports#listening-for-messages-from-the-server"),
		eras:    legacyOnly, transport: HTTP,
		played: func(j judge, o occasion) {
			switch {
			case o.ok:
				j.note("the host opens no stream, which is optional", o.at())
			case o.answer.line == nil:
				j.fail(fmt.Sprintf("a ping that came by the stream of a GET was not answered within %v", promptly), o.at())
			default:
				j.that(o.answer.err == nil, "a ping that came by the stream of a GET was answered with "+o.answer.said(), o.answer.line.Event)
			}
		},
	},
}

// namesVersion judges the header for the protocol version of a request.
func (s *session) namesVersion(j judge, header http.Header, event int) {
	agreed, _ := s.begun()
	if len(agreed) == 0 {
		return
	}
	switch got := header.Get("Mcp-Protocol-Version"); {
	case slices.Contains(agreed, got) || agreed[len(agreed)-1] < headerSince:
		j.pass(event)
	case got == "":
		j.fail("MCP-Protocol-Version is missing", event)
	case slices.Contains(olderRevisions, got): // "SHOULD be the one negotiated"
		j.note(fmt.Sprintf("MCP-Protocol-Version is %s, and %s was agreed on", got, strings.Join(agreed, " or ")), event)
	default:
		j.fail(fmt.Sprintf("MCP-Protocol-Version is %q, and %s was agreed on", wire.Excerpt([]byte(got), 40),
			strings.Join(agreed, " or ")), event)
	}
}

// namesSession judges the header for the session of a request.
func (s *session) namesSession(j judge, header http.Header, event int) {
	agreed, sessions := s.begun()
	if len(agreed) == 0 {
		return
	}
	id := header.Get("Mcp-Session-Id")
	what := "MCP-Session-Id is missing"
	if id != "" {
		what = fmt.Sprintf("MCP-Session-Id is %q, which the server never gave", wire.Excerpt([]byte(id), 40))
	}
	j.that(slices.Contains(sessions, id), what, event)
}

// headerSince is the revision that has the header for the protocol version first.
const headerSince = "2025-06-18"

// begins says whether a message belongs to no session: it is the initialization, or
// the question for the newer era, or came by no HTTP.
func (s *session) begins(l *wire.Line) bool {
	return l.Header == nil || l.Method == "initialize" || l.Method == "server/discover" ||
		wire.ParseParams(l.Params).String(wire.MetaVersion) != ""
}

// begun is what was agreed on before, and the sessions that were given: versions of
// the protocol and ids. There is nothing before an initialization. It takes guard.
func (s *session) begun() (versions, sessions []string) {
	s.guard.Lock()
	defer s.guard.Unlock()
	for _, p := range s.peers {
		sessions = append(sessions, p.ID)
	}
	return slices.Clone(s.agreed), sessions
}
