package lazyauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

// everyone is the Callers of a way that is everybody's who has a bearer token.
func everyone(c lazyauth.Caller) bool { return c.Bearer != "" }

// exchanging is a world whose calls have their bearer tokens exchanged.
type exchanging struct {
	*world.World
	*world.Endpoint
}

// exchanges makes one, in which the way is changed by each of these.
func exchanges(t *testing.T, as fakeas.Options, change ...func(*lazyauth.Unattended, *lazyauth.Options)) exchanging {
	t.Helper()
	as.Unattended.Exchange = true
	u := lazyauth.Unattended{Callers: everyone, Exchange: &lazyauth.TokenExchange{Audience: []string{fakeas.DefaultAPI}}}
	var o lazyauth.Options
	for _, f := range change {
		f(&u, &o)
	}
	o.Unattended = []lazyauth.Unattended{u}
	w := world.New(t, world.Setup{AS: as, Options: o, Tools: world.WithDigest})
	return exchanging{w, w.EndpointBehind(w.Introspecting(w.AS.Issuer()))}
}

func thenAsk(u *lazyauth.Unattended, o *lazyauth.Options) {
	u.ThenAsk, o.VerifyUser = true, world.Anybody
}

// bearer returns a token of a caller's, as their host got it for this server.
func (w exchanging) bearer(user string, life time.Duration, scopes ...string) string {
	if len(scopes) == 0 {
		scopes = []string{"profile", "notes:read", "notes:write"}
	}
	text := w.AS.Issue(fakeas.Access{
		Subject: user, ClientID: "a host", Scopes: scopes, Expires: time.Now().Add(life), Audience: []string{"https://mcp.example.test"},
	})
	w.Secrets.Add(text)
	return text
}

// calls makes a call with a bearer token, and returns its reply.
func (w exchanging) calls(tool, bearer string) world.Reply {
	w.T.Helper()
	text := ""
	if tool != "whoami" {
		text = "x"
	}
	return <-w.Send(w.T.Context(), world.Request{Tool: tool, User: bearer, Text: text, Caps: world.URLAlone})
}

// fails demands that a call failed, and nobody was asked.
func fails(t *testing.T, r world.Reply) {
	t.Helper()
	if r.Err != nil || !r.Result.IsError {
		t.Errorf("the call did not fail: %q, %v", r.Text(), r.Err)
	}
}

// exchanged demands so many exchanges, all of them without a word to anybody.
func (w exchanging) exchanged(n int) {
	w.T.Helper()
	if got := w.AS.Count(fakeas.TokenExchange, ""); got != n {
		w.T.Errorf("%d exchanges, want %d", got, n)
	}
	if got := w.AS.Count(fakeas.DeviceAuthorization, ""); got != 0 {
		w.T.Errorf("somebody was asked: %d device authorizations", got)
	}
}

// Nobody is asked; each caller's calls are their own, by one exchange for each bearer token.
func TestUnattended_Exchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := exchanges(t, fakeas.Options{TokenLifetime: time.Hour})
		ada, grace := w.bearer("ada", 10*time.Minute), w.bearer("grace", 10*time.Minute)
		for range 3 {
			w.calls("whoami", ada).Succeeds(t, `\"ada\"`)
			w.calls("whoami", grace).Succeeds(t, `\"grace\"`)
		}
		w.exchanged(2)
		infos := world.Infos[lazyauth.UnattendedInfo](&w.Trace)
		if len(infos) != 2 || infos[0].How != "exchange" || infos[0].Principal.Subject != "ada" || infos[0].Scopes.String() != "profile" || infos[0].Life > 10*time.Minute {
			t.Errorf("the trace: %+v", infos)
		}
		if n := w.Counters.All()["unattended.exchange"]; n != 2 {
			t.Errorf("the counters: %v", w.Counters.All())
		}
		status, err := w.Auth.Status(t.Context(), lazyauth.Principal{Issuer: w.AS.Issuer(), Subject: "ada"})
		if err != nil || status.Unattended != "exchange" || status.Renewable || status.Scopes.String() != "profile" {
			t.Errorf("the status: %+v, %v", status, err)
		}
	})
}

