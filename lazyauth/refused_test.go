package lazyauth_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

func TestRefused_RevokedAtTheServer(t *testing.T) {
	t.Run("refreshed", func(t *testing.T) {
		world.InBothEras(t, func(t *testing.T, era string) {
			w := world.New(t, world.Setup{})
			h := w.SignedIn(era)
			w.AS.ExpireAccessTokens()
			h.Gets("whoami", nil, "Ada")
			h.WantPrompts(1)
			if n := w.AS.Count(fakeas.Refresh, fakeas.OK); n != 1 {
				t.Errorf("%d refreshes, want 1", n)
			}
		})
	})
	t.Run("asked", func(t *testing.T) {
		world.InBothEras(t, func(t *testing.T, era string) {
			w := world.New(t, world.Setup{})
			h := w.SignedIn(era)
			w.AS.RevokeAll()
			call := h.Call(t.Context(), "whoami", nil)
			w.Approves()
			(<-call).Succeeds(t, "Ada")
			h.WantPrompts(2)
		})
	})
}

// refusals are headers of a 401, as servers write them, and whether a sign-in may help.
var refusals = map[string]struct {
	header []string
	signIn bool
}{
	"RFC 6750":         {[]string{`Bearer error="invalid_token", error_description="gone"`}, true},
	"none":             {nil, true},
	"no commas":        {[]string{`Bearer realm="service" error="invalid_token" error_description="gone"`}, true},
	"a bad neighbour":  {[]string{`Basic realm="security" charset="UTF-8"`, `Bearer realm="security"`, `ApiKey`}, true},
	"in one line":      {[]string{`Basic realm="security" charset="UTF-8", Bearer realm="security", ApiKey`}, true},
	"bare URLs":        {[]string{`Bearer authorization_uri=https://login.test/authorize, resource_id=https://org.test/`}, true},
	"and a neighbour":  {[]string{`Bearer authorization_uri=https://login.test/x, Basic realm="https://ado.test/", TFS-Federated`}, true},
	"unquoted":         {[]string{`Bearer error=invalid_token, error_description=The token has expired`}, true},
	"single quotes":    {[]string{`Bearer realm='my api', error='invalid_token'`}, true},
	"another code":     {[]string{`Bearer error="expired_token"`}, true},
	"scopes like dust": {[]string{`Bearer error="invalid_token", scope="a\"b"`}, true},
	"another scheme":   {[]string{`Token realm="Application"`}, false},
	"OAuth 1":          {[]string{`OAuth realm="https://jira.test"`}, false},
	"Windows":          {[]string{`Negotiate`, `NTLM`}, false},
	"claims":           {[]string{`Bearer error="insufficient_claims", claims="eyJ"`}, false},
	"a second factor":  {[]string{`Bearer error="insufficient_user_authentication"`}, false},
}

func unauthorized(header []string) fakeas.Behaviour {
	return fakeas.Raw(401, http.Header{"Www-Authenticate": header}, "{}")
}

// A 401 means the token, whatever its header says: it is refreshed.
func TestRefused_WhateverTheHeaderSays(t *testing.T) {
	for name, test := range refusals {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{})
				h := w.SignedIn(era)
				w.AS.Script(fakeas.Me, unauthorized(test.header))
				h.Gets("whoami", nil, "Ada")
				h.WantPrompts(1)
				w.WantRefreshes(1)
			})
		})
	}
}

// The person is asked only where that may help; otherwise the handler gets the response,
// also where the refresh token has ended.
func TestRefused_AsksWhereASignInMayHelp(t *testing.T) {
	for name, test := range refusals {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{})
				h := w.SignedIn(era)
				w.AS.Script(fakeas.Me, unauthorized(test.header))
				w.AS.RevokeRefreshTokens()
				call := h.Call(t.Context(), "whoami", nil)
				if test.signIn {
					w.Approves()
					(<-call).Succeeds(t, "Ada")
					h.WantPrompts(2)
					return
				}
				if r := <-call; r.Err != nil || !strings.Contains(r.Text(), "401") {
					t.Errorf("got %q, %v", r.Text(), r.Err)
				}
				h.WantPrompts(1)
				w.WantAuthorizations(1)
			})
		})
	}
}

