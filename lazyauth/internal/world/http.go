package world

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/internal/pipenet"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A Web is a world's server over HTTP, on a machine without sockets, so that it can be in a
// synctest bubble.
type Web struct {
	w        *World
	on       pipenet.Machine
	endpoint string
}

// ServeHTTP serves a world's server over HTTP until the test ends; if it is to be verified,
// behind a verifier that takes bearer tokens for user names.
func ServeHTTP(t *testing.T, w *World, stateless, verified bool) *Web {
	t.Helper()
	var handler http.Handler = mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return w.Server },
		&mcp.StreamableHTTPOptions{Stateless: stateless})
	if verified {
		handler = auth.RequireBearerToken(func(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
			return &auth.TokenInfo{UserID: token, Expiration: time.Now().Add(time.Hour), Extra: map[string]any{"iss": "https://idp.example"}}, nil
		}, nil)(handler)
	}
	web := &Web{w: w}
	listener, err := web.on.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web.endpoint = "http://" + listener.Addr().String()
	server, ended := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}, make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		<-ended
	})
	return web
}

// As returns a transport of a user's, or of nobody's.
func (web *Web) As(user string) *mcp.StreamableClientTransport {
	transport := &http.Transport{DialContext: web.on.Dial}
	web.w.T.Cleanup(transport.CloseIdleConnections)
	return &mcp.StreamableClientTransport{Endpoint: web.endpoint, HTTPClient: &http.Client{Transport: bearer{user, transport}}}
}

// HostAs connects a host of a user's.
func (web *Web) HostAs(user string, m Manners) *Host {
	return web.w.Connect(Modern, m, web.As(user))
}

// OverHTTP serves a world's server over HTTP, behind a verifier that takes bearer tokens for
// user names; it returns a function that connects a host as a user, or as nobody.
func OverHTTP(t *testing.T, w *World, era string, verified bool) func(user string) *Host {
	t.Helper()
	web := ServeHTTP(t, w, era == Modern, verified)
	return func(user string) *Host {
		return w.Connect(era, Manners{URL: true, React: Accepts}, web.As(user))
	}
}

// AsUser returns the transport of a host that sends a user's bearer token over a network.
func AsUser(user string) http.RoundTripper { return bearer{user, http.DefaultTransport} }

// bearer sends a user's bearer token, if there is a user.
type bearer struct {
	user string
	next http.RoundTripper
}

func (b bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	if b.user != "" {
		req.Header.Set("Authorization", "Bearer "+b.user)
	}
	return b.next.RoundTrip(req)
}
