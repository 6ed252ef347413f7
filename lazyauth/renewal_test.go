package lazyauth_test

import (
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
)

func TestThousandCallsAtExpiry(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: 10 * time.Minute, DetectReuse: true, Latency: 50 * time.Millisecond}})
		h := w.host(era, accepts)
		first := h.call(t.Context(), "whoami", nil)
		w.approves()
		(<-first).succeeds(t, "Ada")

		for round := 1; round <= 2; round++ {
			later(10 * time.Minute)
			calls := make([]<-chan reply, 1000/round)
			for n := range calls {
				calls[n] = h.call(t.Context(), "whoami", nil)
			}
			for _, call := range calls {
				(<-call).succeeds(t, "Ada")
			}
			if n := w.as.Count(fakeas.Refresh, ""); n != round {
				t.Errorf("%d refreshes after %d expiries", n, round)
			}
		}
		h.wantPrompts(1)
	})
}

func TestRefreshRefused(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Minute}})
		h := w.host(era, accepts)
		first := h.call(t.Context(), "whoami", nil)
		w.approves()
		(<-first).succeeds(t, "Ada")
		later(time.Minute)
		w.as.RevokeRefreshTokens()

		// The person is asked again, once, and the call goes on.
		calls := []<-chan reply{h.call(t.Context(), "whoami", nil), h.call(t.Context(), "whoami", nil)}
		w.approves()
		for _, call := range calls {
			(<-call).succeeds(t, "Ada")
		}
		h.wantPrompts(2)
		w.wantAuthorizations(2)
		if n := w.as.Count(fakeas.Refresh, ""); n != 1 {
			t.Errorf("%d refreshes, want 1", n)
		}
	})
}

func TestRefreshUnavailable(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Minute}})
		h := w.host(era, accepts)
		first := h.call(t.Context(), "whoami", nil)
		w.approves()
		(<-first).succeeds(t, "Ada")
		later(time.Minute)
		w.as.Script(fakeas.Refresh, fakeas.Unavailable(503, 0))

		// Asking the person would not help either; the grant is kept.
		(<-h.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonUnavailable)
		h.gets("whoami", nil, "Ada")
		h.wantPrompts(1)
	})
}

func TestTokenWithoutRefreshExpires(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Minute, NoRefresh: true}})
		h := w.host(era, accepts)
		for range 2 {
			call := h.call(t.Context(), "whoami", nil)
			w.approves()
			(<-call).succeeds(t, "Ada")
			later(time.Minute)
		}
		h.wantPrompts(2)
	})
}
