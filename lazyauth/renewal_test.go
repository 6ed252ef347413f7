package lazyauth_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

func TestThousandCallsAtExpiry(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: 10 * time.Minute, DetectReuse: true, Latency: 50 * time.Millisecond}})
		h := w.Host(era, world.Accepts)
		first := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-first).Succeeds(t, "Ada")

		for round := 1; round <= 2; round++ {
			world.Later(10 * time.Minute)
			calls := make([]<-chan world.Reply, 1000/round)
			for n := range calls {
				calls[n] = h.Call(t.Context(), "whoami", nil)
			}
			for _, call := range calls {
				(<-call).Succeeds(t, "Ada")
			}
			if n := w.AS.Count(fakeas.Refresh, ""); n != round {
				t.Errorf("%d refreshes after %d expiries", n, round)
			}
		}
		h.WantPrompts(1)
	})
}

func TestRefreshRefused(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute}})
		h := w.Host(era, world.Accepts)
		first := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-first).Succeeds(t, "Ada")
		world.Later(time.Minute)
		w.AS.RevokeRefreshTokens()

		// The person is asked again, once, and the call goes on.
		calls := []<-chan world.Reply{h.Call(t.Context(), "whoami", nil), h.Call(t.Context(), "whoami", nil)}
		w.Approves()
		for _, call := range calls {
			(<-call).Succeeds(t, "Ada")
		}
		h.WantPrompts(2)
		w.WantAuthorizations(2)
		if n := w.AS.Count(fakeas.Refresh, ""); n != 1 {
			t.Errorf("%d refreshes, want 1", n)
		}
	})
}

func TestRefreshUnavailable(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute}})
		h := w.Host(era, world.Accepts)
		first := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-first).Succeeds(t, "Ada")
		world.Later(time.Minute)
		w.AS.Script(fakeas.Refresh, fakeas.Unavailable(503, 0))

		// Asking the person would not help either; the grant is kept.
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnavailable)
		h.Gets("whoami", nil, "Ada")
		h.WantPrompts(1)
	})
}

func TestTokenWithoutRefreshExpires(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute, NoRefresh: true}})
		h := w.Host(era, world.Accepts)
		for range 2 {
			call := h.Call(t.Context(), "whoami", nil)
			w.Approves()
			(<-call).Succeeds(t, "Ada")
			world.Later(time.Minute)
		}
		h.WantPrompts(2)
	})
}

// refreshes notes what each refresh asked for by name.
type refreshes struct {
	next http.RoundTripper

	mu    sync.Mutex
	asked []string
}

func (r *refreshes) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		form, _ := url.ParseQuery(string(body))
		if form.Get("grant_type") == "refresh_token" {
			r.mu.Lock()
			r.asked = append(r.asked, form.Get("scope"))
			r.mu.Unlock()
		}
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(strings.NewReader(string(body)))
	}
	return r.next.RoundTrip(req)
}

// A server that narrows a token at a refresh has not narrowed the grant: the rest is asked
// for by name, at once where it is needed, after a restart, and nobody is prompted. A server
// that wants no names is asked without.
func TestRefresh_NarrowedIsAskedForByName(t *testing.T) {
	for name, test := range map[string]struct {
		script []fakeas.Behaviour
		asked  string
	}{
		"":                  {nil, `["" "notes:read profile"]`},
		"names are refused": {[]fakeas.Behaviour{fakeas.Error(400, "invalid_scope")}, `["" "notes:read profile" ""]`},
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				as, kept := fakeas.New(&fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}), store.Memory()
				narrow := true
				r := &refreshes{next: tokens{as.Transport(), func(granted string) string {
					if as.Count(fakeas.Refresh, fakeas.OK) > 0 && narrow {
						return "profile"
					}
					return granted
				}}}
				w := world.New(t, world.Setup{Shared: as, Options: lazyauth.Options{Transport: r, Store: kept}})
				if err := w.Auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("profile", "notes:read"), approving(w)); err != nil {
					t.Fatal(err)
				}
				world.Later(2 * time.Hour)
				w.Host(era, world.Accepts).Gets("whoami", nil, "Ada")
				narrow = false
				as.Script(fakeas.Refresh, test.script...)
				again := world.New(t, world.Setup{Shared: as, Options: lazyauth.Options{Transport: r, Store: kept}})
				h := again.Host(era, world.Accepts)
				h.Gets("list_notes", nil, "[]")
				h.WantPrompts(0)
				if got := fmt.Sprintf("%q", r.asked); got != test.asked {
					t.Errorf("refreshes asked for %s, want %s", got, test.asked)
				}
			})
		})
	}
}

