package lazyauth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// withDigest adds a tool that declares too little: it creates a note, and then
// lists them all, which the API answers with a challenge.
func withDigest(w *world) {
	w.addTools()
	lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "digest"}, scopes.Of("notes:write"), counted(w, "digest",
		func(ctx context.Context, _ *mcp.CallToolRequest, in noteArgs) (*mcp.CallToolResult, answer, error) {
			if _, _, err := w.post(ctx, in); err != nil {
				return nil, answer{}, err
			}
			return w.get(ctx, "/notes")
		}))
}

func (w *world) post(ctx context.Context, in noteArgs) (*mcp.CallToolResult, answer, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, answer{}, err
	}
	req, err := http.NewRequestWithContext(ctx, "POST", w.as.API()+"/notes", bytes.NewReader(body))
	if err != nil {
		return nil, answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	return read(lazyauth.Client(ctx).Do(req))
}

func (w *world) wantDigest(notes, starts int) {
	w.t.Helper()
	if n := w.as.Count(fakeas.CreateNote, fakeas.OK); n != notes {
		w.t.Errorf("%d notes were created, want %d", n, notes)
	}
	if n := w.starts("digest"); n != starts {
		w.t.Errorf("the handler started %d times, want %d", n, starts)
	}
}

func challenge(status int, header string) fakeas.Behaviour {
	return fakeas.Raw(status, http.Header{"Www-Authenticate": {header}}, "{}")
}

func TestStepUpInTheMiddle(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{tools: withDigest})
		h := w.host(era, accepts)
		call := h.call(t.Context(), "digest", noteArgs{"x"})
		w.approves()
		second := w.person()
		if got := strings.Join(second.Scopes, " "); got != "notes:read notes:write profile" {
			t.Errorf("the step-up asks for %q, want what is held and what is needed", got)
		}
		w.as.Approve(second.UserCode)
		(<-call).succeeds(t, "x")
		h.wantPrompts(2)
		w.wantAuthorizations(2)
		w.wantDigest(1, 1)
		if n := w.as.Count(fakeas.Revocation, ""); n != 0 {
			t.Errorf("%d revocations", n)
		}
		h.gets("digest", noteArgs{"y"}, "y") // nobody is asked again
		h.wantPrompts(2)
	})
}

func TestStepUpRefused(t *testing.T) {
	for name, test := range map[string]struct {
		react   reaction
		then    func(*world)
		want    lazyauth.Reason
		prompts int
	}{
		"declined": {says("decline", 3*time.Second), func(*world) {}, lazyauth.ReasonDeclined, 2},
		"denied":   {accepts, func(w *world) { w.denies() }, lazyauth.ReasonDenied, 2},
		"narrowed": {accepts, func(w *world) { w.approves("profile", "notes:write") }, lazyauth.ReasonNarrowed, 2},
	} {
		t.Run(name, func(t *testing.T) {
			inBothEras(t, func(t *testing.T, era string) {
				w := newWorld(t, setup{tools: withDigest})
				h := w.host(era, inTurn(accepts, test.react))
				call := h.call(t.Context(), "digest", noteArgs{"x"})
				w.approves()
				test.then(w)
				r := <-call
				r.fails(t, test.want)
				if r.result.Meta[lazyauth.MetaHeld] != "notes:write profile" || !strings.Contains(r.result.Meta[lazyauth.MetaRequired].(string), "notes:read") {
					t.Errorf("_meta is %v", r.result.Meta)
				}
				h.wantPrompts(test.prompts)
				w.wantDigest(1, 1)
				// The first grant still works.
				h.gets("create_note", noteArgs{"still"}, "still")
			})
		})
	}
}

