package hostcheck

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"unicode/utf8"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/schema"
	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// What holds of every message, in every scenario.
var wires = []Requirement{
	{
		ID: "A36", Name: "speaks JSON-RPC 2.0", Revision: Legacy, Level: Must, Observed: onWire,
		Text: "Each message says that it is JSON-RPC 2.0; parameters are an object; a response has a result or an error, and an " +
			"error an integer for a code and a message; it answers a request that was made, once.",
		Section:    section(Legacy, "basic/index#messages"),
		Everywhere: true,
		eras:       both,
		line: func(j judge, s *session, l *wire.Line) {
			if l.Kind != wire.Garbage {
				fault := cmp.Or(s.stray(l), notRPC(l.Raw))
				j.that(fault == "", fault, l.Event)
			}
		},
	},
	{
		ID: "A37", Name: "writes nothing but messages", Revision: Legacy, Level: MustNot, Observed: onWire,
		Text:       "What the host writes to the server's standard input is one message a line, and nothing else: no log, no batch.",
		Section:    section(Legacy, "basic/transports#stdio"),
		newer:      section(Modern, "basic/transports/stdio"),
		Everywhere: true,
		eras:       both, transport: Stdio,
		line: func(j judge, _ *session, l *wire.Line) {
			j.that(l.Kind != wire.Garbage, fmt.Sprintf("this line is no message: %q", wire.Excerpt(l.Raw, 120)), l.Event)
		},
	},
	{
		ID: "A38", Name: "writes UTF-8", Revision: Legacy, Level: Must, Observed: onWire,
		Text:       "Messages are encoded in UTF-8, without a byte order mark.",
		Section:    section(Legacy, "basic/transports"),
		newer:      section(Modern, "basic/transports#messages"),
		Everywhere: true,
		eras:       both,
		line: func(j judge, _ *session, l *wire.Line) {
			if bytes.HasPrefix(l.Raw, []byte("\ufeff")) {
				j.fail("a message begins with a byte order mark", l.Event)
				return
			}
			j.that(utf8.Valid(l.Raw), "a message is not UTF-8", l.Event)
		},
	},
	{
		ID: "A41", Name: "says that it is initialized", Revision: Legacy, Level: Must, Observed: onWire,
		Text:       "After the initialization the host sends notifications/initialized.",
		Section:    section(Legacy, "basic/lifecycle#initialization"),
		Everywhere: true,
		eras:       legacyOnly,
		end: func(j judge, s *session) {
			if s.guided {
				return // it did so before the step
			}
			for _, p := range s.peers {
				_, initialize := p.Initialized()
				said, asked := -1, -1
				for _, l := range s.Lines() {
					same := l.Conn == initialize.Conn
					if l.Header != nil {
						id := l.Header.Get("Mcp-Session-Id")
						same = id == p.ID || id == "" // which is told as that
					}
					switch {
					case !same || l.Event <= initialize.Event:
					case l.Method == "notifications/initialized":
						said = l.Event
					case l.Kind == wire.Request && l.Method != "ping" && l.Method != "initialize":
						asked = l.Event
					}
				}
				switch {
				case said >= 0:
					j.pass(said)
				case asked >= 0:
					j.fail("the host goes on after initialize without notifications/initialized", initialize.Event, asked)
				}
			}
		},
	},
	{
		ID: "A42", Name: "initializes completely", Revision: Legacy, Level: Must, Observed: onWire,
		Text:       "The host initializes with a protocol version, its capabilities, and its name and version.",
		Section:    section(Legacy, "basic/lifecycle#initialization"),
		Official:   []string{"mcp-client-initialization"},
		Everywhere: true,
		eras:       legacyOnly,
		request: func(j judge, c *call) {
			if c.Method == "initialize" {
				fault := initializesWithout(c.Params)
				j.that(fault == "", fault, c.Event)
			}
		},
	},
	{
		ID: "A43", Name: "uses an id once", Revision: Legacy, Level: MustNot, Observed: onWire,
		Text:       "The id of a request, a string or an integer, was not used before in the same session.",
		Section:    section(Legacy, "basic/index#requests"),
		Everywhere: true,
		eras:       legacyOnly,
		request: func(j judge, c *call) {
			if !wire.ValidID(c.ID) {
				j.fail(fmt.Sprintf("the id %s is neither a string nor an integer", wire.Excerpt(c.ID, 40)), c.Event)
				return
			}
			for _, other := range c.earlier {
				if wire.SameJSON(other.ID, c.ID) {
					j.fail(fmt.Sprintf("the id %s was used before", wire.Excerpt(c.ID, 40)), other.Event, c.Event)
					return
				}
			}
			j.pass(c.Event)
		},
	},
	{
		ID: "A45", Name: "keeps to the schema", Revision: Legacy, Level: Must, Derived: true, Observed: onWire,
		Text: "Each request, each notification and each answer to an elicitation is as the JSON schema of the revision has it. " +
			"What the schema does not know is not judged.",
		Section:    section(Legacy, "schema"),
		Official:   []string{"wire-schema-valid"},
		Everywhere: true,
		eras:       both,
		line: func(j judge, s *session, l *wire.Line) {
			if l.Kind != wire.Garbage {
				fault := s.invalid(l)
				j.that(fault == "", fault, l.Event)
			}
		},
	},
	{
		ID: "A44", Name: "answers pings", Revision: Legacy, Level: Must, Observed: onWire,
		Text:    "A ping of the server is answered promptly, with an empty result.",
		Section: section(Legacy, "basic/utilities/ping#behavior-requirements"),
		eras:    legacyOnly,
		played: func(j judge, o occasion) {
			switch {
			case o.answer.line == nil:
				j.fail(fmt.Sprintf("a ping was not answered within %v", promptly), o.at())
			case o.answer.err != nil:
				j.fail("a ping was answered with "+o.answer.said(), o.answer.line.Event)
			default:
				j.that(bytes.HasPrefix(o.answer.line.Result, []byte("{")), "the result of a ping is no object", o.answer.line.Event)
			}
		},
	},
}

