package lazyauth_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
)

func TestForm_ApprovedThenAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		h := w.RawHost()
		r := <-h.BareForm("", "")
		r.Form(t, w)
		world.Later(3 * time.Minute) // the form stays open, and no request with it
		w.Approves()
		world.Later(6 * time.Second)
		began := time.Now()
		(<-h.BareForm(r.State(t), "accept")).Succeeds(t, "Ada")
		if took := time.Since(began); took != 0 {
			t.Errorf("the call went on after another %v", took)
		}
		w.WantChannels("form")
		w.WantAuthorizations(1)
	})
}

func TestForm_AcceptedThenApproved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		h := w.RawHost()
		r := <-h.BareForm("", "")
		world.Later(5 * time.Second)
		call := h.BareForm(r.State(t), "accept")
		world.Later(20 * time.Second)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		w.WantAuthorizations(1)
	})
}

// Accepted before the person had the code in the browser: the form is gone, and the next
// call shows it again.
func TestForm_AcceptedTooEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		h := w.RawHost()
		r := <-h.BareForm("", "")
		first := r.Form(t, w)
		world.Later(2 * time.Second)
		ended := <-h.BareForm(r.State(t), "accept")
		ended.Fails(t, lazyauth.ReasonPending)
		if text := ended.Text(); strings.Contains(text, w.Person().UserCode) || !strings.Contains(text, "shows the prompt again") {
			t.Errorf("the model is told %q", text)
		}
		r = <-h.BareForm("", "")
		second := r.Form(t, w)
		if cut := func(s string) string { before, _, _ := strings.Cut(s, "The code is valid"); return before }; cut(first.Message) != cut(second.Message) {
			t.Errorf("another form: %q", second.Message)
		}
		call := h.BareForm(r.State(t), "accept")
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		w.WantAuthorizations(1)
	})
}

func TestForm_Declined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		h := w.RawHost()
		r := <-h.BareForm("", "")
		world.Later(4 * time.Second)
		ended := <-h.BareForm(r.State(t), "decline")
		ended.Fails(t, lazyauth.ReasonDeclined)
		if text := ended.Text(); strings.Contains(text, w.Person().UserCode) || !strings.Contains(text, "The user declined") {
			t.Errorf("the model is told %q", text)
		}
		(<-h.BareForm("", "")).Fails(t, lazyauth.ReasonDeclined)
		w.WantNoPolls()
	})
}

func TestForm_Closed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		h := w.RawHost()
		r := <-h.BareForm("", "")
		world.Later(4 * time.Second)
		ended := <-h.BareForm(r.State(t), "cancel")
		ended.Fails(t, lazyauth.ReasonDeclined)
		if text := ended.Text(); !strings.Contains(text, "was dismissed") {
			t.Errorf("the model is told %q", text)
		}
		r = <-h.BareForm("", "")
		r.Form(t, w)
		call := h.BareForm(r.State(t), "accept")
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		w.WantAuthorizations(1)
	})
}