func TestNarrowedStepUpKeepsWhatWorked(t *testing.T) {
	// Some of what was new is granted, and some of what was held is not: the
	// call fails, and the first grant goes on working.
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{as: fakeas.Options{Scopes: []string{"profile", "notes:read", "notes:write", "share"}}, tools: func(w *world) {
			w.addTools()
			lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "share"}, scopes.Of("notes:read", "share"),
				func(context.Context, *mcp.CallToolRequest, noArgs) (*mcp.CallToolResult, answer, error) {
					return nil, answer{}, nil
				})
		}})
		h := w.host(era, accepts)
		call := h.call(t.Context(), "create_note", noteArgs{"x"})
		w.approves()
		(<-call).succeeds(t, "x")
		call = h.call(t.Context(), "share", nil)
		w.approves("profile", "notes:read")
		(<-call).fails(t, lazyauth.ReasonNarrowed)
		h.gets("create_note", noteArgs{"y"}, "y")
		h.wantPrompts(2)
	})
}

func TestChallengesThatAskNobody(t *testing.T) {
	for name, test := range map[string]struct {
		script fakeas.Behaviour
		want   string // in the text
		reason lazyauth.Reason
	}{
		"no scopes":      {challenge(403, `Bearer error="insufficient_scope"`), "403", ""},
		"over the limit": {challenge(403, `Bearer error="insufficient_scope", scope="admin:everything"`), "more access", lazyauth.ReasonExceeded},
		"absurd scopes":  {challenge(403, `Bearer error="insufficient_scope", scope="`+strings.Repeat("x", 5000)+`"`), "does not understand", lazyauth.ReasonUnsupported},
		"unreadable":     {challenge(403, `Bearer error="insufficient`), "does not understand", lazyauth.ReasonUnsupported},
		"another scheme": {challenge(403, `Basic realm="x"`), "403", ""},
		"plain 403":      {fakeas.Raw(403, nil, "{}"), "403", ""},
		"what is held":   {challenge(403, `Bearer error="insufficient_scope", scope="notes:read"`), "403", ""},
	} {
		t.Run(name, func(t *testing.T) {
			inBothEras(t, func(t *testing.T, era string) {
				w := newWorld(t, setup{})
				w.as.Script(fakeas.ListNotes, test.script)
				h := w.host(era, accepts)
				call := h.call(t.Context(), "list_notes", nil)
				w.approves()
				r := <-call
				if test.reason != "" {
					r.fails(t, test.reason)
				}
				if r.err != nil || !r.result.IsError || !strings.Contains(r.text(), test.want) || strings.Contains(r.text(), "admin:everything") {
					t.Errorf("got %q, %v; want an error with %q", r.text(), r.err, test.want)
				}
				h.wantPrompts(1)
				w.wantAuthorizations(1)
			})
		})
	}
}

func TestMaxScopes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{
			as:      fakeas.Options{Scopes: []string{"profile", "notes:read", "admin"}},
			options: lazyauth.Options{MaxScopes: scopes.Of("admin")},
		})
		w.as.Script(fakeas.ListNotes, challenge(403, `Bearer error="insufficient_scope", scope="admin"`))
		h := w.host(modern, accepts)
		call := h.call(t.Context(), "list_notes", nil)
		w.approves()
		w.approves()
		(<-call).succeeds(t, "[]")
		h.wantPrompts(2)
	})
}

func TestChallengeRepeatedAfterStepUp(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{tools: withDigest})
		w.as.Script(fakeas.ListNotes, challenge(403, `Bearer scope="notes:read", error=insufficient_scope`).Times(-1))
		h := w.host(era, accepts)
		call := h.call(t.Context(), "digest", noteArgs{"x"})
		w.approves()
		w.approves()
		if r := <-call; r.err != nil || !strings.Contains(r.text(), "403") {
			t.Errorf("got %q, %v", r.text(), r.err)
		}
		h.wantPrompts(2)
		w.wantDigest(1, 1)
	})
}

