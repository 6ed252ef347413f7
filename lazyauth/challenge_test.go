package lazyauth_test

import (
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

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func challenge(status int, header string) fakeas.Behaviour {
	return fakeas.Raw(status, http.Header{"Www-Authenticate": {header}}, "{}")
}

func TestStepUpInTheMiddle(t *testing.T) {
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

func TestStepUpRefused(t *testing.T) {
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

func TestNarrowedStepUpKeepsWhatWorked(t *testing.T) {
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
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{})
				w.AS.Script(fakeas.ListNotes, test.script)
				h := w.Host(era, world.Accepts)
				call := h.Call(t.Context(), "list_notes", nil)
				w.Approves()
				r := <-call
				if test.reason != "" {
					r.Fails(t, test.reason)
				}
				if r.Err != nil || !r.Result.IsError || !strings.Contains(r.Text(), test.want) || strings.Contains(r.Text(), "admin:everything") {
					t.Errorf("got %q, %v; want an error with %q", r.Text(), r.Err, test.want)
				}
				h.WantPrompts(1)
				w.WantAuthorizations(1)
			})
		})
	}
}

// Every demand that is not met is in the trace, with what an operator needs to judge it.
func TestDemand_RefusedIsTraced(t *testing.T) {
	for name, test := range map[string]struct {
		script fakeas.Behaviour
		want   lazyauth.RefusedInfo // but for what is the same in all
		err    string
	}{
		"over the limit": {
			challenge(403, `Bearer error="insufficient_scope", scope="admin:everything notes:read"`),
			lazyauth.RefusedInfo{Status: 403, Scopes: scopes.Of("admin:everything", "notes:read"), Reason: lazyauth.ReasonExceeded,
				Header: `WWW-Authenticate: "Bearer error=\"insufficient_scope\", scope=\"admin:everything notes:read\""`},
			"MaxScopes",
		},
		"unreadable": {
			challenge(403, "Bearer error=\"insufficient\x01"),
			lazyauth.RefusedInfo{Status: 403, Reason: lazyauth.ReasonUnsupported, Header: `WWW-Authenticate: "Bearer error=\"insufficient\x01"`},
			"unreadable challenge",
		},
		"no names": {
			challenge(403, `Bearer error="insufficient_scope"`),
			lazyauth.RefusedInfo{Status: 403, Header: `WWW-Authenticate: "Bearer error=\"insufficient_scope\""`},
			"names none",
		},
		"what is held": {
			challenge(403, `Bearer error="insufficient_scope", scope="notes:read"`),
			lazyauth.RefusedInfo{Status: 403, Scopes: scopes.Of("notes:read"), Header: `WWW-Authenticate: "Bearer error=\"insufficient_scope\", scope=\"notes:read\""`},
			"names none, or only such as the grant has",
		},
		"another scheme": {
			challenge(401, `Negotiate`).Times(2),
			lazyauth.RefusedInfo{Status: 401, Header: `WWW-Authenticate: "Negotiate"`},
			"does not accept the token",
		},
		"very many": {
			challenge(403, `Bearer error="insufficient_scope", scope="`+strings.Join(numbered(100), " ")+`"`),
			lazyauth.RefusedInfo{Status: 403, Reason: lazyauth.ReasonExceeded},
			"MaxScopes",
		},
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				var told []lazyauth.RefusedInfo
				w := world.New(t, world.Setup{Options: lazyauth.Options{Trace: &lazyauth.Trace{
					Refused: func(_ context.Context, info lazyauth.RefusedInfo) { told = append(told, info) },
				}}})
				w.AS.Script(fakeas.ListNotes, test.script)
				h := w.Host(era, world.Accepts)
				call := h.Call(t.Context(), "list_notes", nil)
				w.Approves()
				<-call
				if len(told) != 1 {
					t.Fatalf("told %d times: %+v", len(told), told)
				}
				got := told[0]
				if got.Err == nil || !strings.Contains(got.Err.Error(), test.err) {
					t.Errorf("the cause is %v, want %q in it", got.Err, test.err)
				}
				if n := len(got.Scopes.String()); n > 512 || len(got.Header) > 512 {
					t.Errorf("%d bytes of scopes, %d of header", n, len(got.Header))
				}
				got.Err = nil
				test.want.About = lazyauth.About{Service: "Notes", Tool: "list_notes"}
				test.want.Limit = scopes.Of("notes:read", "notes:write", "profile")
				if name == "very many" {
					if got.Scopes.IsEmpty() || got.Header == "" {
						t.Error("nothing of what was demanded is told")
					}
					got.Scopes, got.Header = scopes.Set{}, ""
				}
				if got != test.want {
					t.Errorf("told %+v, want %+v", got, test.want)
				}
				for _, log := range []string{w.Log.String(), w.Slog.String()} {
					if !strings.Contains(log, "the API refused a request") || !strings.Contains(log, `"limit":"notes:read notes:write profile"`) {
						t.Errorf("the log does not tell: %s", log)
					}
				}
			})
		})
	}
}

