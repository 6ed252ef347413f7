package lazyauth_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
)

// byHost carries requests to the server that they are for.
type byHost map[string]http.RoundTripper

func (b byHost) RoundTrip(req *http.Request) (*http.Response, error) {
	for base, next := range b {
		if strings.HasPrefix(req.URL.String(), base+"/") {
			return next.RoundTrip(req)
		}
	}
	return nil, http.ErrNotSupported
}

// vouching is a world whose callers are vouched for by an identity provider.
type vouching struct {
	exchanging
	idp *fakeas.Server
}

const idpIssuer = "https://idp.example.test"

func vouches(t *testing.T, thenAsk bool) vouching {
	t.Helper()
	idp := fakeas.New(&fakeas.Options{
		Issuer: idpIssuer, OpenID: true,
		Clients: []fakeas.Client{{ID: "mcp-server", Secret: "at the identity provider"}},
		Unattended: fakeas.Unattended{
			Identity: true, ClientIDs: map[[2]string]string{{fakeas.DefaultIssuer, "mcp-server"}: fakeas.DefaultClientID},
		},
	})
	as := fakeas.New(&fakeas.Options{Unattended: fakeas.Unattended{Trusts: map[string][]byte{idpIssuer: idp.JWKS()}}})
	var w *world.World
	w = world.New(t, world.Setup{Shared: as, Tools: world.WithDigest, Options: lazyauth.Options{
		Transport:  byHost{idpIssuer: idp.Transport(), fakeas.DefaultIssuer: as.Transport(), fakeas.DefaultAPI: as.Transport()},
		VerifyUser: world.Anybody,
		Unattended: []lazyauth.Unattended{{
			Callers: everyone, ThenAsk: thenAsk,
			Identity: &lazyauth.IdentityAssertion{
				Issuer: idpIssuer, ClientID: "mcp-server", ClientSecret: "at the identity provider", Resource: fakeas.DefaultAPI,
				Assertion: func(_ context.Context, c lazyauth.Caller) (string, error) {
					if c.Principal.Subject == "unknown" {
						return "", lazyauth.ErrNoGrant
					}
					token := idp.IDToken(c.Principal.Subject, "mcp-server")
					w.Secrets.Add(token)
					return token, nil
				},
			},
		}},
	}})
	w.Secrets.Add("at the identity provider")
	return vouching{exchanging{w, w.EndpointBehind(w.Introspecting(w.AS.Issuer()))}, idp}
}

// The identity provider vouches, and the authorization server takes its word: two requests, and
// nobody is asked.
func TestUnattended_Identity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := vouches(t, false)
		for range 2 {
			w.calls("whoami", w.bearer("grace", time.Hour)).Succeeds(t, `\"grace\"`)
		}
		ada := w.bearer("ada", time.Hour)
		w.calls("digest", ada).Succeeds(t, `\"x\"`) // which needs more in its middle
		w.calls("digest", ada).Succeeds(t, `\"x\"`)
		if got, want := w.idp.Count(fakeas.TokenExchange, fakeas.OK), 4; got != want {
			t.Errorf("the identity provider was asked %d times, want %d", got, want)
		}
		if got, want := w.AS.Count(fakeas.Assertion, fakeas.OK), 4; got != want {
			t.Errorf("%d assertions, want %d", got, want)
		}
		for _, v := range w.idp.Violations() {
			t.Error(v)
		}
		if infos := world.Infos[lazyauth.UnattendedInfo](&w.Trace); infos[0].How != "identity" {
			t.Errorf("the trace: %+v", infos[0])
		}
		w.exchanged(0) // at the authorization server
	})
}

// Who is refused, and by whom, comes to the same: the author's choice.
func TestUnattended_IdentityRefused(t *testing.T) {
	for name, refuse := range map[string]func(vouching) (user string){
		"by the identity provider's policy": func(w vouching) string {
			w.idp.Script(fakeas.TokenExchange, fakeas.Error(http.StatusBadRequest, "access_denied"))
			return "ada"
		},
		"for want of a stronger sign-in": func(w vouching) string {
			w.idp.Script(fakeas.TokenExchange, fakeas.Error(http.StatusBadRequest, "insufficient_user_authentication"))
			return "ada"
		},
		"by the authorization server": func(w vouching) string {
			w.AS.Script(fakeas.Assertion, fakeas.Error(http.StatusBadRequest, "invalid_grant"))
			return "ada"
		},
		"by an answer that is no ID-JAG": func(w vouching) string {
			w.idp.Script(fakeas.TokenExchange, fakeas.Edit(func(_ *http.Request, a *fakeas.Answer) { a.Members["token_type"] = "Bearer" }))
			return "ada"
		},
		"by an answer of another type": func(w vouching) string {
			w.idp.Script(fakeas.TokenExchange, fakeas.Edit(func(_ *http.Request, a *fakeas.Answer) {
				a.Members["issued_token_type"] = "urn:ietf:params:oauth:token-type:jwt"
			}))
			return "ada"
		},
		"by an answer that is no JWT": func(w vouching) string {
			w.idp.Script(fakeas.TokenExchange, fakeas.Edit(func(_ *http.Request, a *fakeas.Answer) { a.Members["access_token"] = "opaque token" }))
			return "ada"
		},
		"since there is no assertion": func(vouching) string { return "unknown" },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := vouches(t, false)
				w.calls("whoami", w.bearer(refuse(w), time.Hour)).Fails(t, lazyauth.ReasonUnavailable)
				asking := vouches(t, true)
				if r := asking.calls("whoami", asking.bearer(refuse(asking), time.Hour)); r.Result == nil || len(r.Result.InputRequests) != 1 {
					t.Errorf("nobody is asked: %q", r.Text())
				}
			})
		})
	}
}
