package lazyauth

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/unattended"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2"
)

// How a grant came about that nobody was asked for, in a Status and in a trace.
const (
	byExchange    = "exchange"
	byIdentity    = "identity"
	byCredentials = "credentials"
	byToken       = "token"
)

// A way is an Unattended that was checked, with what it takes to go it.
type way struct {
	name    string
	callers func(Caller) bool
	thenAsk bool
	// personal: its tokens are of the caller's bearer, and end with it.
	personal bool
	token    tokenOf
}

// A tokenOf gets a token for a caller.
type tokenOf func(ctx context.Context, caller Caller, want scopes.Set) (*oauth.Token, error)

// Why a way cannot be gone for a caller. What they wrap says that the person may be asked.
var (
	errNoBearer    = fmt.Errorf("%w: the caller has no bearer token to exchange; over stdio nobody has, and over HTTP the SDK's auth.RequireBearerToken has to stand in front", ErrNoGrant)
	errOtherIssuer = fmt.Errorf("%w: the caller's bearer token is not known to be of Service.Issuer, and goes nowhere else: its verifier has to put \"iss\" into TokenInfo.Extra", ErrNoGrant)
)

// unattendedWays returns what Options.Unattended asks for, at the service's authorization server.
func unattendedWays(s *Service, server *grants.AuthorizationServer, o *Options, c callbacks, transport http.RoundTripper) ([]*way, error) {
	ways := make([]*way, 0, len(o.Unattended))
	for n := range o.Unattended {
		u := &o.Unattended[n]
		err := checkUnattended(u, s, o)
		var w *way
		if err == nil {
			w, err = wayOf(s, u, server, c, transport)
		}
		if err != nil {
			return nil, fmt.Errorf("lazyauth: Options.Unattended[%d]: %w", n, err)
		}
		w.token = anotherThanTheirs(w.token)
		ways = append(ways, w)
	}
	return ways, nil
}

// wayOf returns u, ready to be gone.
func wayOf(s *Service, u *Unattended, server *grants.AuthorizationServer, c callbacks, transport http.RoundTripper) (*way, error) {
	w := &way{thenAsk: u.ThenAsk, personal: true}
	if callers := u.Callers; callers != nil {
		w.callers = func(caller Caller) bool {
			is, err := await(context.Background(), c, "Unattended.Callers", wordingWait, caller.Bearer, func(context.Context) (bool, error) {
				return callers(caller), nil
			})
			return is && err == nil
		}
	}
	switch issuer, style := s.Issuer, s.Endpoint.AuthStyle; {
	case u.Exchange != nil:
		x := *u.Exchange
		target := x.target()
		w.name = byExchange
		w.token = func(ctx context.Context, caller Caller, want scopes.Set) (*oauth.Token, error) {
			switch {
			case caller.Bearer == "":
				return nil, errNoBearer
			case !x.takes(caller.Issuer, issuer):
				return nil, errOtherIssuer
			}
			client, err := server.Configured(ctx)
			if err != nil {
				return nil, err
			}
			return unattended.Exchange(ctx, client, unattended.Subject{Token: caller.Bearer, Type: unattended.AccessToken}, target, want)
		}
	case u.Identity != nil:
		return w, goByIdentity(s, w, *u.Identity, server, c, transport)
	case u.Credentials != nil:
		x := *u.Credentials
		target, named := x.target(), slices.Clone(x.Callers)
		w.name, w.personal = byCredentials, false
		w.callers = func(caller Caller) bool { return slices.Contains(named, caller.Principal) }
		w.token = func(ctx context.Context, _ Caller, want scopes.Set) (*oauth.Token, error) {
			client, err := server.Configured(ctx)
			if err == nil && x.ClientID != "" {
				client, err = client.WithCredentials(oauth.Credentials{ID: x.ClientID, Secret: x.ClientSecret, AuthStyle: style})
			}
			if err != nil {
				return nil, err
			}
			return unattended.Credentials(ctx, client, target, want)
		}
	default:
		w.name, w.token = byToken, authorsToken(u.Token, c)
	}
	return w, nil
}

