package hostcheck

import (
	"fmt"
	"slices"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// How a host finds out what the server speaks, and how it begins.
var beginning = []Requirement{
	{
		ID: "B21", Name: "finds out the era of a server", Revision: Modern, Level: MustNot, Observed: onWire,
		Text: "A host for both eras asks with server/discover first, and falls back to initialize on any error that is not one " +
			"of the newer era: not on one code alone.",
		Section: section(Modern, "basic/transports/stdio#backward-compatibility"),
		eras:    both, transport: Stdio,
		// A host that speaks the newer protocol alone does not fall back, and is right.
		elsewhere: "the host did not fall back to initialize after server/discover was refused, as it does after another error",
		end: func(j judge, s *session) {
			first := func(method string) *wire.Line {
				for _, l := range s.Lines() {
					if l.Method == method {
						return l
					}
				}
				return nil
			}
			probe, initialize, called := first("server/discover"), first("initialize"), first("tools/call")
			switch {
			case s.protocol == Legacy && probe != nil && initialize != nil:
				j.pass(probe.Event, initialize.Event)
			case s.protocol == Legacy && initialize != nil:
				j.note("the host does not ask first: it speaks the older protocol alone, or was told to", initialize.Event)
			case probe != nil && called != nil:
				j.pass(probe.Event, called.Event)
			case called != nil:
				j.note("the host does not ask first: it speaks the newer protocol alone, or was told to", called.Event)
			}
		},
	},
	{
		ID: "B38", Name: "asks before anything else", Revision: Modern, Level: Should, Observed: onWire,
		Text:    "A host for both eras asks with server/discover before it sends any other request.",
		Section: section(Modern, "basic/transports/stdio#backward-compatibility"),
		eras:    both, transport: Stdio,
		end: func(j judge, s *session) {
			probe, first := s.firstRequest("server/discover"), s.firstRequest("")
			switch {
			case first == nil:
			case probe == nil:
				j.note("the host does not ask first: it speaks one protocol, or was told which", first.Event)
			default:
				j.that(probe == first, "the host asks with server/discover after "+first.Method, first.Event, probe.Event)
			}
		},
	},
	{
		ID: "B39", Name: "stays in the newer era", Revision: Modern, Level: MustNot, Derived: true, Observed: onWire,
		Text: "An error of the newer era, such as -32022, says that the server is of that era: the host takes one of the versions " +
			"that it names, or gives up, and does not fall back to initialize.",
		Section:  section(Modern, "basic/transports/stdio#backward-compatibility"),
		overHTTP: section(Modern, "basic/transports/streamable-http#backward-compatibility"),
		eras:     modernOnly,
		end: func(j judge, s *session) {
			switch first, initialize := s.firstRequest(""), s.firstRequest("initialize"); {
			case first == nil || first == initialize:
			case initialize != nil:
				j.fail("the host falls back to initialize after error -32022", first.Event, initialize.Event)
			default:
				j.pass(first.Event)
			}
		},
	},
	{
		ID: "B48", Name: "takes a version in common, or says that there is none", Revision: Modern, Level: Should, Observed: onWire,
		Text: "After error -32022 the host goes on with a version that the error names and that it knows; if it knows none, it says " +
			"so.",
		Section:    section(Modern, "basic/versioning#protocol-version-negotiation"),
		Everywhere: true,
		eras:       modernOnly,
		end: func(j judge, s *session) {
			refused, again := s.versionsRefused()
			switch {
			case refused == nil:
			case s.scenario.hopeless:
				s.saysThatItFails(j, refused)
			case again != nil:
				j.fail(fmt.Sprintf("the host goes on with the version %q, which was refused", wire.Excerpt([]byte(again.String(wire.MetaVersion)), 40)),
					refused.Event, again.Event)
			default:
				j.pass(refused.Event)
			}
		},
	},
	{
		ID: "B47", Name: "takes silence for the older era", Revision: Modern, Level: Should, Derived: true, Observed: onWire,
		Text:    "A host that asks with server/discover, and gets no answer within a reasonable time, initializes.",
		Section: section(Modern, "basic/transports/stdio#backward-compatibility"),
		eras:    both, transport: Stdio,
		// As with B21, a host that speaks the newer protocol alone is right.
		elsewhere: fmt.Sprintf("server/discover was not answered, and the host did not initialize within %v", silence),
		end: func(j judge, s *session) {
			switch probe, initialize := s.firstRequest("server/discover"), s.firstRequest("initialize"); {
			case probe == nil && initialize != nil:
				j.note("the host does not ask first: it speaks the older protocol alone, or was told to", initialize.Event)
			case probe != nil && initialize != nil:
				j.pass(probe.Event, initialize.Event)
			}
		},
	},
	{
		ID: "A57", Name: "waits for the answer to initialize", Revision: Legacy, Level: ShouldNot, Observed: onWire,
		Text:    "Before initialize is answered the host sends no request but pings.",
		Section: section(Legacy, "basic/lifecycle#initialization"),
		eras:    legacyOnly,
		end: func(j judge, s *session) {
			for _, c := range s.requests {
				if c.Method != "initialize" || c.answered == 0 {
					continue
				}
				i := slices.IndexFunc(s.requests, func(other *call) bool {
					return other != c && other.Conn == c.Conn && other.Method != "ping" && other.At > c.At && other.At < c.answered
				})
				if i >= 0 {
					j.fail("the host sends "+wire.Excerpt([]byte(s.requests[i].Method), 40)+" before initialize is answered", c.Event, s.requests[i].Event)
					return
				}
				j.pass(c.Event)
			}
		},
	},
	{
		ID: "A58", Name: "leaves where it does not know the version", Revision: Legacy, Level: Should, Observed: onWire,
		Text:    "If the host does not know the version that the server answers initialize with, it disconnects.",
		Section: section(Legacy, "basic/lifecycle#version-negotiation"),
		eras:    legacyOnly,
		end: func(j judge, s *session) {
			initialize := s.firstRequest("initialize")
			if initialize == nil {
				return
			}
			for _, c := range s.requests[slices.Index(s.requests, initialize):] {
				if c.Method != "initialize" && c.Method != "ping" {
					j.fail(fmt.Sprintf("the host goes on with %s in the version %q, which does not exist", wire.Excerpt([]byte(c.Method), 40),
						s.supported()[0]), initialize.Event, c.Event)
					return
				}
			}
			j.pass(initialize.Event)
		},
	},
}

// versionsRefused are the first request whose version was refused, and the last of all,
// if it has such a version, too; nil if there is none. It is for the end, when nothing
// runs any more.
func (s *session) versionsRefused() (first, again *call) {
	for _, c := range s.requests {
		version := c.String(wire.MetaVersion)
		switch refused := c.Method != "initialize" && version != "" && !slices.Contains(s.supported(), version); {
		case refused && first == nil:
			first = c
		case refused:
			again = c
		default:
			again = nil
		}
	}
	return first, again
}

// saysThatItFails judges whether a host lets its person know that it cannot speak to a
// server: by what calls come to, or as it ends.
func (s *session) saysThatItFails(j judge, refused *call) {
	reported, failed := false, s.endedAt != 0 && !s.orderly
	for _, outcomes := range s.outcomes {
		for _, o := range outcomes {
			reported, failed = true, failed || o.Error
		}
	}
	switch {
	case failed:
		j.pass(refused.Event)
	case reported:
		j.fail("the call came to something, though there is no version in common", refused.Event)
	case s.hasHook(HookOutcome):
		j.fail("there is no version in common, and the host does not say so", refused.Event)
	default:
		j.note("there is no version in common; without a hook it is not known what the host says", refused.Event)
	}
}