func TestTokenRevokedAtTheServer(t *testing.T) {
	t.Run("refreshed", func(t *testing.T) {
		inBothEras(t, func(t *testing.T, era string) {
			w := newWorld(t, setup{})
			h := w.host(era, accepts)
			call := h.call(t.Context(), "whoami", nil)
			w.approves()
			(<-call).succeeds(t, "Ada")
			w.as.ExpireAccessTokens()
			h.gets("whoami", nil, "Ada")
			h.wantPrompts(1)
			if n := w.as.Count(fakeas.Refresh, fakeas.OK); n != 1 {
				t.Errorf("%d refreshes, want 1", n)
			}
		})
	})
	t.Run("asked", func(t *testing.T) {
		inBothEras(t, func(t *testing.T, era string) {
			w := newWorld(t, setup{})
			h := w.host(era, accepts)
			call := h.call(t.Context(), "whoami", nil)
			w.approves()
			(<-call).succeeds(t, "Ada")
			w.as.RevokeAll()
			call = h.call(t.Context(), "whoami", nil)
			w.approves()
			(<-call).succeeds(t, "Ada")
			h.wantPrompts(2)
		})
	})
	t.Run("never accepted", func(t *testing.T) {
		inBothEras(t, func(t *testing.T, era string) {
			w := newWorld(t, setup{})
			w.as.Script(fakeas.Me, challenge(401, `Bearer error="invalid_token"`).Times(-1))
			h := w.host(era, accepts)
			call := h.call(t.Context(), "whoami", nil)
			w.approves() // the first sign-in; then a refresh, then the person once more
			w.approves()
			if r := <-call; r.err != nil || !strings.Contains(r.text(), "401") {
				t.Errorf("got %q, %v", r.text(), r.err)
			}
			w.wantAuthorizations(2)
		})
	})
}

// A 401 means the token, whatever its header says: it is refreshed, and the person is
// asked only where a sign-in may help.
func TestRefused_WhateverTheHeaderSays(t *testing.T) {
	for name, header := range map[string]string{
		"no commas":        `Bearer realm="service" error="invalid_token" error_description="gone"`,
		"a bad neighbour":  `Basic realm="security" charset="UTF-8", Bearer realm="security", ApiKey`,
		"bare URLs":        `Bearer authorization_uri=https://login.test/authorize, resource_id=https://org.test/`,
		"unquoted":         `Bearer error=invalid_token, error_description=The token has expired`,
		"single quotes":    `Bearer realm='my api', error='invalid_token'`,
		"another scheme":   `Token realm="Application"`,
		"another code":     `Bearer error="expired_token"`,
		"claims":           `Bearer error="insufficient_claims", claims="eyJ"`,
		"scopes like dust": `Bearer error="invalid_token", scope="a\"b"`,
	} {
		t.Run(name, func(t *testing.T) {
			inBothEras(t, func(t *testing.T, era string) {
				w := newWorld(t, setup{})
				w.as.Script(fakeas.Me, challenge(401, header))
				h := w.host(era, accepts)
				call := h.call(t.Context(), "whoami", nil)
				w.approves()
				(<-call).succeeds(t, "Ada")
				h.wantPrompts(1)
				if n := w.as.Count(fakeas.Refresh, fakeas.OK); n != 1 {
					t.Errorf("%d refreshes, want 1", n)
				}
			})
		})
	}
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
			inBothEras(t, func(t *testing.T, era string) {
				w := newWorld(t, setup{as: test.as})
				w.as.Script(fakeas.Me, challenge(401, test.header).Times(-1))
				h := w.host(era, accepts)
				call := h.call(t.Context(), "whoami", nil)
				w.approves()
				if r := <-call; r.err != nil || !strings.Contains(r.text(), "401") {
					t.Errorf("got %q, %v", r.text(), r.err)
				}
				h.wantPrompts(1)
				w.wantAuthorizations(1)
				if n := w.as.Count(fakeas.Refresh, fakeas.OK); n != test.refreshes {
					t.Errorf("%d refreshes, want %d", n, test.refreshes)
				}
			})
		})
	}
}

// Some APIs say 401 where RFC 6750 §3.1 has 403.
func TestRefused_ForWantOfScopes(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{tools: withDigest})
		w.as.Script(fakeas.ListNotes, challenge(401, `Bearer error="insufficient_scope", scope="notes:read"`))
		h := w.host(era, accepts)
		call := h.call(t.Context(), "digest", noteArgs{"x"})
		w.approves()
		w.approves()
		(<-call).succeeds(t, "x")
		h.wantPrompts(2)
		w.wantDigest(1, 1)
		if n := w.as.Count(fakeas.Refresh, fakeas.OK); n != 0 {
			t.Errorf("%d refreshes, want none", n)
		}
	})
}