// Calls at once are one exchange.
func TestUnattended_OneExchangeForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := exchanges(t, fakeas.Options{Latency: time.Second})
		ada := w.bearer("ada", time.Hour)
		var calls []<-chan world.Reply
		for range 50 {
			calls = append(calls, w.Send(t.Context(), world.Request{User: ada}))
		}
		for _, c := range calls {
			(<-c).Succeeds(t, `\"ada\"`)
		}
		w.exchanged(1)
	})
}

// Two bearer tokens of one person are two callers: one that is good for less gets no more by
// what the other was exchanged for.
func TestUnattended_BearersAreKeptApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := exchanges(t, fakeas.Options{})
		all, little := w.bearer("ada", time.Hour), w.bearer("ada", time.Hour, "profile")
		w.calls("create_note", all).Succeeds(t, "")
		w.calls("create_note", little).Fails(t, lazyauth.ReasonUnavailable)
		w.calls("whoami", little).Succeeds(t, `\"ada\"`)
		if n := w.AS.Count(fakeas.CreateNote, fakeas.OK); n != 1 {
			t.Errorf("%d notes", n)
		}
		w.exchanged(3)
	})
}

// The grant ends with the bearer token, though the server would let it live; the bearer token
// itself is let in no more.
func TestUnattended_EndsWithTheBearer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := exchanges(t, fakeas.Options{})
		// The verifier says less than the server: the exchanged token is good for ever there.
		ada := w.AS.Issue(fakeas.Access{Subject: "ada", ClientID: "a host", Scopes: []string{"profile"}})
		w.Secrets.Add(ada)
		release := make(chan struct{})
		lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "slow"}, scopes.Of("profile"), func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
			<-release
			return w.World.Get(ctx, "/me")
		})
		c := w.Send(t.Context(), world.Request{Tool: "slow", User: ada})
		world.Later(time.Hour)
		close(release)
		r := <-c
		r.Fails(t, lazyauth.ReasonUnavailable)
		if !strings.Contains(r.Text(), "has ended") {
			t.Errorf("the model reads: %s", r.Text())
		}
		w.exchanged(1)
	})
}

// A caller whose bearer token is of another issuer, or of none that the verifier names, gets no
// exchange: it is sent nowhere.
func TestUnattended_OtherIssuersAreRefused(t *testing.T) {
	for _, issuer := range []string{"https://elsewhere.example.test", "", fakeas.DefaultIssuer + "/"} {
		synctest.Test(t, func(t *testing.T) {
			w := exchanges(t, fakeas.Options{})
			w.Endpoint = w.EndpointBehind(w.Introspecting(issuer))
			w.calls("whoami", w.bearer("ada", time.Hour)).Fails(t, lazyauth.ReasonUnavailable)
			w.exchanged(0)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		w := exchanges(t, fakeas.Options{}, func(u *lazyauth.Unattended, _ *lazyauth.Options) {
			u.Exchange.InsecureIssuers = []string{"https://elsewhere.example.test"}
		})
		w.Endpoint = w.EndpointBehind(w.Introspecting("https://elsewhere.example.test"))
		w.calls("whoami", w.bearer("ada", time.Hour)).Succeeds(t, `\"ada\"`)
	})
}

// What the API's challenge adds is asked for in the same way, before any person is, and no more
// than the limit.
func TestUnattended_StepUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := exchanges(t, fakeas.Options{})
		w.calls("digest", w.bearer("ada", time.Hour)).Succeeds(t, `\"x\"`)
		w.WantDigest(1, 1)
		infos := world.Infos[lazyauth.UnattendedInfo](&w.Trace)
		if len(infos) != 2 || infos[1].Asked.String() != "notes:read notes:write" {
			t.Errorf("the trace: %+v", infos)
		}
		w.exchanged(2)
	})
}