// An author's dialect that says nothing of a 401, or cannot read it, leaves it to the
// standard's.
func TestRefused_WhateverTheDialectSays(t *testing.T) {
	for name, dialect := range map[string]scopes.Dialect{
		"nothing":   func(int, http.Header) (scopes.Demand, error) { return scopes.Demand{}, nil },
		"an error":  func(int, http.Header) (scopes.Demand, error) { return scopes.Demand{}, errors.New("unreadable") },
		"more only": func(int, http.Header) (scopes.Demand, error) { return scopes.Demand{More: true}, nil },
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{Service: func(s *lazyauth.Service) { s.Dialect = dialect }})
				h := w.SignedIn(era)
				w.AS.Script(fakeas.Me, unauthorized(nil))
				h.Gets("whoami", nil, "Ada")
				h.WantPrompts(1)
				w.WantRefreshes(1)
			})
		})
	}
}

// An API that refuses every token costs a refresh, and later a sign-in, in a minute, and not
// with each call; and none at once after the sign-in that its token came of.
func TestRefused_EveryToken(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		w.AS.Script(fakeas.Me, unauthorized(nil).Times(-1))
		h := w.Host(era, world.Accepts)
		refused := func(r world.Reply) {
			t.Helper()
			if r.Err != nil || !strings.Contains(r.Text(), "401") {
				t.Errorf("got %q, %v", r.Text(), r.Err)
			}
		}
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		refused(<-call)
		for range 5 {
			refused(<-h.Call(t.Context(), "whoami", nil))
			world.Later(5 * time.Second)
		}
		h.WantPrompts(1)
		w.WantRefreshes(1)
		if !strings.Contains(w.Log.String(), "audience") {
			t.Errorf("the log does not ask whether the tokens are for another API: %s", w.Log.String())
		}

		world.Later(time.Minute)
		call = h.Call(t.Context(), "whoami", nil)
		w.Approves()
		refused(<-call)
		for range 5 {
			refused(<-h.Call(t.Context(), "whoami", nil))
			world.Later(5 * time.Second)
		}
		h.WantPrompts(2)
		w.WantRefreshes(2)
		w.WantAuthorizations(2)
	})
}

// Each token that worked and is refused then gets its refresh, one for all calls.
func TestRefused_OneRefreshForEachToken(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.SignedIn(era)
		for n := range 2 {
			w.AS.ExpireAccessTokens()
			var calls []<-chan world.Reply
			for range 5 {
				calls = append(calls, h.Call(t.Context(), "whoami", nil))
			}
			for _, call := range calls {
				(<-call).Succeeds(t, "Ada")
			}
			w.WantRefreshes(n + 1)
		}
		h.WantPrompts(1)
	})
}

// slowRefusal is an API that says 401 to every request, after a while.
type slowRefusal struct {
	next  http.RoundTripper
	after time.Duration
	count atomic.Int64
}

func (s *slowRefusal) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host != "api.example.test" {
		return s.next.RoundTrip(req)
	}
	s.count.Add(1)
	world.Later(s.after)
	return &http.Response{StatusCode: 401, Status: "401 Unauthorized", Body: http.NoBody, Request: req, Header: http.Header{}}, nil
}

// Tokens that have ended by the time that the API refuses them are not refreshed for ever.
func TestRefused_TokensThatLapseMeanwhile(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		as := fakeas.New(&fakeas.Options{TokenLifetime: 4 * time.Second})
		api := &slowRefusal{next: as.Transport(), after: 5 * time.Second}
		w := world.New(t, world.Setup{Shared: as, Options: lazyauth.Options{Transport: api}})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		if r := <-call; r.Err != nil || !strings.Contains(r.Text(), "401") {
			t.Errorf("got %q, %v", r.Text(), r.Err)
		}
		if n := api.count.Load(); n > 5 {
			t.Errorf("one request of the handler was sent %d times", n)
		}
		h.WantPrompts(1)
	})
}

