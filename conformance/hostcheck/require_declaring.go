package hostcheck

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// What a host says of itself and of each request, and how it finds out what the
// server speaks.
var declaring = []Requirement{
	{
		ID: "B2", Name: "sends the required metadata", Revision: Modern, Level: Must, Observed: onWire,
		Text:       "Every request, a retry included, names the protocol version and the client's capabilities in its _meta.",
		Section:    section(Modern, "basic/index#meta"),
		Official:   []string{"sep-2575-client-populates-meta"},
		Everywhere: true,
		eras:       modernOnly,
		request: exceptInitialize(func(j judge, c *call) {
			var missing []string
			if c.String(wire.MetaVersion) == "" {
				missing = append(missing, wire.MetaVersion)
			}
			if !c.saysCapabilities() {
				missing = append(missing, wire.MetaCapabilities)
			}
			text := fmt.Sprintf("%s lacks %s in _meta", c.Method, strings.Join(missing, " and "))
			if slices.ContainsFunc(c.earlier, func(other *call) bool { return other.Method == "initialize" }) {
				text += "; the host goes on though its initialize was refused, as a server of this revision alone does"
			}
			j.that(len(missing) == 0, text, c.Event)
		}),
	},
	{
		ID: "B1", Name: "declares elicitation with each request", Revision: Modern, Level: Must, Observed: onWire,
		Text:     "A host that can be asked to elicit says so in the client capabilities of every request.",
		Section:  section(Modern, "client/elicitation#capabilities"),
		Official: []string{"sep-2575-client-declares-elicitation-capability"},
		eras:     modernOnly,
		request: exceptInitialize(func(j judge, c *call) {
			if c.saysCapabilities() && c.declared.Declared {
				j.pass(c.Event)
			}
		}),
		end: func(j judge, s *session) {
			declares := slices.ContainsFunc(s.requests, func(c *call) bool { return c.declared.Declared })
			for _, c := range s.requests {
				switch {
				case c.Method == "initialize" || c.declared.Declared:
				case !declares:
					j.skip(noElicitation, c.Event)
				case c.saysCapabilities():
					j.fail(c.Method+" does not declare elicitation, as others do", c.Event)
				}
			}
		},
	},
	{
		ID: "B3", Name: "says who it is", Revision: Modern, Level: Should, Observed: onWire,
		Text: "Every request carries the name and version of the client. A host may be configured not to: one that says it " +
			"nowhere is taken for that.",
		Section:  section(Modern, "basic/index#meta"),
		Official: []string{"sep-2575-client-sends-client-info"},
		eras:     modernOnly,
		request: exceptInitialize(func(j judge, c *call) {
			var info struct{ Name, Version string }
			_ = json.Unmarshal(c.Meta[wire.MetaClient], &info)
			if info.Name != "" && info.Version != "" {
				j.pass(c.Event)
			}
		}),
		end: func(j judge, s *session) {
			var without []*call
			named := 0
			for _, c := range s.requests {
				if _, ok := c.Meta[wire.MetaClient]; ok {
					named++
				}
				var info struct{ Name, Version string }
				_ = json.Unmarshal(c.Meta[wire.MetaClient], &info)
				if c.Method != "initialize" && (info.Name == "" || info.Version == "") {
					without = append(without, c)
				}
			}
			for _, c := range without {
				if named == 0 {
					j.note("no request names the client, as a host may be configured", c.Event)
					continue
				}
				j.fail(c.Method+" does not name the client and its version", c.Event)
			}
		},
	},
	{
		ID: "B24", Name: "mirrors the body in headers", Revision: Modern, Level: Must, Observed: onWire,
		Text: "MCP-Protocol-Version, Mcp-Method and, where the body has a name or a URI, Mcp-Name say what the body of the " +
			"request says, on a retry too.",
		Section: section(Modern, "basic/transports/streamable-http#request-metadata"),
		Official: []string{
			"sep-2243-client-includes-standard-headers",
			"sep-2575-http-client-sends-version-header",
			"sep-2575-http-version-header-matches-meta",
		},
		Everywhere: true,
		eras:       modernOnly, transport: HTTP,
		request: exceptInitialize(func(j judge, c *call) {
			if c.Header == nil {
				return
			}
			differs := func(name, body string) bool {
				got := c.Header.Get(name)
				if decoded, ok := sentinel(got); ok && name == "Mcp-Name" {
					got = decoded
				}
				if got == body {
					return false
				}
				j.fail(fmt.Sprintf("%s is %q where the body says %q", name, wire.Excerpt([]byte(got), 80), wire.Excerpt([]byte(body), 80)), c.Event)
				return true
			}
			if differs("MCP-Protocol-Version", c.String(wire.MetaVersion)) || differs("Mcp-Method", c.Method) ||
				(c.Method == "tools/call" || c.Method == "prompts/get") && differs("Mcp-Name", c.Name) ||
				c.Method == "resources/read" && differs("Mcp-Name", c.URI) {
				return
			}
			j.pass(c.Event)
		}),
	},
	{
		ID: "A1", Name: "declares elicitation", Revision: Legacy, Level: Must, Observed: onWire,
		Text:    "A host that can be asked to elicit declares the elicitation capability when it initializes.",
		Section: section(Legacy, "client/elicitation#capabilities"),
		eras:    legacyOnly,
		end: func(j judge, s *session) {
			for _, p := range s.peers {
				capabilities, initialize := p.Initialized()
				switch {
				case wire.ElicitationModes(capabilities).Declared:
					j.pass(initialize.Event)
				case s.tookPart() != nil:
					j.fail("the host declares no elicitation, and takes part in one", initialize.Event, s.tookPart().line.Event)
				default:
					j.skip(noElicitation, initialize.Event)
				}
			}
		},
	},
	{
		ID: "A2", Name: "declares a mode", Revision: Legacy, Level: Must, Observed: onWire,
		Text:    "A host that declares elicitation supports form mode or URL mode, or both.",
		Section: section(Legacy, "client/elicitation#capabilities"),
		eras:    legacyOnly,
		end: func(j judge, s *session) {
			for _, p := range s.peers {
				capabilities, initialize := p.Initialized()
				if declared := wire.ElicitationModes(capabilities); declared.Declared {
					j.that(declared.Form || declared.URL, "elicitation is declared without a mode that exists", initialize.Event)
				} else {
					j.skip(noElicitation, initialize.Event)
				}
			}
		},
	},
	{
		ID: "A3", Name: "an empty declaration is form mode", Revision: Legacy, Level: Must, Derived: true, Observed: onWire,
		Text: "A host that declares elicitation without naming a mode has declared form mode alone, and behaves like that: " +
			"it does not take part in URL mode.",
		Section: section(Legacy, "client/elicitation#capabilities"),
		eras:    legacyOnly, // in the newer era a server never asks in a mode that was not declared
		played: func(j judge, o occasion) {
			j.that(o.ok, "the host declares {}, which is form mode alone, and takes part in URL mode", o.at())
		},
	},
	{
		ID: "A4", Name: "a missing mode is form mode", Revision: Legacy, Level: Must, Observed: onWire,
		Text:    "A request to elicit that names no mode is treated as one in form mode.",
		Section: section(Legacy, "client/elicitation#elicitation-requests"),
		eras:    both,
		played: func(j judge, o occasion) {
			declared := o.flow.rounds[0].declared
			switch {
			case o.endedByHost():
				j.note("the host ends the call by itself when the form is refused, as it may", o.at())
			case o.answer.never:
				j.fail("a request without a mode was not answered", o.at())
			case !declared.Form && o.answer.action == "cancel" && len(o.prompt.dialogs) == 0:
				j.note("the host declares no form mode, and cancels what nobody was shown: see A5", o.answer.line.Event)
			case !declared.Form:
				j.that(o.answer.refused(declared),
					"the host declares no form mode, and does not answer a request without a mode with -32602", o.answer.line.Event)
			default:
				asForm := o.answer.err == nil
				for _, d := range o.prompt.dialogs {
					asForm = asForm && d.Mode != "url"
				}
				j.that(asForm, "a request without a mode was not treated as a form: "+o.answer.said(), o.answer.line.Event)
			}
		},
	},
	{
		ID: "A5", Name: "refuses an undeclared mode", Revision: Legacy, Level: Must, Observed: onWire,
		Text:    "A request to elicit in a mode that the host did not declare gets the error -32602 (invalid params).",
		Section: section(Legacy, "client/elicitation#error-handling"),
		eras:    legacyOnly,
		played: func(j judge, o occasion) {
			if o.answer.never {
				j.fail("a request in the mode "+o.prompt.mode+", which was not declared, was not answered", o.at())
				return
			}
			refused := o.answer.refused(o.flow.rounds[0].declared)
			if o.prompt.mode == oddMode && !refused && o.answer.action != "accept" {
				// The schema does not have it either, so that the request may as well be
				// taken for one that is broken.
				j.note("a request in a mode that does not exist was answered with "+o.answer.said(), o.answer.line.Event)
				return
			}
			j.that(refused,
				"a request in the mode "+o.prompt.mode+", which was not declared, was answered with "+o.answer.said(), o.answer.line.Event)
		},
	},
}

// firstRequest is the first request of a method; of any, if that is empty. Nil if
// there is none.
func (s *session) firstRequest(method string) *call {
	s.guard.Lock()
	defer s.guard.Unlock()
	for _, c := range s.requests {
		if method == "" || c.Method == method {
			return c
		}
	}
	return nil
}

// noElicitation is why nothing is asked of a host that need not support it.
const noElicitation = "the host declares no elicitation, which is optional"

// tookPart is an answer of a person that the host passed on, though it had not
// declared that there is one. To cancel what nobody was shown takes no person.
func (h *person) tookPart() *answer {
	for _, p := range h.prompts {
		if p.unasked && p.got != nil && p.got.err == nil && (p.got.action != "cancel" || len(p.dialogs) > 0) {
			return p.got
		}
	}
	return nil
}

// sentinel decodes a header value of the form =?base64?…?=.
func sentinel(value string) (string, bool) {
	inner, ok := strings.CutPrefix(value, "=?base64?")
	inner, end := strings.CutSuffix(inner, "?=")
	if !ok || !end {
		return "", false
	}
	out, err := base64.StdEncoding.DecodeString(inner)
	return string(out), err == nil
}
