package lazyauth_test

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

func TestRefresh_Refused(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute}})
		h := w.SignedIn(era)
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

func TestRefresh_Unavailable(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute}})
		h := w.SignedIn(era)
		world.Later(time.Minute)
		w.AS.Script(fakeas.Refresh, fakeas.Unavailable(503, 0))

		// Asking the person would not help either; the grant is kept.
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnavailable)
		h.Gets("whoami", nil, "Ada")
		h.WantPrompts(1)
	})
}

// The authorization server is away for an hour. What still works goes on, the rest fails
// and says why, and nobody has to sign in when it is back.
func TestRefresh_FailsForAnHour(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		as := fakeas.New(&fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true})
		var away atomic.Bool
		var tries atomic.Int64
		w := world.New(t, world.Setup{Shared: as, Options: lazyauth.Options{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
			if away.Load() && strings.HasPrefix(req.URL.String(), as.Issuer()) {
				tries.Add(1)
				return nil, errors.New("connection refused")
			}
			return as.Transport().RoundTrip(req)
		})}})
		h := w.SignedIn(era)
		world.Later(54*time.Minute + 30*time.Second)
		away.Store(true)
		for range 5 { // it is due, and has not ended
			world.Later(time.Minute)
			h.Gets("whoami", nil, "Ada")
		}
		if n := tries.Load(); n < 2 || n > 8 {
			t.Errorf("it was tried %d times ahead of the end", n)
		}
		world.Later(time.Minute)
		for range 10 {
			world.Later(5 * time.Minute)
			(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnavailable)
		}
		away.Store(false)
		h.Gets("whoami", nil, "Ada")
		h.WantPrompts(1)
		w.WantAuthorizations(1)
	})
}

// What real servers send in place of invalid_grant leads to the prompt as well, once.
func TestRefresh_RefusalsOfRealServers(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute}})
		h := w.SignedIn(era)
		world.Later(2 * time.Minute)
		w.AS.Script(fakeas.Refresh, fakeas.Raw(http.StatusBadRequest, nil, ""))
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		h.WantPrompts(2)
		if n := w.AS.Count(fakeas.Refresh, ""); n != 1 {
			t.Errorf("%d refreshes", n)
		}
	})
}

// Only the server's own word ends a grant. Whatever else answers a refresh, the call is
// refused for now, and the next one refreshes with the same token; nobody is asked.
func TestRefresh_AnythingInBetweenKeepsTheGrant(t *testing.T) {
	text := func(kind string) http.Header { return http.Header{"Content-Type": {kind}} }
	for name, answer := range map[string]fakeas.Behaviour{
		"200 {}":             fakeas.Raw(200, text("application/json"), `{}`),
		"200 maintenance":    fakeas.Raw(200, text("application/json"), `{"status":"maintenance"}`),
		"200 gzip":           fakeas.Raw(200, text("application/json"), "\x1f\x8b\x08\x00\x00"),
		"200 too large":      fakeas.Raw(200, text("application/json"), strings.Repeat(" ", 65<<10)+"{}"),
		"400 page":           fakeas.Raw(400, text("text/html"), "<html>error=invalid_grant</html>"),
		"401 page":           fakeas.Raw(401, text("text/html"), "<html>"),
		"400 a sentence":     fakeas.Raw(400, text("application/json"), `{"message":"invalid_grant"}`),
		"401 a sentence":     fakeas.Raw(401, text("application/json"), `{"message":"Unauthorized"}`),
		"empty 401":          fakeas.Raw(401, nil, ""),
		"429 limit":          fakeas.Raw(429, http.Header{"Retry-After": {"7"}}, `{"error":"too_many_requests"}`),
		"429 with a verdict": fakeas.Raw(429, nil, `{"error":"invalid_grant"}`),
		"500 unheard of":     fakeas.Raw(500, nil, `{"error":"boom"}`),
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				kept := store.Memory()
				w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute}, Options: lazyauth.Options{Store: kept}})
				h := w.SignedIn(era)
				world.Later(2 * time.Minute)
				w.AS.Script(fakeas.Refresh, answer)
				(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnavailable)
				h.Gets("whoami", nil, "Ada")
				h.WantPrompts(1)
				w.WantAuthorizations(1)
			})
		})
	}
}