// A refusal has the person asked only where the author says so; then what they gave is used, and
// the next call tries the exchange again first.
func TestUnattended_ThenAsk(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		if era == world.Legacy {
			t.Skip("an endpoint speaks the newer one alone")
		}
		for name, behaviour := range map[string]fakeas.Behaviour{
			"denied": fakeas.Error(http.StatusBadRequest, "access_denied"), "target": fakeas.Error(http.StatusBadRequest, "invalid_target"),
			"client": fakeas.Error(http.StatusBadRequest, "unauthorized_client"), "grant": fakeas.Error(http.StatusBadRequest, "invalid_grant"),
			"scope": fakeas.Error(http.StatusBadRequest, "invalid_scope"), "redirect": fakeas.Redirect(http.StatusFound, "https://evil.example.test/"),
		} {
			w := exchanges(t, fakeas.Options{}, thenAsk)
			ada := w.bearer("ada", time.Hour)
			w.AS.Script(fakeas.TokenExchange, behaviour)
			c := w.Send(t.Context(), world.Request{User: ada, Caps: world.URLAlone})
			r := <-c
			if r.Result == nil || len(r.Result.InputRequests) != 1 {
				t.Fatalf("%s: nobody is asked: %+v", name, r)
			}
			w.Approves()
			again := <-w.Send(t.Context(), world.Request{User: ada, Caps: world.URLAlone, State: r.Result.RequestState, Action: "accept"})
			again.Succeeds(t, `\"ada\"`)
			plain := exchanges(t, fakeas.Options{})
			plain.AS.Script(fakeas.TokenExchange, behaviour)
			plain.calls("whoami", plain.bearer("ada", time.Hour)).Fails(t, lazyauth.ReasonUnavailable)
			plain.exchanged(1)
		}
	})
}

// Nobody is asked because a server is away; the call fails in a bounded time, and the next one
// tries again.
func TestUnattended_AwayIsNotRefused(t *testing.T) {
	for name, behaviour := range map[string]fakeas.Behaviour{
		"stalled": fakeas.Stall(), "503": fakeas.Unavailable(http.StatusServiceUnavailable, 0), "dropped": fakeas.Drop(),
		"trouble": fakeas.Error(http.StatusBadRequest, "temporarily_unavailable"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := exchanges(t, fakeas.Options{}, thenAsk)
				ada := w.bearer("ada", 3*time.Hour)
				w.AS.Script(fakeas.TokenExchange, behaviour, behaviour)
				began := time.Now()
				r := w.calls("whoami", ada)
				if took := time.Since(began); took > 65*time.Second {
					t.Errorf("it took %v", took)
				}
				fails(t, r)
				world.Later(time.Minute)
				w.calls("whoami", ada).Succeeds(t, `\"ada\"`)
				w.exchanged(3)
			})
		})
	}
}

// An API that does not accept the token has it exchanged once more; then it is the author's
// choice.
func TestUnattended_Rejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := exchanges(t, fakeas.Options{})
		ada := w.bearer("ada", time.Hour)
		w.calls("whoami", ada).Succeeds(t, `\"ada\"`)
		w.AS.Script(fakeas.Me, fakeas.Raw(http.StatusUnauthorized, nil, ""))
		w.calls("whoami", ada).Succeeds(t, `\"ada\"`)
		w.exchanged(2)
		w.AS.Script(fakeas.Me, fakeas.Raw(http.StatusUnauthorized, nil, ""), fakeas.Raw(http.StatusUnauthorized, nil, ""))
		if r := w.calls("whoami", ada); !r.Result.IsError {
			t.Error("the handler is not told")
		}
		w.exchanged(3)
	})
	synctest.Test(t, func(t *testing.T) {
		w := exchanges(t, fakeas.Options{}, thenAsk)
		ada := w.bearer("ada", time.Hour)
		refused := fakeas.Raw(http.StatusUnauthorized, nil, "")
		w.AS.Script(fakeas.Me, refused, refused)
		r := w.calls("whoami", ada)
		if r.Result == nil || len(r.Result.InputRequests) != 1 {
			t.Fatalf("nobody is asked: %+v", r)
		}
		w.Approves()
		(<-w.Send(t.Context(), world.Request{User: ada, Caps: world.URLAlone, State: r.Result.RequestState, Action: "accept"})).Succeeds(t, `\"ada\"`)
	})
}

