package world

import (
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// WantAuthorizations demands that so many flights were begun.
func (w *World) WantAuthorizations(n int) {
	w.T.Helper()
	if got := w.AS.Count(fakeas.DeviceAuthorization, ""); got != n {
		w.T.Errorf("%d device authorizations, want %d", got, n)
	}
}

// WantRefreshes demands that so many refreshes succeeded.
func (w *World) WantRefreshes(n int) {
	w.T.Helper()
	if got := w.AS.Count(fakeas.Refresh, fakeas.OK); got != n {
		w.T.Errorf("%d refreshes, want %d", got, n)
	}
}

// WantChannels demands that prompts went out by these channels, in this order.
func (w *World) WantChannels(want ...string) {
	w.T.Helper()
	if got := w.Trace.Channels(); !slices.Equal(got, want) {
		w.T.Errorf("prompts went out by %v, want %v", got, want)
	}
}

// WantResultLast demands that nothing was said about progress after the last answer.
func (w *World) WantResultLast() {
	w.T.Helper()
	synctest.Wait()
	messages := w.Wire.Messages()
	if last := string(messages[len(messages)-1]); strings.Contains(last, "notifications/progress") {
		w.T.Errorf("after the answer: %s", last)
	}
}

// polls is how often the token endpoint was asked for a device code's token.
func (w *World) polls() int { return w.AS.Count(fakeas.Poll, "") }

// WantNoPolls demands that nobody polls for as long as a code lives.
func (w *World) WantNoPolls() {
	w.T.Helper()
	before := w.polls()
	Later(20 * time.Minute)
	if n := w.polls() - before; n != 0 {
		w.T.Errorf("%d polls for a sign-in that was declined", n)
	}
}

// WantPolls demands that the sign-in goes on.
func (w *World) WantPolls() {
	w.T.Helper()
	before := w.polls()
	Later(11 * time.Second)
	if w.polls() == before {
		w.T.Error("nobody polls any more")
	}
}

// ClientNamed returns an interceptor of another client at the same server.
func (w *World) ClientNamed(id string, kept store.Store) *lazyauth.Interceptor {
	auth, err := lazyauth.New(lazyauth.Service{Name: "Notes", Issuer: w.AS.Issuer(), ClientID: id},
		&lazyauth.Options{Transport: w.AS.Transport(), Store: kept})
	if err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(func() { auth.Close() })
	return auth
}

// WantProgress counts what handlers report, which says nothing in words here.
func (w *World) WantProgress(byToken map[string]int) {
	w.T.Helper()
	for token, want := range byToken {
		under := `"progressToken":"` + token + `"`
		if got := w.Wire.Count("notifications/progress", under) - w.Wire.Count("notifications/progress", under, `"message"`); got != want {
			w.T.Errorf("%d progress messages of the handler under token %s, want %d", got, token, want)
		}
	}
}
