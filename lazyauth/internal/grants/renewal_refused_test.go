package grants_test

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// A refresh ahead that fails is tried again after a while, as long as the grant is good.
// When it has ended those who need it are told why, and the grant is kept for a better time.
func TestRefresh_FailsForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var away atomic.Bool
		var tries atomic.Int64
		w := newWorld(t, setup{
			as: fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true},
			wire: func(next http.RoundTripper) http.RoundTripper {
				return roundTripper(func(req *http.Request) (*http.Response, error) {
					if away.Load() {
						tries.Add(1)
						return nil, errors.New("connection refused")
					}
					return next.RoundTrip(req)
				})
			},
		})
		w.signsIn(profile)
		gate := &grants.Gate{Need: profile}
		later(54*time.Minute + 30*time.Second)
		away.Store(true)
		for range 5 * 60 {
			later(time.Second)
			if !w.me.Authorizes(gate) {
				t.Fatal("what still works does not go on")
			}
		}
		if n := tries.Load(); n < 5 || n > 11 {
			t.Errorf("it was tried %d times ahead of the end", n)
		}
		later(time.Minute)
		for range 10 {
			later(5 * time.Minute)
			(<-w.asks(profile)).fails(grants.ErrRefresh)
		}
		for _, failed := range w.told("refresh failed") {
			if failed.ended || !errors.Is(failed.err, oauth.ErrUnavailable) {
				t.Errorf("told that it has ended (%t) with %v", failed.ended, failed.err)
			}
		}
		away.Store(false)
		w.has(profile)
	})
}

// What the server refuses to refresh has ended: the person is asked, once for all.
func TestRefresh_Refused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Minute}, store: store.Memory()})
		w.signsIn(profile)
		later(time.Minute)
		w.as.RevokeRefreshTokens()
		one, two := w.asks(profile), w.asks(profile)
		w.person()
		if w.stored() != "" {
			t.Error("it is still in the store")
		}
		w.approves()
		(<-one).holds(profile)
		(<-two).holds(profile)
		w.wants(fakeas.Refresh, 1)
		w.wants(fakeas.DeviceAuthorization, 2)
		if failed := w.told("refresh failed"); len(failed) != 1 || !failed[0].ended {
			t.Errorf("told %v", failed)
		}
	})
}

// A refresh ahead of time that is refused takes nothing away of what still works, and is not
// tried again.
func TestRefresh_RefusedAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}, store: store.Memory()})
		w.signsIn(profile)
		later(59 * time.Minute)
		w.as.RevokeRefreshTokens()
		gate := &grants.Gate{Need: profile}
		for range 5 {
			if !w.me.Authorizes(gate) {
				t.Fatal("what still works does not go on")
			}
			later(5 * time.Second)
		}
		if w.me.Grant().Renewable() || strings.Contains(w.stored(), `"refresh"`) {
			t.Error("the refresh token is still there")
		}
		later(time.Minute)
		c := w.asks(profile)
		w.approves()
		(<-c).holds(profile)
		w.wants(fakeas.Refresh, 1)
	})
}

// Only the server's own word ends a grant. Whatever else answers a refresh, whoever needs it
// is refused for now, and the next one refreshes with the same token; nobody is asked.
func TestRefresh_AnythingInBetweenKeepsTheGrant(t *testing.T) {
	text := func(kind string) http.Header { return http.Header{"Content-Type": {kind}} }
	for name, answer := range map[string]fakeas.Behaviour{
		"503":                fakeas.Unavailable(503, 0),
		"reset":              fakeas.Reset(),
		"200 {}":             fakeas.Raw(200, text("application/json"), `{}`),
		"200 maintenance":    fakeas.Raw(200, text("application/json"), `{"status":"maintenance"}`),
		"200 gzip":           fakeas.Raw(200, text("application/json"), "\x1f\x8b\x08\x00\x00"),
		"200 too large":      fakeas.Raw(200, text("application/json"), strings.Repeat(" ", 65<<10)+"{}"),
		"200 page":           fakeas.Raw(200, text("text/html"), "<html>maintenance</html>"),
		"302":                fakeas.Redirect(302, "https://portal.example/"),
		"400 page":           fakeas.Raw(400, text("text/html"), "<html>error=invalid_grant</html>"),
		"401 page":           fakeas.Raw(401, text("text/html"), "<html>"),
		"403 page":           fakeas.Raw(403, text("text/html"), "<html>blocked</html>"),
		"404 page":           fakeas.Raw(404, text("text/html"), "<html>no route</html>"),
		"400 a sentence":     fakeas.Raw(400, text("application/json"), `{"message":"invalid_grant"}`),
		"401 a sentence":     fakeas.Raw(401, text("application/json"), `{"message":"Unauthorized"}`),
		"empty 401":          fakeas.Raw(401, nil, ""),
		"429 limit":          fakeas.Raw(429, http.Header{"Retry-After": {"7"}}, `{"error":"too_many_requests"}`),
		"429 with a verdict": fakeas.Raw(429, nil, `{"error":"invalid_grant"}`),
		"500 unheard of":     fakeas.Raw(500, nil, `{"error":"boom"}`),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Minute, DetectReuse: true}, store: store.Memory()})
				w.signsIn(profile)
				later(2 * time.Minute)
				w.as.Script(fakeas.Refresh, answer)
				(<-w.asks(profile)).fails(grants.ErrRefresh)
				later(10 * time.Second) // the server may have said when to come back
				w.has(profile)
			})
		})
	}
}