// Logging out forgets what was exchanged, also what is under way; the next call exchanges anew.
func TestUnattended_Logout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := exchanges(t, fakeas.Options{})
		who := lazyauth.Principal{Issuer: w.AS.Issuer(), Subject: "ada"}
		ada := w.bearer("ada", time.Hour)
		w.AS.Script(fakeas.TokenExchange, fakeas.Pass().After(5*time.Second))
		c := w.Send(t.Context(), world.Request{User: ada})
		world.Later(time.Second)
		if err := w.Auth.Revoke(t.Context(), who); err != nil {
			t.Error(err)
		}
		(<-c).Fails(t, lazyauth.ReasonDenied)
		if _, err := w.Auth.Status(t.Context(), who); !errors.Is(err, lazyauth.ErrNoGrant) {
			t.Errorf("there is still a grant: %v", err)
		}
		w.calls("whoami", ada).Succeeds(t, `\"ada\"`)
		w.exchanged(2)
	})
}

// A server that is asked for less than a moment's token is not asked again and again.
func TestUnattended_RefusalsAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := exchanges(t, fakeas.Options{})
		little := w.bearer("ada", time.Hour, "profile")
		for range 20 {
			fails(t, w.calls("create_note", little))
		}
		w.exchanged(1)
		world.Later(2 * time.Minute)
		fails(t, w.calls("create_note", little))
		w.exchanged(2)
	})
}

// What a server sends beside what was asked for is not kept, and what is not what was asked for
// is refused.
func TestUnattended_Answers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := exchanges(t, fakeas.Options{TokenLifetime: time.Minute})
		w.AS.Script(fakeas.TokenExchange, fakeas.Edit(func(_ *http.Request, a *fakeas.Answer) { a.Members["refresh_token"] = "rt_unasked" }))
		w.Secrets.Add("rt_unasked")
		ada := w.bearer("ada", time.Hour)
		w.calls("whoami", ada).Succeeds(t, `\"ada\"`)
		world.Later(time.Minute)
		w.calls("whoami", ada).Succeeds(t, `\"ada\"`)
		if n := w.AS.Count(fakeas.Refresh, ""); n != 0 {
			t.Error("it was refreshed")
		}
		w.exchanged(2)
	})
	for name, edit := range map[string]func(map[string]any){
		"no type": func(m map[string]any) { delete(m, "issued_token_type") },
		"a refresh token": func(m map[string]any) {
			m["issued_token_type"] = "urn:ietf:params:oauth:token-type:refresh_token"
		},
		"not for use":    func(m map[string]any) { m["token_type"] = "N_A" },
		"no token type":  func(m map[string]any) { delete(m, "token_type") },
		"bound to a key": func(m map[string]any) { m["token_type"] = "DPoP" },
		"no token":       func(m map[string]any) { delete(m, "access_token") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := exchanges(t, fakeas.Options{})
				w.AS.Script(fakeas.TokenExchange, fakeas.Edit(func(_ *http.Request, a *fakeas.Answer) { edit(a.Members) }))
				w.calls("whoami", w.bearer("ada", time.Hour)).Fails(t, lazyauth.ReasonUnavailable)
			})
		})
	}
}

// A server that hands back what it was given has exchanged nothing, nor has a function of the author's: the caller's own
// token goes to no API (MCP 2026-07-28 basic/authorization/security-considerations: "MUST NOT pass through").
func TestUnattended_TheBearerItself(t *testing.T) {
	for name, change := range map[string]func(*lazyauth.Unattended, *lazyauth.Options){
		"from the server": func(*lazyauth.Unattended, *lazyauth.Options) {},
		"from a function": func(u *lazyauth.Unattended, _ *lazyauth.Options) {
			u.Exchange = nil
			u.Token = func(_ context.Context, c lazyauth.Caller, _ scopes.Set) (*oauth2.Token, error) {
				return &oauth2.Token{AccessToken: c.Bearer}, nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := exchanges(t, fakeas.Options{}, change)
				ada := w.bearer("ada", time.Hour)
				w.AS.Script(fakeas.TokenExchange, fakeas.Edit(func(_ *http.Request, a *fakeas.Answer) { a.Members["access_token"] = ada }))
				w.calls("whoami", ada).Fails(t, lazyauth.ReasonUnavailable)
				if n := w.AS.Count(fakeas.Me, ""); n != 0 {
					t.Error("the bearer token went to the API")
				}
			})
		})
	}
}