// goByIdentity makes w the way by an identity provider.
func goByIdentity(s *Service, w *way, x IdentityAssertion, server *grants.AuthorizationServer, c callbacks, transport http.RoundTripper) error {
	config := oauth.Config{
		Endpoints: oauth.Endpoints{Issuer: x.Issuer}, Credentials: oauth.Credentials{ID: x.ClientID, Secret: x.ClientSecret},
		UserAgent: s.UserAgent, Transport: transport,
	}
	provider, err := grants.NewAuthorizationServer(config, grants.Clients{}, false, hasTokenEndpoint)
	if err != nil {
		return fmt.Errorf("its Identity: %w", err)
	}
	subject, target := unattended.Subject{Type: x.AssertionType}, x.target(s.Issuer)
	if subject.Type == "" {
		subject.Type = unattended.IDToken
	}
	w.name = byIdentity
	w.token = func(ctx context.Context, caller Caller, want scopes.Set) (*oauth.Token, error) {
		mine := subject
		var err error
		mine.Token, err = await(ctx, c, "IdentityAssertion.Assertion", verifyWait, caller.Bearer, func(ctx context.Context) (string, error) { return x.Assertion(ctx, caller) })
		if err == nil && mine.Token == "" {
			err = ErrNoGrant
		}
		if err != nil {
			return nil, err
		}
		idp, err := provider.Configured(ctx)
		if err != nil {
			return nil, err
		}
		client, err := server.Configured(ctx)
		if err != nil {
			return nil, err
		}
		assertion, err := unattended.ExchangeForIDJAG(ctx, idp, mine, target, want)
		if err != nil {
			return nil, err
		}
		return unattended.Assert(ctx, client, assertion, unattended.Target{}, want)
	}
	return nil
}

// authorsToken gets the author's token.
func authorsToken(source func(context.Context, Caller, scopes.Set) (*oauth2.Token, error), c callbacks) func(context.Context, Caller, scopes.Set) (*oauth.Token, error) {
	return func(ctx context.Context, caller Caller, want scopes.Set) (*oauth.Token, error) {
		given, err := await(ctx, c, "Unattended.Token", verifyWait, caller.Bearer, func(ctx context.Context) (*oauth2.Token, error) {
			return source(ctx, caller, want)
		})
		switch {
		case err != nil:
			return nil, err
		case given == nil:
			return nil, ErrNoGrant
		}
		token := &oauth.Token{Access: given.AccessToken, Type: "Bearer", Expires: given.Expiry, Scopes: want}
		if err := token.Check(); err != nil {
			return nil, err
		}
		if kind := given.Type(); !strings.EqualFold(kind, "Bearer") {
			return nil, errors.New("lazyauth: Unattended.Token returned a token of another type than Bearer")
		}
		return token, nil
	}
}

// errTheirOwn says that what came is the caller's own bearer token, which goes to no API: "The MCP server MUST NOT pass
// through the token it received from the MCP client" (MCP 2026-07-28 basic/authorization/security-considerations).
var errTheirOwn = fmt.Errorf("%w: what came is the bearer token of the caller itself, which was made out for this server and goes to no API", ErrNoGrant)

// anotherThanTheirs returns a way to a token that has none pass which the caller has shown.
func anotherThanTheirs(next tokenOf) tokenOf {
	return func(ctx context.Context, caller Caller, want scopes.Set) (*oauth.Token, error) {
		token, err := next(ctx, caller, want)
		if err == nil && caller.Bearer != "" && subtle.ConstantTimeCompare([]byte(token.Access), []byte(caller.Bearer)) == 1 {
			return nil, errTheirOwn
		}
		return token, err
	}
}

// hasTokenEndpoint wants no more of an authorization server than what is always wanted.
func hasTokenEndpoint(oauth.Endpoints) error { return nil }

// bearerLife is for how long a caller is known by a bearer token of whose end nothing is known.
// It is asked for again then, if the token is still accepted.
const bearerLife = time.Hour

// until is when what is got for the caller ends; zero if nothing ends it.
func (w *way) until(caller Caller) time.Time {
	switch {
	case !w.personal || caller.Bearer == "":
		return time.Time{}
	case caller.Expires.IsZero():
		return time.Now().Add(bearerLife)
	}
	return caller.Expires
}
