package lazyauth_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
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
			world.InBothEras(t, func(t *testing.T, era string) {
				var e elsewhere
				w := world.New(t, world.Setup{
					Options: lazyauth.Options{Transport: &e},
					Tools: func(w *world.World) {
						e.next = w.AS.Transport()
						lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "fetch"}, scopes.Of("profile"),
							func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
								return world.ReadAnswer(lazyauth.Client(ctx).Get(target))
							})
					},
				})
				call := w.Host(era, world.Accepts).Call(t.Context(), "fetch", nil)
				w.Approves()
				(<-call).Succeeds(t, "elsewhere")
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
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "raw"}, scopes.Of("profile"),
				func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					token, err := lazyauth.TokenSource(ctx).Token()
					if err != nil {
						return nil, world.Answer{}, err
					}
					if !token.Valid() || token.RefreshToken != "" {
						t.Error("the token is not valid, or its refresh token is handed to the handler")
					}
					req, _ := http.NewRequestWithContext(ctx, "GET", w.AS.API()+"/me", nil)
					token.SetAuthHeader(req)
					return world.ReadAnswer((&http.Client{Transport: w.AS.Transport()}).Do(req))
				})
		}})
		call := w.Host(era, world.Accepts).Call(t.Context(), "raw", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
	})
}

// withFetch adds a tool that sends the request that its caller names, with an Authorization
// header of its own if there is one.
func withFetch(e *elsewhere, authorization string) func(*world.World) {
	return func(w *world.World) {
		e.next = w.AS.Transport()
		w.AddTools()
		lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "fetch"}, scopes.Of("profile"),
			func(ctx context.Context, _ *mcp.CallToolRequest, in world.Note) (*mcp.CallToolResult, world.Answer, error) {
				req, err := http.NewRequestWithContext(ctx, "GET", in.Text, nil)
				if err != nil {
					return nil, world.Answer{}, err
				}
				if authorization != "" {
					req.Header.Set("Authorization", authorization)
				}
				res, err := lazyauth.Client(ctx).Do(req)
				if err == nil && strings.Contains(res.Request.Header.Get("Authorization"), w.Secrets.Last()) {
					w.T.Error("the response shows the token")
				}
				return world.ReadAnswer(res, err)
			})
	}
}

// A request that goes out without the token is told of, once an origin, and nothing of its
// URL but that; of no more origins than anybody would read.
func TestOrigin_UnlistedIsToldOnce(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		var e elsewhere
		var told []string
		w := world.New(t, world.Setup{Tools: withFetch(&e, ""), Options: lazyauth.Options{Transport: &e, Trace: &lazyauth.Trace{
			Warned: func(_ context.Context, info lazyauth.WarnedInfo) {
				if info.Tool != "fetch" || info.Service != "Notes" {
					t.Errorf("told of %+v", info.About)
				}
				told = append(told, info.Err.Error())
			},
		}}})
		h := w.SignedIn(era)
		for range 3 {
			h.Gets("fetch", world.Note{Text: "https://user:secret@v2.example.test/secret?key=secret"}, "elsewhere")
		}
		h.Gets("fetch", world.Note{Text: "https://api.example.test/moved"}, "elsewhere") // to evil.example
		if len(told) != 2 || !strings.Contains(told[0], `"https://v2.example.test"`) || !strings.Contains(told[0], "Service.APIOrigins") || !strings.Contains(told[1], "evil.example") {
			t.Errorf("told %q", told)
		}
		if text := strings.Join(told, "") + w.Log.String(); strings.Contains(text, "secret") {
			t.Errorf("told more than the origin: %s", text)
		}
		for n := range 200 {
			h.Gets("fetch", world.Note{Text: fmt.Sprintf("https://a%d.%s.example.test/", n, strings.Repeat("b", 63))}, "elsewhere")
		}
		if len(told) > 64 {
			t.Errorf("told of %d origins", len(told))
		}
	})
}

// A redirect that leads elsewhere loses the token, and a refusal there is none of our token.
func TestOrigin_RefusedElsewhere(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		e := elsewhere{answer: func(w http.ResponseWriter) {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			w.WriteHeader(http.StatusUnauthorized)
		}}
		w := world.New(t, world.Setup{Tools: withFetch(&e, ""), Options: lazyauth.Options{Transport: &e}})
		h := w.SignedIn(era)
		if r := <-h.Call(t.Context(), "fetch", world.Note{Text: "https://api.example.test/moved"}); !strings.Contains(r.Text(), "401") {
			t.Errorf("got %q, %v", r.Text(), r.Err)
		}
		w.WantRefreshes(0)
		h.WantPrompts(1)
		h.Gets("whoami", nil, "Ada")
		w.WantRefreshes(0)
	})
}

// Towards the API the token takes the place of an Authorization header that the handler has
// set; elsewhere that is the handler's own.
func TestOrigin_HandlersOwnHeader(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		var e elsewhere
		w := world.New(t, world.Setup{Tools: withFetch(&e, "Basic b3duOm9uZQ=="), Options: lazyauth.Options{Transport: &e}})
		h := w.SignedIn(era)
		h.Gets("fetch", world.Note{Text: "https://api.example.test/me"}, "Ada")
		h.Gets("fetch", world.Note{Text: "https://api.example.test/moved"}, "elsewhere")
		h.Gets("fetch", world.Note{Text: "https://other.example.test/"}, "elsewhere")
		if got := strings.Join(e.seen, " "); got != "https://api.example.test+token https://evil.example https://other.example.test+token" {
			t.Errorf("requests went to %s", got) // +token stands for any header
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
