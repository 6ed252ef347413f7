package lazyauth_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// bareForm sends one request of a call of whoami as Claude Code does from 2.1.237 on: in
// revision 2026-07-28 and with "elicitation": {}, which means forms.
func (h *host) bareForm(state, action string) <-chan reply {
	params := &mcp.CallToolParams{Name: "whoami", RequestState: state,
		Meta: mcp.Meta{mcp.MetaKeyClientCapabilities: map[string]any{"elicitation": map[string]any{}}}}
	if action != "" {
		params.InputResponses = mcp.InputResponseMap{responseKey: &mcp.ElicitResult{Action: action}}
	}
	out := make(chan reply, 1)
	go func() {
		result, err := h.session.CallTool(h.w.t.Context(), params)
		out <- reply{result, err}
	}()
	synctest.Wait()
	return out
}

// form returns the form of a reply, and demands that a person can sign in with what it
// says, that it has no link (MCP client/elicitation, "Safe URL handling"), and that it asks
// for nothing but consent.
func (r reply) form(t *testing.T, w *world) *mcp.ElicitParams {
	t.Helper()
	r.state(t)
	p, ok := r.result.InputRequests[responseKey].(*mcp.ElicitParams)
	if !ok || p.Mode != "form" || p.URL != "" || p.ElicitationID != "" {
		t.Fatalf("not a form: %+v", r.result.InputRequests)
	}
	schema, _ := json.Marshal(p.RequestedSchema)
	if string(schema) != `{"properties":{},"type":"object"}` && string(schema) != `{"type":"object","properties":{}}` {
		t.Errorf("the schema is %s", schema)
	}
	for _, want := range []string{"Notes", "as.example.test/device", w.person().UserCode, "Leave this open until you have approved there, then accept"} {
		if !strings.Contains(p.Message, want) {
			t.Errorf("the form says %q, without %q", p.Message, want)
		}
	}
	if strings.Contains(p.Message, "://") {
		t.Errorf("the form has a link: %q", p.Message)
	}
	return p
}

func TestForm_ApprovedThenAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		h := w.rawHost()
		r := <-h.bareForm("", "")
		r.form(t, w)
		later(3 * time.Minute) // the form stays open, and no request with it
		w.approves()
		later(6 * time.Second)
		began := time.Now()
		(<-h.bareForm(r.state(t), "accept")).succeeds(t, "Ada")
		if took := time.Since(began); took != 0 {
			t.Errorf("the call went on after another %v", took)
		}
		w.wantChannels("form")
		w.wantAuthorizations(1)
	})
}

func TestForm_AcceptedThenApproved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		h := w.rawHost()
		r := <-h.bareForm("", "")
		later(5 * time.Second)
		call := h.bareForm(r.state(t), "accept")
		later(20 * time.Second)
		w.approves()
		(<-call).succeeds(t, "Ada")
		w.wantAuthorizations(1)
	})
}

// Accepted before the person had the code in the browser: the form is gone, and the next
// call shows it again.
func TestForm_AcceptedTooEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		h := w.rawHost()
		r := <-h.bareForm("", "")
		first := r.form(t, w)
		later(2 * time.Second)
		ended := <-h.bareForm(r.state(t), "accept")
		ended.fails(t, lazyauth.ReasonPending)
		if text := ended.text(); strings.Contains(text, w.person().UserCode) || !strings.Contains(text, "shows the code again") {
			t.Errorf("the model is told %q", text)
		}
		r = <-h.bareForm("", "")
		second := r.form(t, w)
		if cut := func(s string) string { before, _, _ := strings.Cut(s, "The code is valid"); return before }; cut(first.Message) != cut(second.Message) {
			t.Errorf("another form: %q", second.Message)
		}
		call := h.bareForm(r.state(t), "accept")
		w.approves()
		(<-call).succeeds(t, "Ada")
		w.wantAuthorizations(1)
	})
}

func TestForm_Declined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		h := w.rawHost()
		r := <-h.bareForm("", "")
		later(4 * time.Second)
		ended := <-h.bareForm(r.state(t), "decline")
		ended.fails(t, lazyauth.ReasonDeclined)
		if text := ended.text(); strings.Contains(text, w.person().UserCode) || !strings.Contains(text, "The user declined") {
			t.Errorf("the model is told %q", text)
		}
		(<-h.bareForm("", "")).fails(t, lazyauth.ReasonDeclined)
		w.wantNoPolls()
	})
}

func TestForm_Closed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		h := w.rawHost()
		r := <-h.bareForm("", "")
		later(4 * time.Second)
		ended := <-h.bareForm(r.state(t), "cancel")
		ended.fails(t, lazyauth.ReasonDeclined)
		if text := ended.text(); !strings.Contains(text, "was dismissed") {
			t.Errorf("the model is told %q", text)
		}
		r = <-h.bareForm("", "")
		r.form(t, w)
		call := h.bareForm(r.state(t), "accept")
		w.approves()
		(<-call).succeeds(t, "Ada")
		w.wantAuthorizations(1)
	})
}