// invalid is where a message differs from the schema of the revision; empty if it does
// not, or if that is told by a requirement of its own. What a revision does not have
// is not compared.
func (s *session) invalid(l *wire.Line) string {
	var err error
	switch params := wire.ParseParams(l.Params); {
	case l.Kind == wire.Garbage, notRPC(l.Raw) != "", l.Kind == wire.Request && !wire.ValidID(l.ID),
		l.Method == "initialize" && initializesWithout(l.Params) != "",
		s.protocol == Modern && l.Kind == wire.Request && (params.String(wire.MetaVersion) == "" || len(params.Meta[wire.MetaCapabilities]) == 0):
		return ""
	case l.Kind != wire.Response:
		err = schema.Request(s.protocol, l.Raw)
	case s.protocol == Legacy && l.Error == nil && bytes.HasPrefix(l.ID, []byte(`"`+elicitID)):
		err = schema.ElicitResult(s.protocol, l.Result)
	}
	if err == nil {
		return ""
	}
	return fmt.Sprintf("a message is not as the schema has it: %s", wire.Excerpt([]byte(err.Error()), 240))
}

// stray says what is wrong with a response that answers no request of the server's, or
// one that was answered before; empty if nothing is, and for all other messages. In the
// newer era no response is right, which is B20. It takes guard.
func (s *session) stray(l *wire.Line) string {
	if l.Kind != wire.Response || s.protocol == Modern {
		return ""
	}
	var id string
	_ = json.Unmarshal(l.ID, &id)
	s.guard.Lock()
	defer s.guard.Unlock()
	answered, asked := s.asked[id]
	if asked {
		s.asked[id] = true
	}
	switch {
	case !asked:
		return fmt.Sprintf("a response has the id %s, which no request of the server has", wire.Excerpt(l.ID, 40))
	case answered:
		return fmt.Sprintf("the request %s is answered a second time", wire.Excerpt(l.ID, 40))
	}
	return ""
}

// notRPC is what is wrong with a message that was read as one of JSON-RPC; empty if
// nothing is.
func notRPC(raw []byte) string {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil {
		return "" // which is told as that
	}
	switch version := string(m["jsonrpc"]); {
	case version == "":
		return `the member "jsonrpc" is missing`
	case version != `"2.0"`:
		return fmt.Sprintf(`"jsonrpc" is %s, not "2.0"`, wire.Excerpt(m["jsonrpc"], 40))
	}
	if params, ok := m["params"]; ok && !bytes.HasPrefix(params, []byte("{")) {
		return fmt.Sprintf("the parameters are no object: %s", wire.Excerpt(params, 40))
	}
	result, hasResult := m["result"]
	fault, hasFault := m["error"]
	switch _, hasMethod := m["method"]; {
	case hasMethod && (hasResult || hasFault):
		return "a message is both a request and a response"
	case hasMethod:
	case hasResult && hasFault:
		return "a response has both a result and an error"
	case hasResult && !bytes.HasPrefix(result, []byte("{")):
		return fmt.Sprintf("the result is no object: %s", wire.Excerpt(result, 40))
	case hasFault:
		var e struct {
			Code    *int    `json:"code"`
			Message *string `json:"message"`
		}
		if json.Unmarshal(fault, &e) != nil || e.Code == nil || e.Message == nil {
			return "an error lacks an integer for a code, or a message"
		}
	}
	return ""
}

// initializesWithout is what initialize lacks; empty if it is complete.
func initializesWithout(params json.RawMessage) string {
	var p struct {
		ProtocolVersion string          `json:"protocolVersion"`
		Capabilities    json.RawMessage `json:"capabilities"`
		ClientInfo      struct{ Name, Version string }
	}
	_ = json.Unmarshal(params, &p)
	switch {
	case !revisionName.MatchString(p.ProtocolVersion):
		return fmt.Sprintf("initialize asks for the protocol version %q, which is no revision", wire.Excerpt([]byte(p.ProtocolVersion), 40))
	case !bytes.HasPrefix(p.Capabilities, []byte("{")):
		return "initialize has no capabilities"
	case p.ClientInfo.Name == "" || p.ClientInfo.Version == "":
		return "initialize does not name the client and its version"
	}
	return ""
}

// revisionName is how revisions are called.
var revisionName = regexp.MustCompile(`^(DRAFT-)?\d{4}-`)
