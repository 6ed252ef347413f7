package hostcheck

import (
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

func somebody() *person {
	h := newPerson(wire.NewRecord(), &latch{stepped: make(chan struct{})}, "consent")
	h.canary = "http://canary"
	return h
}

// A dialog belongs to the prompt whose URL it shows, or else to that whose code is in
// its message; to none that was not issued.
func TestPerson_WhoseDialog(t *testing.T) {
	h := somebody()
	first, second := h.prompt("accept", 0), h.prompt("decline", 0)
	unissued := h.prompt("accept", 0)
	first.flow, second.flow = &flow{}, &flow{}
	for _, c := range []struct {
		shown Shown
		want  string
	}{
		{Shown{URL: first.url}, first.id},
		{Shown{URL: second.url, Message: first.message}, second.id},
		{Shown{URL: "http://…", Message: "the code is " + second.code}, second.id},
		{Shown{URL: unissued.url}, ""},
		{Shown{Message: "Something else"}, ""},
	} {
		n, err := h.show(c.shown)
		if err != nil {
			t.Fatal(err)
		}
		if got := h.dialog(dialogName(n)); got.prompt != c.want {
			t.Errorf("%+v is a dialog of %q, not of %q", c.shown, got.prompt, c.want)
		}
	}
	if !h.hasHook(HookShown) || h.hasHook(HookOpened) || len(first.dialogs) != 1 || len(second.dialogs) != 2 {
		t.Errorf("hooks %v, dialogs %d and %d", h.hooks, len(first.dialogs), len(second.dialogs))
	}
}

// The person acts when they were to, once the dialog is there.
func TestPerson_Presses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := somebody()
		p, alone := h.prompt("accept", time.Second), h.prompt("", 0)
		p.flow, alone.flow = &flow{}, &flow{}
		time.Sleep(300 * time.Millisecond)
		for _, c := range []struct {
			shown Shown
			want  string
			after time.Duration
		}{
			{Shown{URL: p.url}, "accept", time.Second},
			{Shown{URL: alone.url}, "nothing", 0},
			{Shown{Message: "Something else"}, "cancel", time.Second},
		} {
			n, err := h.show(c.shown)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if got := h.presses(t.Context(), h.dialog(dialogName(n))); got.Action != c.want || time.Since(began) != c.after {
				t.Errorf("the person presses %v after %v, not %q after %v", got, time.Since(began), c.want, c.after)
			}
		}
		if p.pressed != 1300*time.Millisecond {
			t.Errorf("it is said to have been after %v", p.pressed)
		}
	})
}

// When all is over nothing is taken any more.
func TestPerson_TakesNothingLate(t *testing.T) {
	h := somebody()
	p := h.prompt("accept", 0)
	h.closed = true
	_, err := h.show(Shown{URL: p.url})
	h.Visit(httptest.NewRequest("GET", p.url, nil))
	if err == nil || h.opens(Opened{}) == nil || h.ends(Outcome{}) == nil || len(h.visits) != 0 {
		t.Error("something was taken")
	}
}
