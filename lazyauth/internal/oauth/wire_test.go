package oauth_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/internal/pipenet"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

func TestAnEndpointKeepsItsQuery(t *testing.T) {
	s := new(server).On("/token", ok(granted))
	c := client(t, s, func(config *oauth.Config) { config.Endpoints.Token = "https://as.example/token?tenant=1" })
	if _, err := c.Refresh(t.Context(), refreshToken, scopes.Set{}); err != nil {
		t.Fatal(err)
	}
	if got := s.Requests[0].URL; got != "https://as.example/token?tenant=1" {
		t.Errorf("sent to %s", got)
	}
}

// serves has a server of net/http answer until the test ends, and returns its URL and a transport that leads to it, without
// sockets: in a testing/synctest bubble the time that net/http gives a request to have been written, for its connection
// to be kept, does not pass.
func serves(t *testing.T, handler http.HandlerFunc) (at string, transport *http.Transport) {
	machine := new(pipenet.Machine)
	listener, err := machine.Listen(t.Context(), "tcp", "127.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: handler}}
	server.Start()
	transport = &http.Transport{DialContext: machine.Dial}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
	})
	return server.URL, transport
}

// A connection is kept for the next request, because each body is read to its end, and a redirect to
// another server is not followed.
func TestOnAConnection(t *testing.T) { synctest.Test(t, testOnAConnection) }

func testOnAConnection(t *testing.T) {
	peers := map[string]bool{}
	at, transport := serves(t, func(w http.ResponseWriter, req *http.Request) {
		if req.Host != "127.0.0.1:80" {
			t.Error("the redirect was followed")
		}
		peers[req.RemoteAddr] = true
		if req.FormValue("refresh_token") == "" {
			http.Redirect(w, req, "http://127.0.0.2/", http.StatusTemporaryRedirect)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "1"})
		if len(req.Cookies()) > 0 {
			t.Error("a cookie came back")
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, granted+strings.Repeat(" ", 20_000))
	})
	c := client(t, nil, func(config *oauth.Config) {
		config.Endpoints = oauth.Endpoints{Revocation: at, Token: at}
		config.Transport = transport
	})
	for range 3 {
		if _, err := c.Refresh(t.Context(), refreshToken, scopes.Set{}); err != nil {
			t.Fatal(err)
		}
	}
	if len(peers) != 1 {
		t.Errorf("%d connections for three requests", len(peers))
	}
	wantError(t, c.Revoke(t.Context(), accessToken, oauth.AccessToken), oauth.ErrNotRevoked)
}

// A code is presented on a connection that nothing was sent on before: one that has been idle may be
// closed by the server just then, and the code is lost with it.
func TestExchange_ConnectionOfItsOwn(t *testing.T) {
	peers := map[string][]string{}
	as := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		peers[req.RemoteAddr] = append(peers[req.RemoteAddr], req.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		switch req.URL.Path {
		case "/push":
			w.WriteHeader(http.StatusCreated)
			io.WriteString(w, `{"request_uri":"urn:example:1","expires_in":60}`)
		case "/token":
			io.WriteString(w, granted)
		default:
			io.WriteString(w, `{"issuer":"http://`+req.Host+`","authorization_endpoint":"http://`+req.Host+`/auth","token_endpoint":"http://`+req.Host+`/token"}`)
		}
	}))
	defer as.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	if _, err := oauth.Discover(t.Context(), transport, as.URL, oauth.DiscoverOptions{}); err != nil {
		t.Fatal(err)
	}
	c := client(t, nil, func(config *oauth.Config) {
		config.Endpoints = oauth.Endpoints{PushedAuthorization: as.URL + "/push", Token: as.URL + "/token"}
		config.Transport = transport
	})
	for range 2 {
		if _, err := c.Push(t.Context(), url.Values{"state": {"1"}}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Exchange(t.Context(), "code", "http://127.0.0.1/callback", "verifier", scopes.Set{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, paths := range peers {
		if len(paths) != 1 {
			t.Errorf("on one connection: %q", paths)
		}
	}
}

// A server closes a connection that it has kept, while a request is on its way. One that does no harm
// twice is sent again; a refresh token is not, since the server may have taken it.
func TestOnAConnectionThatIsClosed(t *testing.T) {
	for _, test := range []struct {
		name string
		send func(context.Context, *oauth.Client) error
		want error
	}{
		{"a revocation", func(ctx context.Context, c *oauth.Client) error {
			return c.Revoke(ctx, accessToken, oauth.AccessToken)
		}, nil},
		{"a refresh", func(ctx context.Context, c *oauth.Client) error {
			_, err := c.Refresh(ctx, refreshToken, scopes.Set{})
			return err
		}, oauth.ErrUnavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				seen := map[string]int{}
				lost := 0
				at, transport := serves(t, func(w http.ResponseWriter, req *http.Request) {
					if _, ok := req.Header["Idempotency-Key"]; ok {
						t.Error("the server sees a header that was for the transport")
					}
					mu.Lock()
					defer mu.Unlock()
					if seen[req.RemoteAddr]++; seen[req.RemoteAddr] > 1 {
						lost++
						panic(http.ErrAbortHandler)
					}
					w.Header().Set("Content-Type", "application/json")
					io.WriteString(w, "{}")
				})
				c := client(t, nil, func(config *oauth.Config) {
					config.Endpoints = oauth.Endpoints{Revocation: at, Token: at, DeviceAuthorization: at}
					config.Transport = transport
				})
				if err := c.Revoke(t.Context(), accessToken, oauth.AccessToken); err != nil {
					t.Fatal(err)
				}
				if err := test.send(t.Context(), c); !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
					t.Errorf("%v, want %v", err, test.want)
				}
				mu.Lock()
				defer mu.Unlock()
				if lost != 1 {
					t.Errorf("%d requests were lost", lost)
				}
			})
		})
	}
}

func FuzzRetryAfter(f *testing.F) {
	now := time.Date(2026, 2, 1, 10, 0, 0, 0, time.UTC)
	for _, text := range []string{"", "0", "-1", "120", "1e99", "NaN", "Inf", "0x7fffffffffffffff", "Sun, 01 Feb 2026 10:00:40 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"} {
		f.Add(text, "")
		f.Add(text, "Thu, 01 Jan 0001 00:00:00 GMT")
	}
	f.Fuzz(func(t *testing.T, text, date string) {
		header := http.Header{"Retry-After": {text}, "Date": {date}}
		if got := oauth.ReadRetryAfter(header, now); got < 0 || got > 5*time.Minute {
			t.Errorf("%q at %q is %v", text, date, got)
		}
	})
}