// Where another try will not help, the person is asked, and the grant stays until they have
// signed in: a process that comes later finds it.
func TestRefresh_AskedAndKept(t *testing.T) {
	for name, answers := range map[string][]fakeas.Behaviour{
		"a success without a token, twice": {fakeas.Raw(200, nil, `{}`), fakeas.Raw(200, nil, `{}`)},
		"a page, twice":                    {fakeas.Raw(200, nil, `<html>`), fakeas.Raw(200, nil, `<html>`)},
		"a token that cannot be used":      {fakeas.Raw(200, nil, `{"access_token":"bound-to-a-key","token_type":"DPoP"}`)},
		"a token that is none":             {fakeas.Raw(200, nil, `{"access_token":"not a token"}`)},
		"an empty 400":                     {fakeas.Raw(400, nil, "")},
		"a disabled client":                {fakeas.Error(403, "unauthorized_client")},
		"a denial":                         {fakeas.Error(403, "access_denied")},
		"a bad request":                    {fakeas.Error(400, "invalid_request")},
		"a word of its own":                {fakeas.Error(400, "no_such_session")},
		"wants the person":                 {fakeas.Error(400, "interaction_required")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Minute}, store: store.Memory()})
				w.signsIn(profile)
				later(2 * time.Minute)
				w.as.Script(fakeas.Refresh, answers...)
				for range len(answers) - 1 {
					(<-w.asks(profile)).fails(grants.ErrRefresh)
				}
				one := w.asks(profile)
				code := w.person().UserCode
				two := w.asks(profile) // what is of no use is not tried while the person is being asked
				synctest.Wait()
				w.wants(fakeas.Refresh, len(answers))
				if err := w.as.Deny(code); err != nil {
					t.Fatal(err)
				}
				(<-one).fails(oauth.ErrDenied)
				(<-two).fails(oauth.ErrDenied)
				w.another().has(profile)
				w.has(profile) // here as well, now that another one has refreshed
			})
		})
	}
}

// One that is refused for good leads to the person each time, until they have signed in.
func TestRefresh_RefusedForAnotherReason(t *testing.T) {
	for _, code := range []string{"unauthorized_client", "access_denied", "invalid_request", "no_such_session"} {
		t.Run(code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Minute}, store: store.Memory()})
				w.signsIn(profile)
				w.as.Script(fakeas.Refresh, fakeas.Error(403, code).Times(-1))
				later(24 * time.Hour)
				two := w.another()
				c := two.asks(profile)
				w.denies()
				(<-c).fails(oauth.ErrDenied)
				two.signsIn(profile)
			})
		})
	}
}

// The answer with the rotated token is lost: whoever waited is refused, and what the server
// says of the used token leads to the person, once.
func TestRefresh_RotatedTokenLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Minute, DetectReuse: true}})
		w.tolerated = append(w.tolerated, fakeas.RefreshTokenReused)
		w.signsIn(profile)
		later(2 * time.Minute)
		w.as.Script(fakeas.Refresh, fakeas.Lose())
		(<-w.asks(profile)).fails(grants.ErrRefresh)
		one, two := w.asks(profile), w.asks(profile)
		w.approves()
		(<-one).holds(profile)
		(<-two).holds(profile)
		w.wants(fakeas.DeviceAuthorization, 2)
	})
}

// A refresh that is answered with an empty 400 may have had a bad token, or a bad client. The
// grant is dropped once the client is known to be good, and not before.
func TestRefresh_EmptyRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Minute}, store: store.Memory()})
		w.signsIn(profile)
		later(time.Hour)
		// A typo in the client's secret: no device code, either.
		w.as.Script(fakeas.Refresh, fakeas.Raw(400, nil, "").Times(2))
		w.as.Script(fakeas.DeviceAuthorization, fakeas.Error(401, "invalid_client"))
		(<-w.asks(profile)).fails(oauth.ErrRefused)
		if w.stored() == "" || w.me.Grant() == nil {
			t.Fatal("the grant was dropped by a client that is not known to be good")
		}
		// It is mended, and the token is bad all the same.
		c := w.asks(profile)
		w.person()
		later(4 * time.Second)
		if w.stored() == "" || w.me.Grant() == nil {
			t.Fatal("the grant was dropped before the code was polled for")
		}
		later(2 * time.Second)
		if w.stored() != "" || w.me.Grant() != nil {
			t.Error("the grant is still there")
		}
		w.approves()
		(<-c).holds(profile)
		w.wants(fakeas.Refresh, 2)
	})
}
