package hostcheck

import (
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// A prompt is one question to the person, and what the person will do about it
// if the host has a hook for that.
type prompt struct {
	id      string
	mode    string // "url", "form" or, for the odd ones, another; "" leaves it out
	message string
	url     string
	code    string        // a code in the message that is to be copied
	press   string        // accept, decline, cancel, or "" for nothing
	after   time.Duration // how long the person takes
	unasked bool          // sent although the host did not declare its mode
	odd     bool          // the host may well refuse to show it
	guided  bool          // its message ends with what is to be pressed
	noReply bool          // it is named in an error, and nothing answers it
	limit   time.Duration // how long the server waits for the answer; 0 means until the end

	// Of a form: the schema that is requested (nil for a plain one), the name of the
	// field that takes several values, and what the person enters before each time that
	// they accept.
	schema  map[string]any
	several string
	entries []map[string]any

	// The rest is guarded by the latch. A prompt has a flow once it was issued.
	flow     *flow
	issued   time.Duration
	dialogs  []*dialog
	pressed  time.Duration    // zero until the person acted
	entered  []map[string]any // those of the entries that the host was told
	signedIn time.Duration    // when the person was done at the page
	got      *answer
}

// An answer is what the host said to a prompt.
type answer struct {
	never   bool // nothing came
	action  string
	content json.RawMessage // empty if there is none
	err     *wire.Error
	at      time.Duration
	line    *wire.Line
}

// params are the parameters of its elicitation/create.
func (p *prompt) params(protocol string) map[string]any {
	out := map[string]any{"message": p.message + p.hint()}
	if p.mode != "" {
		out["mode"] = p.mode
	}
	if p.mode == "url" {
		out["url"] = p.url
		if protocol == Legacy {
			out["elicitationId"] = p.id
		}
	} else {
		out["requestedSchema"] = p.requested()
	}
	return out
}

// requested is the schema of its form.
func (p *prompt) requested() map[string]any {
	if p.schema != nil {
		return p.schema
	}
	return map[string]any{
		"type":       "object",
		"properties": map[string]any{"remember": map[string]any{"type": "boolean", "title": "Remember this"}},
	}
}

// hint tells a person in the flesh what they are to do; empty for others.
func (p *prompt) hint() string {
	if !p.guided {
		return ""
	}
	return " (hostcheck: " + map[string]string{
		"accept": "agree to this one", "decline": "decline this one", "cancel": "dismiss this one", "": "leave this one alone",
	}[p.press] + ")"
}

// domain is the host name in its URL.
func (p *prompt) domain() string {
	u, err := url.Parse(p.url)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// said is an answer in a word.
func (a answer) said() string {
	switch {
	case a.err != nil:
		return fmt.Sprintf("error %d", a.err.Code)
	case a.action == "" && !a.never:
		return "no action"
	}
	return a.action
}

// issue notes that a prompt goes out. The caller holds guard.
func (s *session) issue(f *flow, p *prompt) {
	p.flow, p.issued = f, s.Now()
}

// settle takes the host's answer to a prompt.
func (s *session) settle(p *prompt, l *wire.Line, result json.RawMessage, err *wire.Error) answer {
	a := answer{line: l, at: l.At, err: err}
	var r struct {
		Action  string          `json:"action"`
		Content json.RawMessage `json:"content"`
	}
	if err == nil && json.Unmarshal(result, &r) == nil {
		if a.action = r.Action; string(r.Content) != "null" {
			a.content = r.Content
		}
	}
	if p.press == "accept" && a.action != "accept" && !p.odd && !p.unasked {
		s.block(fmt.Sprintf("the host answered the prompt of call %q with %s, and what comes next needs accept", p.flow.label, a.said()))
	}
	s.guard.Lock()
	if !s.closed {
		p.got = &a
	}
	s.step()
	s.guard.Unlock()
	return a
}

// signIn is the person at the page: it takes a while, and then the older era's
// server says that the elicitation is complete.
func (f *flow) signIn(p *prompt, takes time.Duration) bool {
	if !f.wait(takes) {
		return false
	}
	f.s.guard.Lock()
	p.signedIn = f.s.Now()
	f.s.guard.Unlock()
	f.complete(p.id)
	return true
}

// complete sends the completion notice of the older era.
func (f *flow) complete(id string) {
	if f.s.protocol == Legacy {
		f.notify("notifications/elicitation/complete", map[string]any{"elicitationId": id})
	}
}
