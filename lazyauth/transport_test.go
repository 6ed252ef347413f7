package lazyauth_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// elsewhere serves hosts other than the authorization server's and the API's,
// and notes whether a token came along.
type elsewhere struct {
	next   http.RoundTripper
	answer func(http.ResponseWriter) // nil: a text

	mu   sync.Mutex
	seen []string // host, and "+token" if there was one
}

func (e *elsewhere) RoundTrip(req *http.Request) (*http.Response, error) {
	host := req.URL.Host
	if host == "as.example.test" || host == "api.example.test" && req.URL.Path != "/moved" {
		return e.next.RoundTrip(req)
	}
	note := req.URL.Scheme + "://" + host
	if req.Header.Get("Authorization") != "" {
		note += "+token"
	}
	e.mu.Lock()
	e.seen = append(e.seen, note)
	e.mu.Unlock()
	recorder := httptest.NewRecorder()
	if req.URL.Path == "/moved" {
		http.Redirect(recorder, req, "https://evil.example/catch", http.StatusTemporaryRedirect)
	} else if e.answer != nil {
		e.answer(recorder)
	} else {
		recorder.WriteString("elsewhere")
	}
	res := recorder.Result()
	res.Request = req
	return res, nil
}

func TestTokenStaysWithTheAPI(t *testing.T) {
	for target, want := range map[string]string{
		"https://evil.example/":              "https://evil.example",
		"https://api.example.test.evil.org/": "https://api.example.test.evil.org",
		"https://api.example.test:8443/":     "https://api.example.test:8443",
		"http://api.example.test:443/":       "http://api.example.test:443",
		"https://ap%C4%B0.example.test/":     "https://ap\u0130.example.test", // whose lower case in Unicode is ours
		"https://api.example.te%C5%BFt/":     "https://api.example.te\u017ft", // whose upper case is
		"https://api.example.test./":         "https://api.example.test.",
		"https://API.example.TEST:443/moved": "https://API.example.TEST:443+token https://evil.example",
	} {
		t.Run(target, func(t *testing.T) {
			inBothEras(t, func(t *testing.T, era string) {
				var e elsewhere
				w := newWorld(t, setup{
					options: lazyauth.Options{Transport: &e},
					tools: func(w *world) {
						e.next = w.as.Transport()
						lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "fetch"}, scopes.Of("profile"),
							func(ctx context.Context, _ *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
								return read(lazyauth.Client(ctx).Get(target))
							})
					},
				})
				call := w.host(era, accepts).call(t.Context(), "fetch", nil)
				w.approves()
				(<-call).succeeds(t, "elsewhere")
				if got := strings.Join(e.seen, " "); got != want {
					t.Errorf("requests went to %s, want %s", got, want)
				}
			})
		})
	}
}

func TestOutsideOfACall(t *testing.T) {
	if _, err := lazyauth.Client(t.Context()).Get("https://api.example.test/me"); err == nil || !strings.Contains(err.Error(), "lazyauth.AddTool") {
		t.Errorf("a client outside of a call: %v", err)
	}
	if _, err := lazyauth.TokenSource(t.Context()).Token(); err == nil {
		t.Error("a token source outside of a call returned a token")
	}
	if err := lazyauth.Require(t.Context(), scopes.Of("a")); err == nil {
		t.Error("Require outside of a call succeeded")
	}
}

func TestTokenSource(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{tools: func(w *world) {
			lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "raw"}, scopes.Of("profile"),
				func(ctx context.Context, _ *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
					token, err := lazyauth.TokenSource(ctx).Token()
					if err != nil {
						return nil, answer{}, err
					}
					if !token.Valid() || token.RefreshToken != "" {
						t.Error("the token is not valid, or its refresh token is handed to the handler")
					}
					req, _ := http.NewRequestWithContext(ctx, "GET", w.as.API()+"/me", nil)
					token.SetAuthHeader(req)
					return read((&http.Client{Transport: w.as.Transport()}).Do(req))
				})
		}})
		call := w.host(era, accepts).call(t.Context(), "raw", nil)
		w.approves()
		(<-call).succeeds(t, "Ada")
	})
}
