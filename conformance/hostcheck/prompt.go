package hostcheck

import (
	"encoding/json"
	"fmt"
	"net/url"
	"time"
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
	limit   time.Duration // how long the server waits for the answer; 0 means until the end

	// The rest is guarded by the stage's guard.
	flow     *flow
	issued   time.Duration
	dialogs  []*dialog
	pressed  time.Duration // zero until the person acted
	signedIn time.Duration // when the person was done at the page
	got      *answer
}

// An answer is what the host said to a prompt.
type answer struct {
	never   bool // nothing came
	action  string
	content bool // it has content
	err     *rpcError
	at      time.Duration
	line    *line
}

// prompt makes a prompt for a page of the canary. Its message has a code, and
// a URL that is not to be clicked.
func (st *stage) prompt(press string, after time.Duration) *prompt {
	st.guard.Lock()
	n := len(st.prompts) + 1
	st.prompts = append(st.prompts, nil)
	st.guard.Unlock()
	p := &prompt{
		id: fmt.Sprintf("%s-%d", st.scenario.Name, n), mode: "url", press: press, after: after,
		code: fmt.Sprintf("HCK-%03d-%03d", n, (n*347+101)%1000),
	}
	p.url = st.canary + "/sign-in?p=" + url.QueryEscape(p.id)
	p.message = fmt.Sprintf("Sign in to the notebook with the code %s. Help is at https://help.example.org/codes", p.code)
	st.guard.Lock()
	st.prompts[n-1] = p
	st.guard.Unlock()
	return p
}

// params are the parameters of its elicitation/create.
func (p *prompt) params(protocol string) map[string]any {
	out := map[string]any{"message": p.message}
	if p.mode != "" {
		out["mode"] = p.mode
	}
	if p.mode == "url" {
		out["url"] = p.url
		if protocol == Legacy {
			out["elicitationId"] = p.id
		}
	} else {
		out["requestedSchema"] = map[string]any{
			"type":       "object",
			"properties": map[string]any{"remember": map[string]any{"type": "boolean", "title": "Remember this"}},
		}
	}
	return out
}

// domain is the host name in its URL.
func (p *prompt) domain() string {
	u, err := url.Parse(p.url)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// issue notes that a prompt goes out. The caller holds guard.
func (st *stage) issue(f *flow, p *prompt) {
	p.flow, p.issued = f, st.record.now()
}

// settle takes the host's answer to a prompt.
func (st *stage) settle(p *prompt, l *line, result json.RawMessage, err *rpcError) answer {
	a := answer{line: l, at: l.at, err: err}
	var r struct {
		Action  string          `json:"action"`
		Content json.RawMessage `json:"content"`
	}
	if err == nil && json.Unmarshal(result, &r) == nil {
		a.action, a.content = r.Action, len(r.Content) > 0 && string(r.Content) != "null"
	}
	st.guard.Lock()
	if !st.closed {
		p.got = &a
	}
	st.step()
	st.guard.Unlock()
	return a
}

// signIn is the person at the page: it takes a while, and then the older era's
// server says that the elicitation is complete.
func (f *flow) signIn(p *prompt, takes time.Duration) bool {
	if !f.wait(takes) {
		return false
	}
	f.st.guard.Lock()
	p.signedIn = f.st.record.now()
	f.st.guard.Unlock()
	f.complete(p.id)
	return true
}

// complete sends the completion notice of the older era.
func (f *flow) complete(id string) {
	if f.st.protocol == Legacy {
		f.notify("notifications/elicitation/complete", map[string]any{"elicitationId": id})
	}
}