func TestRefused_WhereNoSignInHelps(t *testing.T) {
	for name, test := range map[string]struct {
		as        fakeas.Options
		header    string
		refreshes int
	}{
		"after a refresh":         {fakeas.Options{}, `Negotiate`, 1},
		"without a refresh token": {fakeas.Options{NoRefresh: true}, `Bearer error="insufficient_user_authentication"`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{AS: test.as})
				w.AS.Script(fakeas.Me, challenge(401, test.header).Times(-1))
				h := w.Host(era, world.Accepts)
				call := h.Call(t.Context(), "whoami", nil)
				w.Approves()
				if r := <-call; r.Err != nil || !strings.Contains(r.Text(), "401") {
					t.Errorf("got %q, %v", r.Text(), r.Err)
				}
				h.WantPrompts(1)
				w.WantAuthorizations(1)
				if n := w.AS.Count(fakeas.Refresh, fakeas.OK); n != test.refreshes {
					t.Errorf("%d refreshes, want %d", n, test.refreshes)
				}
			})
		})
	}
}

// Some APIs say 401 where RFC 6750 §3.1 has 403.
func TestRefused_ForWantOfScopes(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: world.WithDigest})
		w.AS.Script(fakeas.ListNotes, challenge(401, `Bearer error="insufficient_scope", scope="notes:read"`))
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "digest", world.Note{Text: "x"})
		w.Approves()
		w.Approves()
		(<-call).Succeeds(t, "x")
		h.WantPrompts(2)
		w.WantDigest(1, 1)
		if n := w.AS.Count(fakeas.Refresh, fakeas.OK); n != 0 {
			t.Errorf("%d refreshes, want none", n)
		}
	})
}

// body is that of a refused response: as long as size says, without end if that is negative,
// and without anything to read until it is closed if it is zero.
type body struct {
	size   int
	closed chan struct{}

	mu   sync.Mutex
	read int
}

func (b *body) Read(p []byte) (int, error) {
	if b.size == 0 {
		<-b.closed
		return 0, io.ErrUnexpectedEOF
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.size > 0 {
		p = p[:min(len(p), b.size-b.read)]
		if len(p) == 0 {
			return 0, io.EOF
		}
	}
	b.read += len(p)
	return len(p), nil
}

func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-b.closed:
	default:
		close(b.closed)
	}
	return nil
}

// The body of a refused response holds up nothing, whatever it is like. A short one is read
// to its end, so that the connection can be used again; each is closed.
func TestRefused_Body(t *testing.T) {
	for name, test := range map[string]struct{ size, read int }{
		"short":           {size: 100, read: 100},
		"long":            {size: 1 << 30, read: 4 << 10},
		"without end":     {size: -1, read: 4 << 10},
		"without a start": {size: 0, read: 0},
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				as := fakeas.New(nil)
				b := &body{size: test.size, closed: make(chan struct{})}
				refused := false
				w := world.New(t, world.Setup{Shared: as, Options: lazyauth.Options{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
					if req.URL.Path != "/notes" || refused {
						return as.Transport().RoundTrip(req)
					}
					refused = true
					return &http.Response{StatusCode: 401, Status: "401 Unauthorized", Body: world.Unread{ReadCloser: b}, Request: req, Header: http.Header{}}, nil
				})}})
				h := w.Host(era, world.Accepts)
				call := h.Call(t.Context(), "list_notes", nil)
				w.Approves()
				began := time.Now()
				(<-call).Succeeds(t, "[]")
				if took := time.Since(began); took > 20*time.Second { // the time of the next poll, and the SDK's
					t.Errorf("the call took %v", took)
				}
				<-b.closed // or the story stands still
				b.mu.Lock()
				defer b.mu.Unlock()
				if b.read > test.read+512 || b.read < test.read {
					t.Errorf("%d bytes were read, want %d", b.read, test.read)
				}
			})
		})
	}
}