// withUpload adds a tool that sends what body returns.
func withUpload(body func() io.Reader, client func(*http.Client)) func(*world) {
	return func(w *world) {
		w.addTools()
		lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "upload"}, scopes.Of("profile"), counted(w, "upload",
			func(ctx context.Context, _ *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
				req, err := http.NewRequestWithContext(ctx, "POST", w.as.API()+"/notes", body())
				if err != nil {
					return nil, answer{}, err
				}
				req.Header.Set("Content-Type", "application/json")
				c := lazyauth.Client(ctx)
				if client != nil {
					client(c)
				}
				return read(c.Do(req))
			}))
	}
}

// bare hides what a reader is, so that net/http makes no GetBody of it.
type bare struct{ io.Reader }

func TestStreamingBody(t *testing.T) {
	for name, test := range map[string]struct {
		length int
		replay bool
	}{"short": {100, true}, "long": {70 << 10, false}} {
		t.Run(name, func(t *testing.T) {
			inBothEras(t, func(t *testing.T, era string) {
				text := `{"text":"` + strings.Repeat("x", test.length) + `"}`
				w := newWorld(t, setup{tools: withUpload(func() io.Reader { return bare{strings.NewReader(text)} }, nil)})
				if !test.replay {
					// Challenged only when the body was read: the worst moment.
					w.as.Script(fakeas.CreateNote, challenge(403, `Bearer error="insufficient_scope", scope="notes:write"`))
				}
				h := w.host(era, accepts)
				call := h.call(t.Context(), "upload", nil)
				w.approves()
				if test.replay {
					w.approves()
					(<-call).succeeds(t, "xxx")
					h.wantPrompts(2)
					return
				}
				r := <-call
				r.fails(t, lazyauth.ReasonUnsupported)
				if !strings.Contains(r.text(), "GetBody") {
					t.Errorf("%q does not say what to do", r.text())
				}
				h.wantPrompts(1)
			})
		})
	}
}

func TestDeadlineDuringStepUp(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{tools: withUpload(
			func() io.Reader { return strings.NewReader(`{"text":"x"}`) },
			func(c *http.Client) { c.Timeout = 20 * time.Second },
		)})
		h := w.host(era, accepts)
		call := h.call(t.Context(), "upload", nil)
		w.approves()
		code := w.person().UserCode
		if r := <-call; r.err != nil || !r.result.IsError {
			t.Errorf("got %q, %v", r.text(), r.err)
		}
		// The flight lives on.
		w.as.Approve(code)
		later(10 * time.Second)
		h.gets("upload", nil, "x")
		h.wantPrompts(2)
		w.wantAuthorizations(2)
	})
}

func TestTwoRequestsOfOneHandler(t *testing.T) {
	// Two requests of one handler are challenged at once: one prompt, and both
	// go on.
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{tools: func(w *world) {
			w.addTools()
			lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "both"}, scopes.Of("profile"),
				func(ctx context.Context, _ *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
					errs := make(chan error, 2)
					for range 2 {
						go func() {
							_, _, err := w.get(ctx, "/notes")
							errs <- err
						}()
					}
					return nil, answer{"both"}, errors.Join(<-errs, <-errs)
				})
		}})
		h := w.host(era, accepts)
		call := h.call(t.Context(), "both", nil)
		w.approves()
		w.approves()
		(<-call).succeeds(t, "both")
		h.wantPrompts(2)
		w.wantAuthorizations(2)
	})
}