// What is missing after it was asked for by name is gone: the person is asked, once.
func TestRefresh_NarrowedForGood(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		as := fakeas.New(&fakeas.Options{TokenLifetime: time.Hour})
		r := &refreshes{next: tokens{as.Transport(), func(granted string) string {
			if as.Count(fakeas.DeviceAuthorization, "") == 1 && as.Count(fakeas.Refresh, fakeas.OK) > 0 {
				return "profile"
			}
			return granted
		}}}
		w := world.New(t, world.Setup{Shared: as, Options: lazyauth.Options{Transport: r}})
		if err := w.Auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("profile", "notes:read"), approving(w)); err != nil {
			t.Fatal(err)
		}
		h := w.Host(era, world.Accepts)
		world.Later(2 * time.Hour)
		call := h.Call(t.Context(), "list_notes", nil)
		w.ApprovesFor("notes:read profile")
		(<-call).Succeeds(t, "[]")
		h.WantPrompts(1)
		if got := fmt.Sprintf("%q", r.asked); got != `["" "notes:read profile"]` {
			t.Errorf("refreshes asked for %s", got)
		}
	})
}

// A refresh that is answered with an empty 400 may have had a bad token, or a bad client. The
// grant is dropped once the client is known to be good, and not before.
func TestRefresh_EmptyRefusal(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute}, Options: lazyauth.Options{Store: kept}})
		h := w.SignedIn(era)
		world.Later(time.Hour)
		// A typo in the client's secret: no device code, either.
		w.AS.Script(fakeas.Refresh, fakeas.Raw(400, nil, "").Times(2))
		w.AS.Script(fakeas.DeviceAuthorization, fakeas.Error(401, "invalid_client"))
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnavailable)
		if keys, _ := kept.Keys(t.Context()); len(keys) != 1 {
			t.Fatal("the grant was dropped by a client that is not known to be good")
		}
		// It is mended, and the token is bad all the same.
		call := h.Call(t.Context(), "whoami", nil)
		w.Person()
		world.Later(10 * time.Second) // it is polled, and pending
		if keys, _ := kept.Keys(t.Context()); len(keys) != 0 {
			t.Error("the grant is still there")
		}
		<-call // nobody approves
		call = h.Call(t.Context(), "whoami", nil)
		w.AS.Approve(w.AS.Waiting()[0].UserCode)
		(<-call).Succeeds(t, "Ada")
		if n := w.AS.Count(fakeas.Refresh, ""); n != 2 {
			t.Errorf("%d refreshes, want 2", n)
		}
	})
}

// A success that cannot be read may have used the refresh token up: there is one more try,
// and then the person is asked.
func TestRefresh_Unreadable(t *testing.T) {
	for name, b := range map[string]fakeas.Behaviour{
		"empty object": fakeas.Raw(200, http.Header{"Content-Type": {"application/json"}}, "{}"),
		"maintenance":  fakeas.Raw(200, http.Header{"Content-Type": {"application/json"}}, `{"status":"maintenance"}`),
		"page":         fakeas.Raw(200, http.Header{"Content-Type": {"text/html"}}, "<html>"),
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute}})
				h := w.SignedIn(era)
				world.Later(time.Hour)
				w.AS.Script(fakeas.Refresh, b.Times(2))
				(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnavailable)
				call := h.Call(t.Context(), "whoami", nil)
				w.Approves()
				(<-call).Succeeds(t, "Ada")
				h.WantPrompts(2)
				if n := w.AS.Count(fakeas.Refresh, ""); n != 2 {
					t.Errorf("%d refreshes, want 2", n)
				}
			})
		})
	}
}
