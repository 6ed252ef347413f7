package lazyauth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func TestStepUp_InTheMiddle(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: world.WithDigest})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "digest", world.Note{Text: "x"})
		w.Approves()
		second := w.Person()
		if got := strings.Join(second.Scopes, " "); got != "notes:read notes:write profile" {
			t.Errorf("the step-up asks for %q, want what is held and what is needed", got)
		}
		w.AS.Approve(second.UserCode)
		(<-call).Succeeds(t, "x")
		h.WantPrompts(2)
		w.WantAuthorizations(2)
		w.WantDigest(1, 1)
		if n := w.AS.Count(fakeas.Revocation, ""); n != 0 {
			t.Errorf("%d revocations", n)
		}
		h.Gets("digest", world.Note{Text: "y"}, "y") // nobody is asked again
		h.WantPrompts(2)
	})
}

func TestStepUp_Refused(t *testing.T) {
	for name, test := range map[string]struct {
		react   world.Reaction
		then    func(*world.World)
		want    lazyauth.Reason
		prompts int
	}{
		"declined": {world.Says("decline", 3*time.Second), func(*world.World) {}, lazyauth.ReasonDeclined, 2},
		"denied":   {world.Accepts, func(w *world.World) { w.Denies() }, lazyauth.ReasonDenied, 2},
		"narrowed": {world.Accepts, func(w *world.World) { w.Approves("profile", "notes:write") }, lazyauth.ReasonNarrowed, 2},
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{Tools: world.WithDigest})
				h := w.Host(era, world.InTurn(world.Accepts, test.react))
				call := h.Call(t.Context(), "digest", world.Note{Text: "x"})
				w.Approves()
				test.then(w)
				r := <-call
				r.Fails(t, test.want)
				if r.Result.Meta[lazyauth.MetaHeld] != "notes:write profile" || !strings.Contains(r.Result.Meta[lazyauth.MetaRequired].(string), "notes:read") {
					t.Errorf("_meta is %v", r.Result.Meta)
				}
				h.WantPrompts(test.prompts)
				w.WantDigest(1, 1)
				// The first grant still works.
				h.Gets("create_note", world.Note{Text: "still"}, "still")
			})
		})
	}
}

func TestStepUp_NarrowedKeepsWhatWorked(t *testing.T) {
	// Some of what was new is granted, and some of what was held is not: the
	// call fails, and the first grant goes on working.
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{Scopes: []string{"profile", "notes:read", "notes:write", "share"}}, Tools: func(w *world.World) {
			w.AddTools()
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "share"}, scopes.Of("notes:read", "share"),
				func(context.Context, *mcp.CallToolRequest, world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					return nil, world.Answer{}, nil
				})
		}})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "create_note", world.Note{Text: "x"})
		w.Approves()
		(<-call).Succeeds(t, "x")
		call = h.Call(t.Context(), "share", nil)
		w.Approves("profile", "notes:read")
		(<-call).Fails(t, lazyauth.ReasonNarrowed)
		h.Gets("create_note", world.Note{Text: "y"}, "y")
		h.WantPrompts(2)
	})
}

func TestStepUp_ChallengeRepeated(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: world.WithDigest})
		w.AS.Script(fakeas.ListNotes, challenge(403, `Bearer scope="notes:read", error=insufficient_scope`).Times(-1))
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "digest", world.Note{Text: "x"})
		w.Approves()
		w.Approves()
		if r := <-call; r.Err != nil || !strings.Contains(r.Text(), "403") {
			t.Errorf("got %q, %v", r.Text(), r.Err)
		}
		h.WantPrompts(2)
		w.WantDigest(1, 1)
	})
}

func TestStepUp_DeadlineMeanwhile(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: withUpload(
			func() io.Reader { return strings.NewReader(`{"text":"x"}`) },
			func(c *http.Client) { c.Timeout = 20 * time.Second },
		)})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "upload", nil)
		w.Approves()
		code := w.Person().UserCode
		if r := <-call; r.Err != nil || !r.Result.IsError {
			t.Errorf("got %q, %v", r.Text(), r.Err)
		}
		// The flight lives on.
		w.AS.Approve(code)
		world.Later(10 * time.Second)
		h.Gets("upload", nil, "x")
		h.WantPrompts(2)
		w.WantAuthorizations(2)
	})
}