// The author's own source: its errors are the author's word.
func TestUnattended_Token(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := func() (*oauth2.Token, error) { return nil, lazyauth.ErrNoGrant }
		w := exchanges(t, fakeas.Options{}, thenAsk, func(u *lazyauth.Unattended, _ *lazyauth.Options) {
			u.Exchange = nil
			u.Token = func(_ context.Context, c lazyauth.Caller, want scopes.Set) (*oauth2.Token, error) { return answer() }
		})
		ada := w.bearer("ada", time.Hour)
		if r := w.calls("whoami", ada); r.Result == nil || len(r.Result.InputRequests) != 1 {
			t.Errorf("nobody is asked: %+v", r)
		}
		answer = func() (*oauth2.Token, error) { panic("of " + ada) }
		grace := w.bearer("grace", time.Hour)
		w.calls("whoami", grace).Fails(t, lazyauth.ReasonUnavailable)
		answer = func() (*oauth2.Token, error) {
			return &oauth2.Token{AccessToken: w.AS.Issue(fakeas.Access{Subject: "grace", Scopes: []string{"profile"}})}, nil
		}
		world.Later(time.Minute)
		w.calls("whoami", grace).Succeeds(t, `\"grace\"`)
	})
}

// Over stdio nobody has a bearer token: the error says so, and nothing is sent.
func TestUnattended_ExchangeOverStdio(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := exchanges(t, fakeas.Options{}, func(u *lazyauth.Unattended, _ *lazyauth.Options) {
			u.Callers = func(lazyauth.Caller) bool { return true }
		})
		(<-w.Host(era, world.Accepts).Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnavailable)
		w.exchanged(0)
		if n := len(world.Infos[lazyauth.UnattendedInfo](&w.Trace)); n != 1 {
			t.Errorf("%d events", n)
		}
	})
}

// A service account has a token of the program's own, in both eras and over stdio; nobody else
// does.
func TestUnattended_ClientCredentials(t *testing.T) {
	as := fakeas.Options{
		Clients:    []fakeas.Client{{ID: fakeas.DefaultClientID}, {ID: "nightly", Secret: "of the service account"}},
		Unattended: fakeas.Unattended{Credentials: true},
	}
	way := lazyauth.Unattended{Credentials: &lazyauth.ClientCredentials{
		Callers: []lazyauth.Principal{{Subject: "robot"}}, ClientID: "nightly", ClientSecret: "of the service account",
	}}
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: as, Options: lazyauth.Options{Principal: world.ByClientName, VerifyUser: world.Anybody, Unattended: []lazyauth.Unattended{way}}})
		w.Secrets.Add("of the service account")
		robot := w.HostWith(era, world.Manners{Name: "robot"})
		robot.Gets("whoami", nil, `\"nightly\"`)
		robot.Gets("whoami", nil, `\"nightly\"`)
		if n := w.AS.Count(fakeas.ClientCredentials, ""); n != 1 {
			t.Errorf("%d requests", n)
		}
		person := w.HostWith(era, world.Manners{Name: "ada", URL: true, React: world.Accepts})
		c := person.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-c).Succeeds(t, `\"ada\"`)
	})
}

// A challenge of the API raises a grant no higher than the program allows, whoever is asked.
func TestUnattended_ChallengeBeyondTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := exchanges(t, fakeas.Options{}, thenAsk)
		ada := w.bearer("ada", time.Hour, "profile", "notes:read", "notes:write", "admin")
		w.AS.Script(fakeas.Me, fakeas.Raw(http.StatusForbidden, http.Header{"Www-Authenticate": {`Bearer error="insufficient_scope", scope="profile admin"`}}, ""))
		w.calls("whoami", ada).Fails(t, lazyauth.ReasonExceeded)
		for _, info := range world.Infos[lazyauth.UnattendedInfo](&w.Trace) {
			if info.Asked.String() != "profile" {
				t.Errorf("asked for %s", info.Asked)
			}
		}
		w.exchanged(1)
	})
}