// Where another try will not help, the person is asked, and the grant stays until they
// have signed in: a process that comes later finds it.
func TestRefresh_AskedAndKept(t *testing.T) {
	dpop := fakeas.Raw(200, nil, `{"access_token":"bound-to-a-key","token_type":"DPoP"}`)
	for name, answers := range map[string][]fakeas.Behaviour{
		"a success without a token, twice": {fakeas.Raw(200, nil, `{}`), fakeas.Raw(200, nil, `{}`)},
		"a token that cannot be used":      {dpop},
		"a token that is none":             {fakeas.Raw(200, nil, `{"access_token":"not a token"}`)},
		"an empty 400":                     {fakeas.Raw(400, nil, "")},
		"a disabled client":                {fakeas.Error(403, "unauthorized_client")},
		"a word of its own":                {fakeas.Error(400, "invalid_refresh_token")},
		"wants the person":                 {fakeas.Error(400, "interaction_required")},
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				kept := store.Memory()
				w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute}, Options: lazyauth.Options{Store: kept}})
				h := w.SignedIn(era)
				world.Later(2 * time.Minute)
				w.AS.Script(fakeas.Refresh, answers...)
				for range len(answers) - 1 {
					(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnavailable)
				}
				call := h.Call(t.Context(), "whoami", nil)
				w.Denies()
				(<-call).Fails(t, lazyauth.ReasonDenied)
				h.WantPrompts(2)

				two := world.New(t, world.Setup{Shared: w.AS, Options: lazyauth.Options{Store: kept}})
				other := two.Host(era, world.Accepts)
				other.Gets("whoami", nil, "Ada")
				other.WantPrompts(0)
			})
		})
	}
}

// A refresh ahead of time that is refused does not take away what still works.
func TestRefresh_RefusedAhead(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour}})
		h := w.SignedIn(era)
		world.Later(59 * time.Minute)
		w.AS.RevokeRefreshTokens()
		for range 3 {
			h.Gets("whoami", nil, "Ada")
			world.Later(5 * time.Second)
		}
		h.WantPrompts(1)
		world.Later(time.Minute)
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		h.WantPrompts(2)
	})
}

// A page of something in between is no verdict on a grant.
func TestRefresh_PageInItsPlace(t *testing.T) {
	for name, b := range map[string]fakeas.Behaviour{
		"404 page": fakeas.Raw(404, http.Header{"Content-Type": {"text/html"}}, "<html>no route</html>"),
		"403 page": fakeas.Raw(403, http.Header{"Content-Type": {"text/html"}}, "<html>blocked</html>"),
		"302":      fakeas.Raw(302, http.Header{"Location": {"https://portal.example/"}}, ""),
		"200 page": fakeas.Raw(200, http.Header{"Content-Type": {"text/html"}}, "<html>maintenance</html>"),
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute, DetectReuse: true}, Options: lazyauth.Options{Store: store.Memory()}})
				h := w.SignedIn(era)
				world.Later(2 * time.Minute)
				w.AS.Script(fakeas.Refresh, b)
				c := h.Call(t.Context(), "whoami", nil)
				world.Later(20 * time.Second)
				select {
				case r := <-c:
					r.Fails(t, lazyauth.ReasonUnavailable)
				default:
					t.Error("the person is asked, and the grant is gone")
					w.Approves()
					<-c
				}
			})
		})
	}
}

// A refresh token that is refused for whatever reason leads to the person, in the end.
func TestRefresh_RefusedForAnotherReason(t *testing.T) {
	for _, code := range []string{"unauthorized_client", "access_denied", "invalid_request", "invalid_refresh_token"} {
		t.Run(code, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				kept := store.Memory()
				w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute}, Options: lazyauth.Options{Store: kept}})
				w.SignedIn(era)
				w.AS.Script(fakeas.Refresh, fakeas.Error(403, code).Times(-1))
				for range 3 {
					world.Later(24 * time.Hour)
					two := world.New(t, world.Setup{Shared: w.AS, Options: lazyauth.Options{Store: kept}})
					h := two.Host(era, world.Accepts)
					c := h.Call(t.Context(), "whoami", nil)
					world.Later(20 * time.Second)
					select {
					case r := <-c:
						t.Errorf("nobody is asked: %s", r.Text())
					default:
						two.Approves()
						(<-c).Succeeds(t, "Ada")
						return
					}
				}
			})
		})
	}
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
		(<-call).Fails(t, lazyauth.ReasonPending) // nobody approves
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