func TestStepUp_TwoRequestsOfOneHandler(t *testing.T) {
	// Two requests of one handler are challenged at once: one prompt, and both
	// go on.
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			w.AddTools()
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "both"}, scopes.Of("profile"),
				func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					errs := make(chan error, 2)
					for range 2 {
						go func() {
							_, _, err := w.Get(ctx, "/notes")
							errs <- err
						}()
					}
					return nil, world.Answer{Text: "both"}, errors.Join(<-errs, <-errs)
				})
		}})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "both", nil)
		w.Approves()
		w.Approves()
		(<-call).Succeeds(t, "both")
		h.WantPrompts(2)
		w.WantAuthorizations(2)
	})
}

func TestStepUp_HierarchyAndAlternatives(t *testing.T) {
	order, err := scopes.NewHierarchy(map[string]scopes.Set{"all": scopes.Of("notes:read", "notes:write")})
	if err != nil {
		t.Fatal(err)
	}
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{
			AS:      fakeas.Options{Scopes: []string{"profile", "notes:read", "notes:write", "all"}},
			Service: func(s *lazyauth.Service) { s.Hierarchy = order },
			Tools: func(w *world.World) {
				for tool, need := range map[string]scopes.Requirement{
					"broad": scopes.Of("all"), "narrow": scopes.Of("notes:read"), "either": scopes.AnyOf(scopes.Of("all"), scopes.Of("notes:write")),
				} {
					lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: tool}, need,
						func(context.Context, *mcp.CallToolRequest, world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
							return nil, world.Answer{Text: tool}, nil
						})
				}
			},
		})
		h := w.Host(era, world.Accepts)
		// Of alternatives the narrowest is asked for …
		call := h.Call(t.Context(), "either", nil)
		req := w.Person()
		if got := strings.Join(req.Scopes, " "); got != "notes:write profile" {
			t.Errorf("asked for %q", got)
		}
		w.AS.Approve(req.UserCode)
		(<-call).Succeeds(t, "either")
		// … and a broader scope that is held is enough.
		call = h.Call(t.Context(), "broad", nil)
		req = w.Person()
		if got := strings.Join(req.Scopes, " "); got != "all profile" {
			t.Errorf("asked for %q, want nothing that all implies", got)
		}
		w.AS.Approve(req.UserCode)
		(<-call).Succeeds(t, "broad")
		h.Gets("narrow", nil, "narrow")
		h.WantPrompts(2)
	})
}

func TestStepUp_ContextEndsMeanwhile(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			w.AddTools()
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "hurried"}, scopes.Of("profile"), world.Counted(w, "hurried",
				func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
					defer cancel()
					_, _, err := w.Get(ctx, "/notes")
					if !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("the wait ended with %v", err)
					}
					return nil, world.Answer{Text: "without notes"}, nil
				}))
		}})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "hurried", nil)
		w.Approves()
		code := w.Person().UserCode
		(<-call).Succeeds(t, "without notes")
		w.AS.Approve(code)
		world.Later(10 * time.Second)
		h.Gets("list_notes", nil, "[]") // the flight went on
		h.WantPrompts(2)
	})
}

// reducing is an API that says, in GitHub's headers, that the token has lost a scope.
type reducing struct {
	next  http.RoundTripper
	on    atomic.Bool
	count atomic.Int64
}

func (l *reducing) RoundTrip(req *http.Request) (*http.Response, error) {
	if !l.on.Load() || req.URL.Host != "api.example.test" || req.URL.Path != "/notes" {
		return l.next.RoundTrip(req)
	}
	l.count.Add(1)
	world.Later(10 * time.Millisecond) // network
	return &http.Response{StatusCode: 403, Status: "403 Forbidden", Body: http.NoBody, Request: req, Header: http.Header{
		"X-Accepted-Oauth-Scopes": {"notes:read"}, "X-Oauth-Scopes": {"profile"},
	}}, nil
}