// Answers without an end, and redirects, are none; no secret follows them.
func TestUnattended_HostileAnswers(t *testing.T) {
	for name, behaviour := range map[string]fakeas.Behaviour{
		"endless":  fakeas.Raw(http.StatusOK, http.Header{"Content-Type": {"application/json"}}, `{"access_token":"`+strings.Repeat("x", 1<<20)),
		"redirect": fakeas.Redirect(http.StatusTemporaryRedirect, fakeas.DefaultAPI+"/elsewhere"),
		"a page":   fakeas.Raw(http.StatusOK, http.Header{"Content-Type": {"text/html"}}, "<html>access_token=x</html>"),
		"echo":     fakeas.Raw(http.StatusBadRequest, http.Header{"Content-Type": {"application/json"}}, `{"error":"at_x","error_description":"no"}`),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := exchanges(t, fakeas.Options{})
				w.AS.Script(fakeas.TokenExchange, behaviour, behaviour)
				w.calls("whoami", w.bearer("ada", time.Hour)).Fails(t, lazyauth.ReasonUnavailable)
				if n := w.AS.Count(fakeas.Elsewhere, ""); n != 0 {
					t.Error("the redirect was followed")
				}
			})
		})
	}
	// A server that repeats the bearer token in its error has it in no log: see the canary.
	synctest.Test(t, func(t *testing.T) {
		w := exchanges(t, fakeas.Options{})
		ada := w.bearer("ada", time.Hour)
		w.AS.Script(fakeas.TokenExchange, fakeas.Raw(http.StatusBadRequest, http.Header{"Content-Type": {"application/json"}}, `{"error":"invalid_request","error_description":"the token `+ada+` is not good"}`))
		w.calls("whoami", ada).Fails(t, lazyauth.ReasonUnavailable)
	})
}

// Without VerifyUser nobody is asked for callers that are not the local user, however a call
// comes by the idea.
func TestUnattended_NeverAsksWithoutVerifyUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := exchanges(t, fakeas.Options{}, func(u *lazyauth.Unattended, _ *lazyauth.Options) {
			is := true
			u.Callers = func(lazyauth.Caller) bool { is = !is; return !is } // the first time, and not the second
		})
		ada := w.bearer("ada", time.Hour)
		w.calls("whoami", ada).Succeeds(t, `\"ada\"`)
		w.calls("whoami", ada).Fails(t, lazyauth.ReasonUnverified)
		w.exchanged(1)
	})
}

// A caller whom no way names is asked as ever.
func TestUnattended_OthersAreAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := exchanges(t, fakeas.Options{}, func(u *lazyauth.Unattended, o *lazyauth.Options) {
			u.Callers, o.VerifyUser = func(c lazyauth.Caller) bool { return c.Principal.Subject == "robot" }, world.Anybody
		})
		if r := w.calls("whoami", w.bearer("ada", time.Hour)); r.Result == nil || len(r.Result.InputRequests) != 1 {
			t.Errorf("nobody is asked: %q", r.Text())
		}
		w.calls("whoami", w.bearer("robot", time.Hour)).Succeeds(t, `\"robot\"`)
	})
}

// However what has a secret is printed, the secret is not.
func TestUnattended_Printed(t *testing.T) {
	caller := lazyauth.Caller{Principal: lazyauth.Principal{Subject: "ada"}, Bearer: "s3cr3t", Expires: time.Now()}
	identity := lazyauth.IdentityAssertion{Issuer: "https://idp.example.test", ClientID: "a", ClientSecret: "s3cr3t"}
	credentials := lazyauth.ClientCredentials{ClientID: "a", ClientSecret: "s3cr3t"}
	way := lazyauth.Unattended{Identity: &identity}
	for _, value := range []any{caller, &caller, identity, &identity, credentials, &credentials, way, []lazyauth.Unattended{way}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			if text := fmt.Sprintf(verb, value); strings.Contains(text, "s3cr3t") || strings.Contains(text, "733363723374") {
				t.Errorf("%s of %T: %s", verb, value, text)
			}
		}
		if text, err := json.Marshal(value); err == nil && strings.Contains(string(text), "s3cr3t") {
			t.Errorf("JSON: %s", text)
		}
	}
}

