package lazyauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

// The person notices whose access was used.
func TestIdentity_Shown(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		userInfo := func(s *lazyauth.Service) { s.UserInfo = s.APIOrigins[0] + "/me" }
		w := world.New(t, world.Setup{Service: userInfo, Options: lazyauth.Options{Store: kept}})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		if err := w.AS.ApproveAs("eve", w.Person().UserCode); err != nil {
			t.Fatal(err)
		}
		r := <-call
		r.Succeeds(t, "eve")
		name, _ := r.Result.Meta[lazyauth.MetaAccount].(string)
		if name == "" || !strings.Contains(strings.ToLower(name), "eve") {
			t.Errorf("the result names %q", name)
		}
		again := world.New(t, world.Setup{Shared: w.AS, Service: userInfo, Options: lazyauth.Options{Store: kept}})
		r = <-again.Host(era, world.Accepts).Call(t.Context(), "whoami", nil)
		if r.Result == nil || r.Result.Meta[lazyauth.MetaAccount] != name {
			t.Errorf("after a restart the result names nobody: %+v", r.Result)
		}
		if s, err := again.Auth.Status(t.Context(), lazyauth.LocalUser); err != nil || s == nil || s.Identity.Name != name {
			t.Errorf("status: %+v, %v", s, err)
		}
	})
}

func TestIdentity_Unknown(t *testing.T) {
	for name, identify := range map[string]func(context.Context, *oauth2.Token) (lazyauth.Identity, error){
		"an error": func(context.Context, *oauth2.Token) (lazyauth.Identity, error) {
			return lazyauth.Identity{}, errors.New("x")
		},
		"a hostile name": func(context.Context, *oauth2.Token) (lazyauth.Identity, error) {
			return lazyauth.Identity{Name: "Ada\x1b[2J"}, nil
		},
		"a hung service": func(ctx context.Context, _ *oauth2.Token) (lazyauth.Identity, error) {
			<-ctx.Done()
			return lazyauth.Identity{}, ctx.Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{Options: lazyauth.Options{Identify: identify}})
				h := w.SignedIn(era)
				r := <-h.Call(t.Context(), "whoami", nil)
				r.Succeeds(t, "Ada")
				if name, ok := r.Result.Meta[lazyauth.MetaAccount]; ok {
					t.Errorf("the result names %q", name)
				}
				if n := w.Trace.Count("unidentified"); n != 1 {
					t.Errorf("said %d times", n)
				}
			})
		})
	}
}

func respond(req *http.Request, body string) *http.Response {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: req}
}

// Names in any script are shown, those that are read from right to left as one piece.
func TestIdentity_Names(t *testing.T) {
	for claims, want := range map[string]lazyauth.Identity{
		`{"sub":"u1","preferred_username":"अदा","name":"x"}`: {Subject: "u1", Name: "अदा"},
		`{"sub":"u1","name":"עדה"}`:                          {Subject: "u1", Name: "עדה"},
	} {
		t.Run(claims[:min(len(claims), 40)], func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				as := fakeas.New(nil)
				w := world.New(t, world.Setup{Shared: as, Service: func(s *lazyauth.Service) { s.UserInfo = s.APIOrigins[0] + "/user" }, Options: lazyauth.Options{
					Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
						if req.URL.Path == "/user" {
							return respond(req, claims), nil
						}
						return as.Transport().RoundTrip(req)
					}),
				}})
				h := w.SignedIn(era)
				s, err := w.Auth.Status(t.Context(), lazyauth.LocalUser)
				if err != nil || s.Identity != want {
					t.Errorf("%+v, %v; want %+v", s, err, want)
				}
				r := <-h.Call(t.Context(), "whoami", nil)
				if name, _ := r.Result.Meta[lazyauth.MetaAccount].(string); strings.Trim(name, "\u2068\u2069") != want.Name || strings.Contains(name, "עדה") != strings.HasPrefix(name, "\u2068") {
					t.Errorf("the result names %q", name)
				}
			})
		})
	}
}

// A result that a handler hands to everybody names to each their own account.
func TestIdentity_OfASharedResult(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		shared := &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "ok"}}}
		var names sync.Map
		w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: world.ByClientName, VerifyUser: func(_ context.Context, who lazyauth.Principal, tok *oauth2.Token) error {
			names.Store(tok.AccessToken, who.Subject)
			return nil
		}, Identify: func(_ context.Context, tok *oauth2.Token) (lazyauth.Identity, error) {
			n, _ := names.Load(tok.AccessToken)
			return lazyauth.Identity{Name: n.(string)}, nil
		}}, Tools: func(w *world.World) {
			w.Server.AddTool(&mcp.Tool{Name: "ok", InputSchema: json.RawMessage(`{"type":"object"}`)}, w.Auth.Handler("ok", scopes.Of("profile"), func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
				return shared, nil
			}))
		}})
		for _, name := range []string{"ada", "eve"} {
			h := w.HostWith(era, world.Manners{Name: name, URL: true, React: world.Accepts})
			c := h.Call(t.Context(), "ok", nil)
			w.Approves()
			r := <-c
			r.Succeeds(t, "ok")
			if got := r.Result.Meta[lazyauth.MetaAccount]; got != name {
				t.Errorf("%s is told %v", name, got)
			}
		}
	})
}
