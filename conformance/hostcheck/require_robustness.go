package hostcheck

import (
	"fmt"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// TaskID is the ID of the requirement that a run decides whatever the host came to.
// What it says of a host that crashed or hung is why other checks were not reached.
const TaskID = "P17"

// Results, streams and servers that are out of order.
var robustness = []Requirement{
	{
		ID: "B40", Name: "fetches no schema by itself", Revision: Modern, Level: MustNot, Observed: atCanary,
		Text:     "A $ref that leads to the network, in the schema of a tool or of a form, is not followed by itself.",
		Section:  section(Modern, "basic/index#ref-resolution"),
		Official: []string{"sep-2106-no-network-ref-deref"},
		eras:     modernOnly,
		end: func(j judge, s *session) {
			list := s.firstRequest("tools/list")
			for path, of := range map[string]string{schemaPath: "a tool", formSchemaPath: "a form"} {
				if at := s.visited(path); at >= 0 {
					j.fail("the host fetched the URL of a $ref in the schema of "+of, at)
				}
			}
			switch {
			case list != nil:
				j.pass(list.Event)
			default:
				j.note("the host does not ask for the list of tools")
			}
		},
	},
	{
		ID: "A54", Name: "fetches no icon from elsewhere", Revision: Legacy, Level: Must, Derived: true, Observed: atCanary,
		Text: "An icon is fetched only if its URI is of HTTPS or has the data in it, and from the origin of the server alone, also " +
			"where it is redirected.",
		Section: section(Legacy, "basic/index#icons"),
		eras:    both,
		end: func(j judge, s *session) {
			at, seen := s.fetchedIcon(), s.firstRequest("tools/list")
			if seen == nil {
				seen = s.firstRequest("initialize")
			}
			switch {
			case at >= 0:
				j.fail("the host fetched an icon of another origin than the server's", at)
			case seen != nil:
				j.pass(seen.Event)
			default:
				j.note("the host does not ask for the list of tools, so that it sees no icon")
			}
		},
	},
	{
		ID: TaskID, Name: "does its task", Revision: profile, Level: Must, Observed: onWire,
		Text:       "The host makes the calls that it is told to make, waits for each, and neither crashes nor hangs on the way.",
		Section:    profileSection("P17"),
		Everywhere: true,
		eras:       both,
		end: func(j judge, s *session) {
			if _, excused := s.reason(); s.ending == "" || excused && len(s.flows) == 0 {
				return
			}
			told, event := s.lastSent()
			refused, _ := s.versionsRefused()
			switch {
			case strings.Contains(s.ending, "signal: "):
			case s.scenario.hopeless && len(s.requests) > 0: // with which status it ends is its own affair
				j.pass(event)
				return
			case s.scenario.silent && len(s.flows) == 0 && len(s.requests) > 0:
				j.note("the host waits for the answer to its first request", event)
				return
			case refused != nil && len(s.flows) == 0 && len(s.peers) == 0: // and it asked for no other
				j.note("the version that the host asks for was refused", event)
				return
			}
			after := ""
			if told != "" {
				after = "; the last that it had been sent is " + told
			}
			never := s.unmade()
			switch {
			case len(s.flows) == 0:
				after += "; no call was made"
			case never != "":
				after += fmt.Sprintf("; call %q was never made", never)
			}
			switch f := s.abandoned(); {
			case !s.orderly:
				j.fail(s.ending+s.trouble()+after, event)
			case len(s.flows) == 0:
				j.fail(s.ending+s.trouble()+after, event)
			case f != nil:
				j.fail(fmt.Sprintf("%s; call %q had not been answered, and was not cancelled", s.ending, f.label), f.now().Event)
			case never != "":
				j.note(s.ending+after, event)
			default:
				j.pass(event)
			}
		},
	},
	{
		ID: "B15", Name: "knows its result types", Revision: Modern, Level: Must, Observed: onWire,
		Text:     "A result of an unknown type is invalid and is not used; one without a type is complete.",
		Section:  section(Modern, "basic/index#resulttype"),
		Official: []string{"sep-2322-default-result-type-complete"},
		eras:     modernOnly,
		played: func(j judge, o occasion) {
			j.fail("a result of an unknown type was taken for a request for input", o.at())
		},
		end: func(j judge, s *session) {
			next, ok := s.goesOn()
			if !ok {
				return
			}
			if s.hasHook(HookOutcome) {
				if o, ok := s.outcome("absent"); ok {
					j.that(!o.Error && strings.Contains(o.Text, absentText), "a result without a type was not taken for complete")
				}
				if o, ok := s.outcome("unknown"); ok {
					j.that(o.Error && !strings.Contains(o.Text, unknownText), "a result of an unknown type was used")
				}
			}
			j.pass(next.now().Event)
		},
	},
	{
		ID: bothForms, Name: "reads JSON and event streams", Revision: Legacy, Level: Must, Observed: onWire,
		Text:    "A request may be answered with a JSON object or with an event stream: the host takes both.",
		Section: section(Legacy, "basic/transports#sending-messages-to-the-server"),
		newer:   section(Modern, "basic/transports/streamable-http#sending-messages"),
		eras:    both, transport: HTTP,
		end: readsBoth,
	},
	{
		ID: "B25", Name: "tolerates comments in a stream", Revision: Modern, Level: Must, Derived: true, Observed: onWire,
		Text:    "Lines of an event stream that begin with a colon are comments, and are ignored: so has it the standard of server-sent events.",
		Section: section(Modern, "basic/transports/streamable-http#receiving-messages"),
		eras:    both, transport: HTTP,
		end: func(j judge, s *session) {
			fs := s.labelled("commented")
			if len(fs) == 0 {
				return
			}
			c := fs[0].now()
			_, on := s.goesOn()
			ok := (on || len(s.labelled("broken"))+len(s.labelled("suspended")) > 0) && c.stopped == 0
			if o, reported := s.outcome("commented"); reported {
				ok = ok && !o.Error && strings.Contains(o.Text, commentedText)
			}
			j.that(ok, "comments in the event stream kept the host from the result", c.Event)
		},
	},
	{
		ID: "B26", Name: "re-issues a lost request under a new id", Revision: Modern, Level: Must, Derived: true, Observed: onWire,
		Text: "A request whose response stream broke can be sent again, as a new request, with a new id; nothing is resumed. The " +
			"changelog alone says that it must be.",
		Section: section(Modern, "changelog#major-changes"),
		eras:    modernOnly, transport: HTTP,
		end: func(j judge, s *session) {
			switch fs := s.labelled("broken"); len(fs) {
			case 0:
			case 1:
				j.note("a request whose stream broke was not sent again: whether that is safe is the host's to say", fs[0].now().Event)
			default:
				first, again := fs[0].now(), fs[1].now()
				j.that(!wire.SameJSON(first.ID, again.ID), "a request whose stream broke was sent again under the same id", first.Event, again.Event)
			}
		},
	},
	{
		ID: "A31", Name: "resumes a broken stream", Revision: Legacy, Level: Should, Observed: onWire,
		Text: "A connection that the server closes before it has answered is not the end of the call: the host reconnects with " +
			"the ID of the last event.",
		Section:  section(Legacy, "basic/transports#resumability-and-redelivery"),
		Official: []string{"client-sse-graceful-reconnect", "client-sse-last-event-id"},
		eras:     legacyOnly, transport: HTTP,
		played: func(j judge, o occasion) {
			j.that(o.ok, "the host did not come back to the stream of a call", o.at())
		},
	},
	{
		ID: "A32", Name: "honours retry", Revision: Legacy, Level: Must, Observed: onWire,
		Text:     "Before it reconnects, the host waits as long as the last retry field told it.",
		Section:  section(Legacy, "basic/transports#sending-messages-to-the-server"),
		Official: []string{"client-sse-retry-timing"},
		eras:     legacyOnly, transport: HTTP,
		played: func(j judge, o occasion) {
			j.that(o.took >= comeBack*95/100, fmt.Sprintf("the host came back after %v, and was told to wait %v",
				o.took.Round(10*time.Millisecond), comeBack), o.at())
		},
	},
	{
		ID: "B45", Name: "listens again", Revision: Modern, Level: Must, Observed: onWire,
		Text: "A host that listens to changes sends subscriptions/listen again to a server that it had to start again, for what " +
			"it listened to before.",
		Section: section(Modern, "basic/patterns/subscriptions#graceful-closure"),
		eras:    modernOnly, transport: Stdio,
		end: func(j judge, s *session) {
			dying := s.labelled("dying")
			if len(dying) == 0 {
				return
			}
			first := dying[0].now()
			var before, again, later *call
			for _, c := range s.requests {
				switch listen := c.Method == "subscriptions/listen"; {
				case listen && c.Conn <= first.Conn:
					before = c
				case listen:
					again = c
				case c.Conn > first.Conn:
					later = c
				}
			}
			switch {
			case before == nil:
				j.note("the host listens to no changes, which is optional", first.Event)
			case later == nil: // it was not started again, which is told as that
			case again == nil:
				j.fail("the host listened to the server that died, and does not to the one that it started in its place", before.Event, later.Event)
			default:
				lost := before.lostAfter(again)
				j.that(len(lost) == 0, fmt.Sprintf("the host listens again, and not to %s any more", strings.Join(lost, ", ")),
					before.Event, again.Event)
			}
		},
	},
	{
		ID: "B46", Name: "keeps the server between calls", Revision: Modern, Level: ShouldNot, Observed: onWire,
		Text:    "A server process does not end with a task: of two calls, one after the other, both go to the same.",
		Section: section(Modern, "basic/index#statelessness"),
		eras:    modernOnly, transport: Stdio,
		end: func(j judge, s *session) {
			first, second := s.labelled("first"), s.labelled("second")
			switch {
			case len(first) == 0:
			case len(second) == 0:
				j.note("the host makes one call alone", first[0].rounds[0].Event)
			default:
				a, b := first[0].now(), second[0].rounds[0]
				j.that(a.Conn == b.Conn, "the host ended the server after a call, and started it anew for the next", a.Event, b.Event)
			}
		},
	},
	{
		ID: "A55", Name: "ends a server by closing its input", Revision: Legacy, Level: Should, Observed: onWire,
		Text:       "To end a server process the host closes its standard input first, and waits for it to exit.",
		Section:    section(Legacy, "basic/lifecycle#shutdown"),
		newer:      section(Modern, "basic/transports/stdio#shutdown"),
		Everywhere: true,
		eras:       both, transport: Stdio,
		end: func(j judge, s *session) {
			for _, e := range s.ended {
				j.that(e.closed, "the host ended the server, and had not closed its standard input", e.event)
			}
		},
	},
	{
		ID: "B22", Name: "restarts a dead server", Revision: Modern, Level: Should, Observed: onWire,
		Text:    "A server process that ended by itself is started again.",
		Section: section(Modern, "basic/transports/stdio#unexpected-termination"),
		eras:    modernOnly, transport: Stdio,
		end: func(j judge, s *session) {
			dying := s.labelled("dying")
			if len(dying) == 0 {
				return
			}
			first, started := dying[0].now(), -1
			for _, l := range s.Lines() {
				if l.Conn > first.Conn {
					started = l.Event
				}
			}
			j.that(started >= 0, "the server was not started again", first.Event)
		},
	},
}