// What cannot be meant is refused by New.
func TestUnattended_New(t *testing.T) {
	exchange := func() *lazyauth.TokenExchange { return &lazyauth.TokenExchange{Audience: []string{"api"}} }
	for want, change := range map[string]func(*lazyauth.Unattended, *lazyauth.Service, *lazyauth.Options){
		"set one of them": func(u *lazyauth.Unattended, _ *lazyauth.Service, _ *lazyauth.Options) { u.Exchange = nil },
		"it has 2 of": func(u *lazyauth.Unattended, _ *lazyauth.Service, _ *lazyauth.Options) {
			u.Credentials = new(lazyauth.ClientCredentials)
		},
		"Callers is nil": func(u *lazyauth.Unattended, _ *lazyauth.Service, _ *lazyauth.Options) { u.Callers = nil },
		"InsecureSkipIssuerCheck": func(_ *lazyauth.Unattended, s *lazyauth.Service, _ *lazyauth.Options) {
			s.InsecureSkipIssuerCheck = true
		},
		"Service.Issuer": func(_ *lazyauth.Unattended, s *lazyauth.Service, _ *lazyauth.Options) {
			s.Issuer, s.Endpoint = "", oauth2.Endpoint{TokenURL: "https://as.example.test/token", DeviceAuthURL: "https://as.example.test/device"}
		},
		"Service.ClientID": func(_ *lazyauth.Unattended, s *lazyauth.Service, _ *lazyauth.Options) {
			s.ClientID, s.Registration = "", &lazyauth.Registration{ClientName: "x"}
		},
		"the protocol's own": func(u *lazyauth.Unattended, _ *lazyauth.Service, _ *lazyauth.Options) {
			u.Exchange.Params = map[string][]string{"subject_token": {"x"}}
		},
		"absolute URL": func(u *lazyauth.Unattended, _ *lazyauth.Service, _ *lazyauth.Options) {
			u.Exchange.Resource = []string{"api"}
		},
		"names no API": func(u *lazyauth.Unattended, _ *lazyauth.Service, _ *lazyauth.Options) { u.Exchange.Audience = nil },
		"name the service accounts": func(u *lazyauth.Unattended, _ *lazyauth.Service, _ *lazyauth.Options) {
			*u = lazyauth.Unattended{Credentials: &lazyauth.ClientCredentials{ClientID: "a", ClientSecret: "b"}}
		},
		"client with a secret": func(u *lazyauth.Unattended, _ *lazyauth.Service, _ *lazyauth.Options) {
			*u = lazyauth.Unattended{Credentials: &lazyauth.ClientCredentials{Callers: []lazyauth.Principal{{Subject: "r"}}}}
		},
		"everybody who reaches": func(u *lazyauth.Unattended, _ *lazyauth.Service, o *lazyauth.Options) {
			*u = lazyauth.Unattended{Credentials: &lazyauth.ClientCredentials{Callers: []lazyauth.Principal{lazyauth.LocalUser}, ClientID: "a", ClientSecret: "b"}}
			o.InsecureSingleUser = true
		},
		"Assertion is nil": func(u *lazyauth.Unattended, _ *lazyauth.Service, _ *lazyauth.Options) {
			u.Exchange, u.Identity = nil, &lazyauth.IdentityAssertion{Issuer: "https://idp.example.test", ClientID: "a"}
		},
	} {
		s := lazyauth.Service{Name: "Notes", Issuer: fakeas.DefaultIssuer, ClientID: "notes"}
		o := lazyauth.Options{Unattended: []lazyauth.Unattended{{Callers: everyone, Exchange: exchange()}}}
		change(&o.Unattended[0], &s, &o)
		_, err := lazyauth.New(s, &o)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "lazyauth: Options.Unattended[0]: ") {
			t.Errorf("%q: %v", want, err)
		}
	}
	for _, x := range []lazyauth.TokenExchange{{Audience: []string{"api"}}, {Resource: []string{"https://api.example.test"}}, {InsecureAnyTarget: true}} {
		auth, err := lazyauth.New(lazyauth.Service{Name: "Notes", Issuer: fakeas.DefaultIssuer, ClientID: "notes"},
			&lazyauth.Options{Unattended: []lazyauth.Unattended{{Callers: everyone, Exchange: &x}}})
		if err != nil {
			t.Errorf("%+v: %v", x, err)
			continue
		}
		if err := auth.Close(); err != nil {
			t.Error(err)
		}
	}
}
