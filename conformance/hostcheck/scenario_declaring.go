package hostcheck

import "time"

var advertising = Scenario{
	Name: "advertising", Title: "What the host says of itself",
	Description: "Two plain calls, one after the other. The host declares elicitation where its protocol wants it, sends the " +
		"metadata and the headers that every request has, and posts one message at a time.",
	Protocols: both, Transports: everywhere,
	Checks: []string{"A1", "A2", "A30", "B1", "B2", "B3", "B21", "B23", "B24"},
	Ask:    "Ask your host to call the tool notes_search with call set to first, and then once more with call set to second.",
	script: script{
		steps:    inTurn("first", "second"),
		play:     func(f *flow) { f.text("3 notes found") },
		conclude: []func(*stage){concludeDeclared, concludeEra},
		guided:   true,
	},
}

// concludeDeclared judges what hosts of the older era said at initialization.
func concludeDeclared(st *stage) {
	for _, s := range st.sessions {
		declared := elicitationModes(s.capabilities)
		st.judge("A1", declared.declared, "the host initializes without declaring elicitation", s.line.event)
		if declared.declared {
			st.judge("A2", declared.form || declared.url, "elicitation is declared without a mode that exists", s.line.event)
		}
	}
}

var era = Scenario{
	Name: "era", Title: "Finding out which protocol the server speaks",
	Description: "A server of the older era answers whatever comes before initialize with an error of its own choice. A host " +
		"that asks with server/discover first takes any such error for what it is, and initializes.",
	Protocols: legacyOnly, Transports: stdioOnly,
	Checks: []string{"B21"},
	Ask:    "Restart your host, and ask it to call the tool notes_search with call set to first.",
	script: script{
		steps:    inTurn("first"),
		play:     func(f *flow) { f.text("3 notes found") },
		conclude: []func(*stage){concludeEra},
		refusal:  -32000,
	},
}

// concludeEra judges how the host found out what the server speaks.
func concludeEra(st *stage) {
	var probe, initialize, call *line
	for _, l := range st.all() {
		switch {
		case l.Method == "server/discover" && probe == nil:
			probe = l
		case l.Method == "initialize" && initialize == nil:
			initialize = l
		case l.Method == "tools/call" && call == nil:
			call = l
		}
	}
	switch {
	case st.protocol == Legacy && probe != nil:
		st.judge("B21", initialize != nil && call != nil,
			"the host did not fall back to initialize after server/discover was refused", probe.event)
	case st.protocol == Legacy && initialize != nil:
		st.find("B21", noted, "the host does not ask first: it speaks the older protocol alone, or was told to", initialize.event)
	case probe != nil && call != nil:
		st.judge("B21", probe.at <= call.at, "the host asks with server/discover only after its first call", probe.event, call.event)
	case call != nil:
		st.find("B21", noted, "the host does not ask first: it speaks the newer protocol alone, or was told to", call.event)
	}
}

var modeNames = Scenario{
	Name: "modes", Title: "Modes that are missing, or were not declared",
	Description: "The server asks without naming a mode, which means a form, and, wrongly, in a mode that the host never " +
		"declared.",
	Protocols: both, Transports: everywhere,
	Checks: []string{"A3", "A4", "A5"},
	Ask: "Ask your host to call notes_search with call set to missing, and decline the form that it shows; then with call set " +
		"to undeclared.",
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
				f.text("3 notes found")
			}
		},
	},
}

func playMissingMode(f *flow) {
	declared := f.now().declared
	if declared.declared {
		f.st.judge("A3", !declared.empty || !f.takesURL(), "the host declares {}, which is form mode alone, and takes part in URL mode",
			f.now().event)
	}
	p := f.st.prompt("decline", 300*time.Millisecond)
	p.mode, p.message, p.limit = "", "Shall the notebook remember this search?", 4*time.Second
	if f.st.protocol == Modern && !declared.form {
		f.st.block("the host declares no elicitation in form mode, so that it cannot be asked without a mode")
		f.fail("the host cannot be asked")
		return
	}
	p.unasked = !declared.form
	a := f.ask(p)
	switch {
	case a.never:
		f.st.find("A4", failed, "a request without a mode was not answered", f.now().event)
	case !declared.form:
		f.st.judge("A4", a.refused(declared),
			"the host declares no form mode, and does not answer a request without a mode with -32602", a.line.event)
	default:
		asForm := a.err == nil
		for _, d := range p.dialogs {
			asForm = asForm && d.Mode != "url"
		}
		f.st.judge("A4", asForm, "a request without a mode was not treated as a form: "+a.said(), a.line.event)
	}
	f.text("3 notes found")
}

// takesURL says whether a host that declared {} shows a URL all the same. In
// the newer era it cannot be asked: a server never sends an undeclared mode.
func (f *flow) takesURL() bool {
	if f.st.protocol == Modern || !f.now().declared.empty {
		return false
	}
	p := f.st.prompt("decline", 300*time.Millisecond)
	p.unasked, p.odd, p.limit = true, true, 4*time.Second
	a := f.elicit(p)
	return !a.never && a.err == nil
}

// The JSON-RPC errors for methods that are not there, and for parameters that
// are wrong.
const (
	methodNotFound = -32601
	invalidParams  = -32602
)

// refused says whether an answer is the error for a mode that was not declared.
// A host that declares no elicitation at all need not know the method.
func (a answer) refused(declared modes) bool {
	return a.err != nil && (a.err.Code == invalidParams || !declared.declared && a.err.Code == methodNotFound)
}

func playUndeclaredMode(f *flow) {
	declared := f.now().declared
	p := f.st.prompt("cancel", 300*time.Millisecond)
	p.unasked, p.odd, p.limit = true, true, 4*time.Second
	switch {
	case !declared.url:
		p.mode = "url"
	case !declared.form:
		p.mode = "form"
	default:
		p.mode = "sketch"
	}
	a := f.elicit(p)
	switch {
	case a.never:
		f.st.find("A5", failed, "a request in the mode "+p.mode+", which was not declared, was not answered", f.now().event)
	default:
		f.st.judge("A5", a.refused(declared),
			"a request in the mode "+p.mode+", which was not declared, was answered with "+a.said(), a.line.event)
	}
	f.text("3 notes found")
}