func TestHierarchyAndAlternatives(t *testing.T) {
	order, err := scopes.NewHierarchy(map[string]scopes.Set{"all": scopes.Of("notes:read", "notes:write")})
	if err != nil {
		t.Fatal(err)
	}
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{
			as:      fakeas.Options{Scopes: []string{"profile", "notes:read", "notes:write", "all"}},
			service: func(s *lazyauth.Service) { s.Hierarchy = order },
			tools: func(w *world) {
				for tool, need := range map[string]scopes.Requirement{
					"broad": scopes.Of("all"), "narrow": scopes.Of("notes:read"), "either": scopes.AnyOf(scopes.Of("all"), scopes.Of("notes:write")),
				} {
					lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: tool}, need,
						func(context.Context, *mcp.CallToolRequest, noArgs) (*mcp.CallToolResult, answer, error) {
							return nil, answer{tool}, nil
						})
				}
			},
		})
		h := w.host(era, accepts)
		// Of alternatives the narrowest is asked for …
		call := h.call(t.Context(), "either", nil)
		req := w.person()
		if got := strings.Join(req.Scopes, " "); got != "notes:write profile" {
			t.Errorf("asked for %q", got)
		}
		w.as.Approve(req.UserCode)
		(<-call).succeeds(t, "either")
		// … and a broader scope that is held is enough.
		call = h.call(t.Context(), "broad", nil)
		req = w.person()
		if got := strings.Join(req.Scopes, " "); got != "all profile" {
			t.Errorf("asked for %q, want nothing that all implies", got)
		}
		w.as.Approve(req.UserCode)
		(<-call).succeeds(t, "broad")
		h.gets("narrow", nil, "narrow")
		h.wantPrompts(2)
	})
}

func TestToolsTellTheirScopes(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		list, err := w.host(era, accepts).session.ListTools(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, tool := range list.Tools {
			got, _ := json.Marshal(tool.Meta[lazyauth.MetaSecuritySchemes])
			want := map[string]string{"ping": `null`, "list_notes": `[{"scopes":["notes:read"],"type":"oauth2"}]`}[tool.Name]
			if want != "" && string(got) != want {
				t.Errorf("%s: %s, want %s", tool.Name, got, want)
			}
		}
	})
}

func TestChallengeFromAnotherOrigin(t *testing.T) {
	// Who is not the service's API gets no token, and cannot have anybody asked.
	inBothEras(t, func(t *testing.T, era string) {
		const header = `Bearer error="insufficient_scope", scope="notes:write", resource_metadata="https://evil.example/metadata"`
		var e elsewhere
		e.answer = func(w http.ResponseWriter) {
			w.Header().Set("WWW-Authenticate", header)
			w.WriteHeader(http.StatusForbidden)
		}
		w := newWorld(t, setup{
			options: lazyauth.Options{Transport: &e},
			tools: func(w *world) {
				e.next = w.as.Transport()
				w.addTools()
				lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "fetch"}, scopes.Of("profile"),
					func(ctx context.Context, _ *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
						return read(lazyauth.Client(ctx).Get("https://evil.example/"))
					})
			},
		})
		h := w.host(era, accepts)
		call := h.call(t.Context(), "fetch", nil)
		w.approves()
		if r := <-call; r.err != nil || !strings.Contains(r.text(), "403") {
			t.Errorf("got %q, %v", r.text(), r.err)
		}
		h.wantPrompts(1)
		if got := strings.Join(e.seen, " "); got != "https://evil.example" {
			t.Errorf("requests went to %s", got)
		}
	})
}

func TestContextEndsDuringStepUp(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{tools: func(w *world) {
			w.addTools()
			lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "hurried"}, scopes.Of("profile"), counted(w, "hurried",
				func(ctx context.Context, _ *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
					ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
					defer cancel()
					_, _, err := w.get(ctx, "/notes")
					if !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("the wait ended with %v", err)
					}
					return nil, answer{"without notes"}, nil
				}))
		}})
		h := w.host(era, accepts)
		call := h.call(t.Context(), "hurried", nil)
		w.approves()
		code := w.person().UserCode
		(<-call).succeeds(t, "without notes")
		w.as.Approve(code)
		later(10 * time.Second)
		h.gets("list_notes", nil, "[]") // the flight went on
		h.wantPrompts(2)
	})
}
