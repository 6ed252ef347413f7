package hostcheck

import (
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

var advertising = Scenario{
	Name: "advertising", Title: "What the host says of itself",
	Description: "Two plain calls, one after the other. The host declares elicitation where its protocol wants it, sends the " +
		"metadata and the headers that every request has, posts one message at a time, answers a ping, and ends its session.",
	Protocols: both, Transports: everywhere,
	Checks: []string{"A1", "A2", "A30", "A44", "A47", "A49", "A55", "B1", "B2", "B3", "B21", "B23", "B24", "B38", "B46"},
	Ask:    "Make the two calls.",
	script: script{
		steps: inTurn("first", "second"),
		play: func(f *flow) {
			if f.label == "second" {
				if ping(f) && f.s.transport == HTTP {
					pingByStream(f)
				}
				f.wait(200 * time.Millisecond) // so that the answer is a stream, over HTTP
			}
			f.text(foundText)
		},
		guided: true,
	},
}

var modeNames = Scenario{
	Name: "modes", Title: "Modes that are missing, or were not declared",
	Description: "The server asks without naming a mode, which means a form, and, wrongly, in a mode that the host never " +
		"declared.",
	Protocols: both, Transports: everywhere,
	Checks: []string{"A1", "A3", "A4", "A5"},
	Ask:    "Decline the form that is shown.",
	script: script{
		steps: func(protocol string) [][]Call {
			if protocol == Modern {
				return inTurn("missing", nextCall)(protocol)
			}
			return inTurn("missing", "undeclared", nextCall)(protocol)
		},
		play: func(f *flow) {
			switch f.label {
			case "missing":
				playMissingMode(f)
			case "undeclared":
				playUndeclaredMode(f)
			default:
				f.text(foundText)
			}
		},
		guided: true,
	},
}

func playMissingMode(f *flow) {
	declared := f.now().declared
	if !declared.Declared {
		f.s.excuse("the host declares no elicitation")
	} else {
		judgePlayed("A3", occasion{flow: f, ok: !declared.Empty || !f.takesURL()})
	}
	p := f.s.prompt("decline", 300*time.Millisecond)
	p.mode, p.message, p.limit = "", "Shall the notebook remember this search?", f.patience()
	if f.s.protocol == Modern && !declared.Form {
		f.s.excuse("the host declares no elicitation in form mode")
		f.fail("the host cannot be asked")
		return
	}
	p.unasked, p.odd = !declared.Form, true
	judgePlayed("A4", occasion{flow: f, prompt: p, answer: f.ask(p)})
	f.text(foundText)
}

// takesURL says whether a host that declared {} shows a URL all the same. In
// the newer era it cannot be asked: a server never sends an undeclared mode.
func (f *flow) takesURL() bool {
	if f.s.protocol == Modern || !f.now().declared.Empty {
		return false
	}
	p := f.s.prompt("decline", 300*time.Millisecond)
	p.unasked, p.odd, p.limit = true, true, f.patience()
	a := f.elicit(p)
	return !a.never && a.err == nil
}

// The JSON-RPC errors for methods that are not there, for parameters that are wrong,
// and for what comes to nothing.
const (
	methodNotFound = -32601
	invalidParams  = -32602
	internalError  = -32603
)

// refused says whether an answer is the error for a mode that was not declared.
// A host that declares no elicitation at all need not know the method.
func (a answer) refused(declared wire.Modes) bool {
	return a.err != nil && (a.err.Code == invalidParams || !declared.Declared && a.err.Code == methodNotFound)
}

// oddMode is a mode that no revision has.
const oddMode = "sketch"

func playUndeclaredMode(f *flow) {
	declared := f.now().declared
	p := f.s.prompt("cancel", 300*time.Millisecond)
	p.unasked, p.odd, p.limit = true, true, f.patience()
	switch {
	case !declared.URL:
		p.mode = "url"
	case !declared.Form:
		p.mode = "form"
	default:
		p.mode = oddMode
	}
	judgePlayed("A5", occasion{flow: f, prompt: p, answer: f.elicit(p)})
	f.text(foundText)
}