func numbered(n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("scope-%03d", i))
	}
	return names
}

// A token that an API repeats in its refusal is not in the log.
func TestDemand_NoTokenInTheTrace(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		as := fakeas.New(nil)
		w := world.New(t, world.Setup{Shared: as, Options: lazyauth.Options{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
			if req.URL.Host != "api.example.test" {
				return as.Transport().RoundTrip(req)
			}
			said := req.Header.Get("Authorization")
			return &http.Response{StatusCode: 403, Status: "403 Forbidden", Body: http.NoBody, Request: req, Header: http.Header{
				"Www-Authenticate": {`Bearer error="insufficient_scope", scope="admin", error_description="` + said + `"`, said},
			}}, nil
		})}})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Fails(t, lazyauth.ReasonExceeded)
		if w.Trace.Count("refused") != 1 || !strings.Contains(w.Trace.Text(), "[secret]") {
			t.Errorf("the trace is %s", w.Trace.Text())
		}
	})
}

// Of what an API demands the model is told the names that this program knows, from wherever
// it knows them, and no others: they are a server's words.
func TestDemand_ShowsKnownNamesOnly(t *testing.T) {
	order, err := scopes.NewHierarchy(map[string]scopes.Set{"root": scopes.Of("leaf")})
	if err != nil {
		t.Fatal(err)
	}
	for demanded, shown := range map[string]string{
		"evil:Open_https://evil.example/": "",
		"evil:words notes:write":          "notes:write", // a tool's
		"evil:words named":                "named",       // ScopeNames'
		"leaf":                            "leaf",        // the hierarchy's
		"evil:words allowed root profile": "allowed profile root",
	} {
		t.Run(demanded, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{
					Service: func(s *lazyauth.Service) {
						s.ScopeNames = map[string]string{"named": "things with a name"}
						s.Hierarchy = order
					},
					Options: lazyauth.Options{MaxScopes: scopes.Of("allowed")},
				})
				w.AS.Script(fakeas.ListNotes, challenge(403, `Bearer error="insufficient_scope", scope="`+demanded+`"`))
				h := w.Host(era, world.Accepts)
				call := h.Call(t.Context(), "list_notes", nil)
				w.Approves()
				r := <-call
				r.Fails(t, lazyauth.ReasonExceeded)
				if got, _ := r.Result.Meta[lazyauth.MetaRequired].(string); got != shown {
					t.Errorf("_meta tells of %q, want %q", got, shown)
				}
				if !strings.Contains(r.Text(), "MaxScopes") || !strings.Contains(r.Text(), shown) || strings.Contains(fmt.Sprint(r.Text(), r.Result.Meta), "evil") {
					t.Errorf("the model is told %q, %v", r.Text(), r.Result.Meta)
				}
				h.WantPrompts(1)
			})
		})
	}
}

func TestMaxScopes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{
			AS:      fakeas.Options{Scopes: []string{"profile", "notes:read", "admin"}},
			Options: lazyauth.Options{MaxScopes: scopes.Of("admin")},
		})
		w.AS.Script(fakeas.ListNotes, challenge(403, `Bearer error="insufficient_scope", scope="admin"`))
		h := w.Host(world.Modern, world.Accepts)
		call := h.Call(t.Context(), "list_notes", nil)
		w.Approves()
		w.Approves()
		(<-call).Succeeds(t, "[]")
		h.WantPrompts(2)
	})
}