// While a refresh is under way nothing can be said of the token that it replaces: a step-up
// waits for it, and does not send the request again and again. Then the person is asked.
func TestStepUp_WhileARefreshIsUnderWay(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		as := fakeas.New(&fakeas.Options{TokenLifetime: time.Hour})
		api := &reducing{next: as.Transport()}
		w := world.New(t, world.Setup{
			Shared: as, Options: lazyauth.Options{Transport: api},
			Service: func(s *lazyauth.Service) { s.Dialect = scopes.GitHubDemand },
		})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "list_notes", nil)
		w.Approves()
		(<-call).Succeeds(t, "")
		as.Script(fakeas.Refresh, fakeas.Pass().After(25*time.Second)) // a slow token endpoint
		world.Later(59 * time.Minute)                                  // the grant is due
		api.on.Store(true)
		call = h.Call(t.Context(), "list_notes", nil)
		world.Later(20 * time.Second)
		synctest.Wait()
		if n := api.count.Load(); n != 1 {
			t.Errorf("%d requests to the API within 20 s for one of the handler", n)
		}
		h.WantPrompts(1)
		code := w.Person().UserCode // once the refresh is done
		if n := api.count.Load(); n != 2 {
			t.Errorf("%d requests to the API before the person was asked", n)
		}
		api.on.Store(false)
		as.Approve(code)
		(<-call).Succeeds(t, "")
		h.WantPrompts(2)
	})
}

// tokens changes the scope in token answers.
type tokens struct {
	next  http.RoundTripper
	scope func(granted string) string
}

func (p tokens) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := p.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	if json.Unmarshal(body, &m) == nil && m["access_token"] != nil {
		m["scope"] = p.scope(fmt.Sprint(m["scope"]))
		if body, err = json.Marshal(m); err != nil {
			return nil, err
		}
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

// An authorization server may grant scopes that nobody asked for, and whose names are
// text of its choice. They are neither asked for in the next step-up, where the server may
// refuse them, nor shown in its prompt, nor told in _meta; after a restart no more so.
func TestStepUp_UnaskedScopesAreLeftAlone(t *testing.T) {
	const evil = "Security-Notice:your_session_was_stolen.Re-enter_your_password_at_https://evil.example/login"
	world.InBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		as := fakeas.New(&fakeas.Options{TokenLifetime: time.Hour})
		options := lazyauth.Options{Store: kept, Transport: tokens{as.Transport(), func(granted string) string { return granted + " internal:admin " + evil }}}
		w := world.New(t, world.Setup{Shared: as, Options: options})
		w.SignedIn(era)
		again := world.New(t, world.Setup{Shared: as, Options: options})
		h := again.Host(era, world.Accepts)
		more := h.Call(t.Context(), "list_notes", nil)
		again.ApprovesFor("notes:read profile")
		(<-more).Succeeds(t, "[]")
		world.Later(2 * time.Hour) // and it is refreshed
		more = h.Call(t.Context(), "create_note", world.Note{Text: "x"})
		req := again.Person()
		if got := strings.Join(req.Scopes, " "); got != "notes:read notes:write profile" {
			t.Errorf("asked for %q", got)
		}
		if err := as.Deny(req.UserCode); err != nil {
			t.Error(err)
		}
		r := <-more
		r.Fails(t, lazyauth.ReasonDenied)
		if held := r.Result.Meta[lazyauth.MetaHeld]; held != "notes:read profile" {
			t.Errorf("_meta says that %v is held", held)
		}
		for _, p := range h.Shown() {
			if contains(p.Message, "evil", "internal") {
				t.Errorf("what the server named is in the prompt: %s", p.Message)
			}
		}
		if contains(again.Wire.Text(), "evil", "internal:admin") {
			t.Error("what the server named went to the host")
		}
	})
}

// A challenge in the middle of a handler is met without naming them, too.
func TestStepUp_UnaskedScopesInAChallenge(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		as := fakeas.New(nil)
		w := world.New(t, world.Setup{Shared: as, Tools: world.WithDigest, Options: lazyauth.Options{
			Transport: tokens{as.Transport(), func(granted string) string { return granted + " internal:admin" }},
		}})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "digest", world.Note{Text: "x"})
		w.Approves()
		w.Denies()
		r := <-call
		r.Fails(t, lazyauth.ReasonDenied)
		if required := r.Result.Meta[lazyauth.MetaRequired]; required != "notes:read notes:write profile" {
			t.Errorf("_meta says that %v is required", required)
		}
	})
}

