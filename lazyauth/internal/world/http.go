package world

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// ServeHTTP serves a world's server on a listener, if it is to be verified behind
// a verifier that takes bearer tokens for user names, and returns its address.
func ServeHTTP(t *testing.T, w *World, stateless, verified bool) string {
	t.Helper()
	var handler http.Handler = mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return w.Server },
		&mcp.StreamableHTTPOptions{Stateless: stateless})
	if verified {
		handler = auth.RequireBearerToken(func(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
			return &auth.TokenInfo{UserID: token, Expiration: time.Now().Add(time.Hour), Extra: map[string]any{"iss": "https://idp.example"}}, nil
		}, nil)(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// OverHTTP serves a world's server on a listener, behind a verifier that takes
// bearer tokens for user names; it returns a function that connects a host as
// a user, or as nobody.
func OverHTTP(t *testing.T, w *World, era string, verified bool) func(user string) *Host {
	t.Helper()
	url := ServeHTTP(t, w, era == Modern, verified)
	return func(user string) *Host {
		return w.Connect(era, Manners{URL: true, React: Accepts}, &mcp.StreamableClientTransport{
			Endpoint: url, HTTPClient: &http.Client{Transport: AsUser(user)},
		})
	}
}

// AsUser returns the transport of a host that sends a user's bearer token, or none.
func AsUser(user string) http.RoundTripper { return bearer(user) }

type bearer string

func (u bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	if u != "" {
		req.Header.Set("Authorization", "Bearer "+string(u))
	}
	return http.DefaultTransport.RoundTrip(req)
}

// HostAt connects a host of user's over HTTP.
func (w *World) HostAt(url, user string, m Manners) *Host {
	return w.Connect(Modern, m, &mcp.StreamableClientTransport{Endpoint: url, HTTPClient: &http.Client{Transport: AsUser(user)}})
}
