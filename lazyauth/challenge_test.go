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
			inBothEras(t, func(t *testing.T, era string) {
				var told []lazyauth.RefusedInfo
				w := newWorld(t, setup{options: lazyauth.Options{Trace: &lazyauth.Trace{
					Refused: func(_ context.Context, info lazyauth.RefusedInfo) { told = append(told, info) },
				}}})
				w.as.Script(fakeas.ListNotes, test.script)
				h := w.host(era, accepts)
				call := h.call(t.Context(), "list_notes", nil)
				w.approves()
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
				for _, log := range []string{w.log.String(), w.slog.String()} {
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
	inBothEras(t, func(t *testing.T, era string) {
		as := fakeas.New(nil)
		w := newWorld(t, setup{shared: as, options: lazyauth.Options{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
			if req.URL.Host != "api.example.test" {
				return as.Transport().RoundTrip(req)
			}
			said := req.Header.Get("Authorization")
			return &http.Response{StatusCode: 403, Status: "403 Forbidden", Body: http.NoBody, Request: req, Header: http.Header{
				"Www-Authenticate": {`Bearer error="insufficient_scope", scope="admin", error_description="` + said + `"`, said},
			}}, nil
		})}})
		h := w.host(era, accepts)
		call := h.call(t.Context(), "whoami", nil)
		w.approves()
		(<-call).fails(t, lazyauth.ReasonExceeded)
		if w.trace.count("refused") != 1 || !strings.Contains(w.trace.text(), "[secret]") {
			t.Errorf("the trace is %s", w.trace.text())
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
			inBothEras(t, func(t *testing.T, era string) {
				w := newWorld(t, setup{
					service: func(s *lazyauth.Service) {
						s.ScopeNames = map[string]string{"named": "things with a name"}
						s.Hierarchy = order
					},
					options: lazyauth.Options{MaxScopes: scopes.Of("allowed")},
				})
				w.as.Script(fakeas.ListNotes, challenge(403, `Bearer error="insufficient_scope", scope="`+demanded+`"`))
				h := w.host(era, accepts)
				call := h.call(t.Context(), "list_notes", nil)
				w.approves()
				r := <-call
				r.fails(t, lazyauth.ReasonExceeded)
				if got, _ := r.result.Meta[lazyauth.MetaRequired].(string); got != shown {
					t.Errorf("_meta tells of %q, want %q", got, shown)
				}
				if !strings.Contains(r.text(), "MaxScopes") || !strings.Contains(r.text(), shown) || strings.Contains(fmt.Sprint(r.text(), r.result.Meta), "evil") {
					t.Errorf("the model is told %q, %v", r.text(), r.result.Meta)
				}
				h.wantPrompts(1)
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

func (w *world) wantRefreshes(n int) {
	w.t.Helper()
	if got := w.as.Count(fakeas.Refresh, fakeas.OK); got != n {
		w.t.Errorf("%d refreshes, want %d", got, n)
	}
}

// A 401 means the token, whatever its header says: it is refreshed.
func TestRefused_WhateverTheHeaderSays(t *testing.T) {
	for name, test := range refusals {
		t.Run(name, func(t *testing.T) {
			inBothEras(t, func(t *testing.T, era string) {
				w := newWorld(t, setup{})
				h := w.signedIn(era)
				w.as.Script(fakeas.Me, unauthorized(test.header))
				h.gets("whoami", nil, "Ada")
				h.wantPrompts(1)
				w.wantRefreshes(1)
			})
		})
	}
}

// The person is asked only where that may help; otherwise the handler gets the response,
// also where the refresh token has ended.
func TestRefused_AsksWhereASignInMayHelp(t *testing.T) {
	for name, test := range refusals {
		t.Run(name, func(t *testing.T) {
			inBothEras(t, func(t *testing.T, era string) {
				w := newWorld(t, setup{})
				h := w.signedIn(era)
				w.as.Script(fakeas.Me, unauthorized(test.header))
				w.as.RevokeRefreshTokens()
				call := h.call(t.Context(), "whoami", nil)
				if test.signIn {
					w.approves()
					(<-call).succeeds(t, "Ada")
					h.wantPrompts(2)
					return
				}
				if r := <-call; r.err != nil || !strings.Contains(r.text(), "401") {
					t.Errorf("got %q, %v", r.text(), r.err)
				}
				h.wantPrompts(1)
				w.wantAuthorizations(1)
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
			inBothEras(t, func(t *testing.T, era string) {
				w := newWorld(t, setup{service: func(s *lazyauth.Service) { s.Dialect = dialect }})
				h := w.signedIn(era)
				w.as.Script(fakeas.Me, unauthorized(nil))
				h.gets("whoami", nil, "Ada")
				h.wantPrompts(1)
				w.wantRefreshes(1)
			})
		})
	}
}

// An API that refuses every token costs a refresh, and later a sign-in, in a minute, and not
// with each call; and none at once after the sign-in that its token came of.
func TestRefused_EveryToken(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		w.as.Script(fakeas.Me, unauthorized(nil).Times(-1))
		h := w.host(era, accepts)
		refused := func(r reply) {
			t.Helper()
			if r.err != nil || !strings.Contains(r.text(), "401") {
				t.Errorf("got %q, %v", r.text(), r.err)
			}
		}
		call := h.call(t.Context(), "whoami", nil)
		w.approves()
		refused(<-call)
		for range 5 {
			refused(<-h.call(t.Context(), "whoami", nil))
			later(5 * time.Second)
		}
		h.wantPrompts(1)
		w.wantRefreshes(1)
		if !strings.Contains(w.log.String(), "audience") {
			t.Errorf("the log does not ask whether the tokens are for another API: %s", w.log.String())
		}

		later(time.Minute)
		call = h.call(t.Context(), "whoami", nil)
		w.approves()
		refused(<-call)
		for range 5 {
			refused(<-h.call(t.Context(), "whoami", nil))
			later(5 * time.Second)
		}
		h.wantPrompts(2)
		w.wantRefreshes(2)
		w.wantAuthorizations(2)
	})
}

// Whoever wants to be asked anew need not wait.
func TestRefused_PersonTriesAgain(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.signedIn(era)
		w.as.Script(fakeas.Me, unauthorized(nil).Times(5)) // before and after a refresh and a sign-in; and once more
		call := h.call(t.Context(), "whoami", nil)
		w.approves()
		if r := <-call; !strings.Contains(r.text(), "401") {
			t.Errorf("got %q, %v", r.text(), r.err)
		}
		if r := <-h.call(t.Context(), "whoami", nil); !strings.Contains(r.text(), "401") {
			t.Errorf("got %q, %v", r.text(), r.err)
		}
		w.auth.ForgetDecline(lazyauth.LocalUser)
		h.gets("whoami", nil, "Ada")
		w.wantRefreshes(2)
	})
}

// Each token that worked and is refused then gets its refresh, one for all calls.
func TestRefused_OneRefreshForEachToken(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.signedIn(era)
		for n := range 3 {
			w.as.ExpireAccessTokens()
			var calls []<-chan reply
			for range 20 {
				calls = append(calls, h.call(t.Context(), "whoami", nil))
			}
			for _, call := range calls {
				(<-call).succeeds(t, "Ada")
			}
			w.wantRefreshes(n + 1)
		}
		h.wantPrompts(1)
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
	later(s.after)
	return &http.Response{StatusCode: 401, Status: "401 Unauthorized", Body: http.NoBody, Request: req, Header: http.Header{}}, nil
}

// Tokens that have ended by the time that the API refuses them are not refreshed for ever.
func TestRefused_TokensThatLapseMeanwhile(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		as := fakeas.New(&fakeas.Options{TokenLifetime: 4 * time.Second})
		api := &slowRefusal{next: as.Transport(), after: 5 * time.Second}
		w := newWorld(t, setup{shared: as, options: lazyauth.Options{Transport: api}})
		h := w.host(era, accepts)
		call := h.call(t.Context(), "whoami", nil)
		w.approves()
		if r := <-call; r.err != nil || !strings.Contains(r.text(), "401") {
			t.Errorf("got %q, %v", r.text(), r.err)
		}
		if n := api.count.Load(); n > 5 {
			t.Errorf("one request of the handler was sent %d times", n)
		}
		h.wantPrompts(1)
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
	later(10 * time.Millisecond) // network
	return &http.Response{StatusCode: 403, Status: "403 Forbidden", Body: http.NoBody, Request: req, Header: http.Header{
		"X-Accepted-Oauth-Scopes": {"notes:read"}, "X-Oauth-Scopes": {"profile"},
	}}, nil
}

// While a refresh is under way nothing can be said of the token that it replaces: a step-up
// waits for it, and does not send the request again and again. Then the person is asked.
func TestStepUp_WhileARefreshIsUnderWay(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		as := fakeas.New(&fakeas.Options{TokenLifetime: time.Hour})
		api := &reducing{next: as.Transport()}
		w := newWorld(t, setup{
			shared: as, options: lazyauth.Options{Transport: api},
			service: func(s *lazyauth.Service) { s.Dialect = scopes.GitHubDemand },
		})
		h := w.host(era, accepts)
		call := h.call(t.Context(), "list_notes", nil)
		w.approves()
		(<-call).succeeds(t, "")
		as.Script(fakeas.Refresh, fakeas.Pass().After(25*time.Second)) // a slow token endpoint
		later(59 * time.Minute)                                        // the grant is due
		api.on.Store(true)
		call = h.call(t.Context(), "list_notes", nil)
		later(20 * time.Second)
		synctest.Wait()
		if n := api.count.Load(); n != 1 {
			t.Errorf("%d requests to the API within 20 s for one of the handler", n)
		}
		h.wantPrompts(1)
		code := w.person().UserCode // once the refresh is done
		if n := api.count.Load(); n != 2 {
			t.Errorf("%d requests to the API before the person was asked", n)
		}
		api.on.Store(false)
		as.Approve(code)
		(<-call).succeeds(t, "")
		h.wantPrompts(2)
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