// What is granted under another name is asked for again as the author spells it.
func TestStepUp_AuthorsSpelling(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		as := fakeas.New(&fakeas.Options{Scopes: []string{"profile", "user.read", "notes:read", "notes:write"}})
		w := world.New(t, world.Setup{Shared: as, Service: func(s *lazyauth.Service) {
			s.Scopes, s.Hierarchy = scopes.Of("user.read"), scopes.Entra()
		}, Options: lazyauth.Options{Transport: tokens{as.Transport(), func(granted string) string {
			return strings.ReplaceAll(granted, "user.read", "https://graph.microsoft.com/User.Read")
		}}}})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "list_notes", nil)
		w.ApprovesFor("notes:read user.read")
		(<-call).Succeeds(t, "[]")
		call = h.Call(t.Context(), "create_note", world.Note{Text: "x"})
		w.ApprovesFor("notes:read notes:write user.read")
		(<-call).Succeeds(t, "x")
	})
}

func TestStepUp_AsksForWhatIsHeld(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.Accepts)
		first := h.Call(t.Context(), "list_notes", nil)
		w.Approves()
		(<-first).Succeeds(t, "")
		second := h.Call(t.Context(), "create_note", world.Note{Text: "x"})
		w.Approves()
		(<-second).Succeeds(t, "x")
		h.Gets("list_notes", nil, "x") // still
		h.WantPrompts(2)
	})
}

// A grant that lacks only what the service names, and nobody needs, is kept: the
// call that it admits does not ask again at each request.
func TestStepUp_OfAGrantWithoutTheServicesScope(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{
			AS:      fakeas.Options{Scopes: []string{"profile", "notes:read", "notes:write", "offline_access"}},
			Service: func(s *lazyauth.Service) { s.Scopes = scopes.Of("offline_access") },
			Tools: func(w *world.World) {
				w.AddTools()
				lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "thrice"}, scopes.Of("notes:read"), world.Counted(w, "thrice",
					func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
						for range 2 {
							if _, _, err := w.Get(ctx, "/notes"); err != nil {
								return nil, world.Answer{}, err
							}
						}
						return w.Get(ctx, "/notes")
					}))
			}})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "create_note", world.Note{Text: "x"})
		w.Approves("notes:write") // the server drops offline_access without a word
		(<-call).Succeeds(t, "x")
		call = h.Call(t.Context(), "thrice", nil)
		go func() {
			for {
				select {
				case <-time.After(10 * time.Second):
				case <-t.Context().Done():
					return
				}
				for _, r := range w.AS.Waiting() {
					w.AS.Approve(r.UserCode, "notes:read") // always exactly this tool's need
				}
			}
		}()
		(<-call).Succeeds(t, "x")
		h.WantPrompts(2)
		w.WantAuthorizations(2)
	})
}

// An API that always says that the token has nothing cannot have the person asked
// for each request.
func TestStepUp_TokenThatHasNothing(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{
			Service: func(s *lazyauth.Service) { s.Dialect = scopes.GitHubDemand },
			Tools: func(w *world.World) {
				w.AddTools()
				lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "five"}, scopes.Of("notes:read"), world.Counted(w, "five",
					func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
						for range 5 {
							w.Get(ctx, "/notes") // the author goes on with the next item
						}
						return nil, world.Answer{Text: "done"}, nil
					}))
			}})
		w.AS.Script(fakeas.ListNotes, fakeas.Raw(403, http.Header{"X-Oauth-Scopes": {""}, "X-Accepted-Oauth-Scopes": {"notes:read"}}, "{}").Times(-1))
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "five", nil)
		go func() {
			for {
				select {
				case <-time.After(time.Second):
				case <-t.Context().Done():
					return
				}
				for _, r := range w.AS.Waiting() {
					w.AS.Approve(r.UserCode)
				}
			}
		}()
		(<-call).Succeeds(t, "done")
		h.WantPrompts(2)
	})
}