func TestChallengeRepeatedAfterStepUp(t *testing.T) {
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

func TestTokenRevokedAtTheServer(t *testing.T) {
	t.Run("refreshed", func(t *testing.T) {
		world.InBothEras(t, func(t *testing.T, era string) {
			w := world.New(t, world.Setup{})
			h := w.Host(era, world.Accepts)
			call := h.Call(t.Context(), "whoami", nil)
			w.Approves()
			(<-call).Succeeds(t, "Ada")
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
			h := w.Host(era, world.Accepts)
			call := h.Call(t.Context(), "whoami", nil)
			w.Approves()
			(<-call).Succeeds(t, "Ada")
			w.AS.RevokeAll()
			call = h.Call(t.Context(), "whoami", nil)
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

// Whoever wants to be asked anew need not wait.
func TestRefused_PersonTriesAgain(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.SignedIn(era)
		w.AS.Script(fakeas.Me, unauthorized(nil).Times(5)) // before and after a refresh and a sign-in; and once more
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		if r := <-call; !strings.Contains(r.Text(), "401") {
			t.Errorf("got %q, %v", r.Text(), r.Err)
		}
		if r := <-h.Call(t.Context(), "whoami", nil); !strings.Contains(r.Text(), "401") {
			t.Errorf("got %q, %v", r.Text(), r.Err)
		}
		w.Auth.ForgetDecline(lazyauth.LocalUser)
		h.Gets("whoami", nil, "Ada")
		w.WantRefreshes(2)
	})
}

// Each token that worked and is refused then gets its refresh, one for all calls.
func TestRefused_OneRefreshForEachToken(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.SignedIn(era)
		for n := range 3 {
			w.AS.ExpireAccessTokens()
			var calls []<-chan world.Reply
			for range 20 {
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

// withUpload adds a tool that sends what body returns.
func withUpload(body func() io.Reader, client func(*http.Client)) func(*world.World) {
	return func(w *world.World) {
		w.AddTools()
		lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "upload"}, scopes.Of("profile"), world.Counted(w, "upload",
			func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
				req, err := http.NewRequestWithContext(ctx, "POST", w.AS.API()+"/notes", body())
				if err != nil {
					return nil, world.Answer{}, err
				}
				req.Header.Set("Content-Type", "application/json")
				c := lazyauth.Client(ctx)
				if client != nil {
					client(c)
				}
				return world.ReadAnswer(c.Do(req))
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
			world.InBothEras(t, func(t *testing.T, era string) {
				text := `{"text":"` + strings.Repeat("x", test.length) + `"}`
				w := world.New(t, world.Setup{Tools: withUpload(func() io.Reader { return bare{strings.NewReader(text)} }, nil)})
				if !test.replay {
					// Challenged only when the body was read: the worst moment.
					w.AS.Script(fakeas.CreateNote, challenge(403, `Bearer error="insufficient_scope", scope="notes:write"`))
				}
				h := w.Host(era, world.Accepts)
				call := h.Call(t.Context(), "upload", nil)
				w.Approves()
				if test.replay {
					w.Approves()
					(<-call).Succeeds(t, "xxx")
					h.WantPrompts(2)
					return
				}
				r := <-call
				r.Fails(t, lazyauth.ReasonUnsupported)
				if !strings.Contains(r.Text(), "GetBody") {
					t.Errorf("%q does not say what to do", r.Text())
				}
				h.WantPrompts(1)
			})
		})
	}
}

func TestDeadlineDuringStepUp(t *testing.T) {
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

func TestTwoRequestsOfOneHandler(t *testing.T) {
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

func TestHierarchyAndAlternatives(t *testing.T) {
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

func TestToolsTellTheirScopes(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		list, err := w.Host(era, world.Accepts).Session.ListTools(t.Context(), nil)
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
	world.InBothEras(t, func(t *testing.T, era string) {
		const header = `Bearer error="insufficient_scope", scope="notes:write", resource_metadata="https://evil.example/metadata"`
		var e elsewhere
		e.answer = func(w http.ResponseWriter) {
			w.Header().Set("WWW-Authenticate", header)
			w.WriteHeader(http.StatusForbidden)
		}
		w := world.New(t, world.Setup{
			Options: lazyauth.Options{Transport: &e},
			Tools: func(w *world.World) {
				e.next = w.AS.Transport()
				w.AddTools()
				lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "fetch"}, scopes.Of("profile"),
					func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
						return world.ReadAnswer(lazyauth.Client(ctx).Get("https://evil.example/"))
					})
			},
		})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "fetch", nil)
		w.Approves()
		if r := <-call; r.Err != nil || !strings.Contains(r.Text(), "403") {
			t.Errorf("got %q, %v", r.Text(), r.Err)
		}
		h.WantPrompts(1)
		if got := strings.Join(e.seen, " "); got != "https://evil.example" {
			t.Errorf("requests went to %s", got)
		}
	})
}

func TestContextEndsDuringStepUp(t *testing.T) {
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
