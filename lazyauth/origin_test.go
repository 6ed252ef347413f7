package lazyauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
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

// A request that goes out without the token is warned of, once an origin, and nothing of its
// URL but that; of no more origins than anybody would read.
func TestOrigin_UnlistedIsTracedOnce(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		var e elsewhere
		var warned []string
		w := world.New(t, world.Setup{Tools: withFetch(&e, ""), Options: lazyauth.Options{Transport: &e, Trace: &lazyauth.Trace{
			Warned: func(_ context.Context, info lazyauth.WarnedInfo) {
				if info.Tool != "fetch" || info.Service != "Notes" {
					t.Errorf("warned of %+v", info.About)
				}
				warned = append(warned, info.Err.Error())
			},
		}}})
		h := w.SignedIn(era)
		for range 3 {
			h.Gets("fetch", world.Note{Text: "https://user:secret@v2.example.test/secret?key=secret"}, "elsewhere")
		}
		h.Gets("fetch", world.Note{Text: "https://api.example.test/moved"}, "elsewhere") // to evil.example
		if len(warned) != 2 || !strings.Contains(warned[0], `"https://v2.example.test"`) || !strings.Contains(warned[0], "Service.APIOrigins") || !strings.Contains(warned[1], "evil.example") {
			t.Errorf("warned %q", warned)
		}
		if text := strings.Join(warned, "") + w.Log.String(); strings.Contains(text, "secret") {
			t.Errorf("warned of more than the origin: %s", text)
		}
		for n := range 200 {
			h.Gets("fetch", world.Note{Text: fmt.Sprintf("https://a%d.%s.example.test/", n, strings.Repeat("b", 63))}, "elsewhere")
		}
		if len(warned) > 64 {
			t.Errorf("warned of %d origins", len(warned))
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
