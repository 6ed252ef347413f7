package lazyauth

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/unattended"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"golang.org/x/oauth2"
)

// An Unattended is a way to a grant that asks nobody, for the callers that the author names: see
// [Options].Unattended, and docs/unattended.md. It has exactly one of Exchange, Identity,
// Credentials and Token.
//
// Its grants are in memory alone, one for each principal and bearer token, and end with that
// token at the latest. What they are for is what the call needs, and what a challenge of the
// API adds to that, within the limits of [Options].MaxScopes: it is asked for again then. A
// token that the API refuses is got once more.
type Unattended struct {
	// Callers says whose calls it is for. It should return at once, and gets 2 seconds; a panic
	// means no. Required, but for Credentials, which names its callers by itself.
	Callers func(Caller) bool
	// ThenAsk has the person asked, as if there were nothing here, once the authorization
	// server has refused the grant, or gave too little, or the API does not accept it. False: the
	// call fails. Nobody is asked because a server cannot be reached.
	ThenAsk bool

	// Exchange has the caller's bearer token exchanged for one of theirs for the API (RFC 8693).
	Exchange *TokenExchange
	// Identity has the caller's identity provider vouch for them to Service.Issuer.
	Identity *IdentityAssertion
	// Credentials gets a token for this program itself, and for no person.
	Credentials *ClientCredentials
	// Token gets the token in a way of the author's: one that is good for want, or for some of
	// it, and is the caller's to use. It takes want to be all there, since a token does not say
	// what it is good for, and a token without an end to end with the bearer. It should honour
	// ctx, which ends after 30 seconds. An error that wraps [ErrNoGrant] says that there is none
	// without the person; any other may pass, and the next call tries again.
	Token func(ctx context.Context, caller Caller, want scopes.Set) (*oauth2.Token, error)
}

// A Caller is who makes a call, for the functions of an [Unattended].
type Caller struct {
	Principal Principal
	// Issuer, Bearer and Expires are of the bearer token that the SDK's RequireBearerToken has
	// verified: its "iss" in TokenInfo.Extra, itself, and its end, zero if that is not known.
	// They are empty over stdio.
	Issuer  string
	Bearer  string `json:"-"`
	Expires time.Time
	// Info is what the verifier has left; nil if there was none. It must not be changed.
	Info *auth.TokenInfo
}

// Format writes no token, whatever the verb.
func (c Caller) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "lazyauth.Caller{%s}", c.Principal)
}

// A TokenExchange gets a token on behalf of the caller (RFC 8693): their bearer token is sent to
// the token endpoint of Service.Issuer, as the subject token, by the client of Service.ClientID.
// It is sent nowhere else, and only if that is the issuer of the bearer token too, as the
// verifier says. Callers without such a token are refused,
// or asked after all (ThenAsk).
//
// What the authorization server has to decide is whether this program may act for that person;
// some compare the token's audience with the client for that.
type TokenExchange struct {
	// Audience and Resource name what the token is to be good for. Servers differ in which they
	// want; one of them is required.
	Audience []string
	Resource []string
	// Params are further parameters of the request. Those of the protocol cannot be given.
	Params url.Values
	// InsecureIssuers are issuers of bearer tokens, beside Service.Issuer, whose tokens are sent
	// to Service.Issuer too. Whoever runs Service.Issuer, or reads along there, can then act as
	// these callers wherever their tokens are accepted, this server included.
	InsecureIssuers []string
	// InsecureAnyTarget does without Audience and Resource, for an authorization server that
	// decides by the client what a token is good for. From one that does not, the token is as good as
	// the caller's own: whoever runs the API, or reads along there, can act as the caller
	// wherever that is accepted, this server included.
	InsecureAnyTarget bool
}

// An IdentityAssertion is the Identity Assertion JWT Authorization Grant
// (draft-ietf-oauth-identity-assertion-authz-grant-04; in MCP: enterprise-managed authorization):
// the identity provider exchanges an identity assertion of the caller's for an ID-JAG, which is
// made out for Service.Issuer and for this program's client there, and Service.Issuer takes that
// for an access token (RFC 7523). Administrators decide at the identity provider who may.
type IdentityAssertion struct {
	// Issuer is the identity provider's issuer identifier, as Service.Issuer is the authorization
	// server's. ClientID and ClientSecret are this program's there, which are others than those
	// of Service.
	Issuer       string
	ClientID     string
	ClientSecret string `json:"-"`
	// Assertion returns the caller's identity assertion: an ID token that was issued to ClientID,
	// such as the one that they signed in to this program with. It must be that very caller's.
	// It should honour ctx, which ends after 30 seconds. Errors are as those of Unattended.Token.
	Assertion func(context.Context, Caller) (string, error)
	// AssertionType is what Assertion returns (RFC 8693 §3). Empty means an ID token; others are
	// urn:ietf:params:oauth:token-type:saml2 and urn:ietf:params:oauth:token-type:refresh_token.
	AssertionType string
	// Resource is the identifier of the API (RFC 8707). Empty means that none is named.
	Resource string
}

// Format writes no secret, whatever the verb.
func (a IdentityAssertion) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "lazyauth.IdentityAssertion{client %q of %q}", a.ClientID, a.Issuer)
}

// ClientCredentials gets a token that is this program's own (RFC 6749 §4.4), for callers that are
// no people: what they do at the API is done in this program's name, and the API cannot tell who
// was behind it. It needs a client with a secret.
type ClientCredentials struct {
	// Callers are the principals that use it, each by name: service accounts, so that no person
	// gets it by accident. [LocalUser] is everybody who can speak to a server over stdio.
	Callers []Principal
	// ClientID and ClientSecret are those of the service account. Empty means those of Service.
	ClientID     string
	ClientSecret string `json:"-"`
	// Audience, Resource and Params are as those of TokenExchange.
	Audience []string
	Resource []string
	Params   url.Values
}

// Format writes no secret, whatever the verb.
func (c ClientCredentials) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "lazyauth.ClientCredentials{client %q for %d}", c.ClientID, len(c.Callers))
}

// checkUnattended says what is wrong with a way, if anything.
func checkUnattended(u *Unattended, s *Service, o *Options) error {
	kinds := 0
	for _, given := range []bool{u.Exchange != nil, u.Identity != nil, u.Credentials != nil, u.Token != nil} {
		if given {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return fmt.Errorf("it has %d of Exchange, Identity, Credentials and Token: set one of them", kinds)
	case u.Credentials != nil && u.Callers != nil:
		return errors.New("it has both Callers and Credentials, which names its own: move them there")
	case u.Credentials == nil && u.Callers == nil:
		return errors.New("its Callers is nil: say whose calls it is for")
	case u.Exchange != nil:
		return checkExchange(u.Exchange, s)
	case u.Identity != nil:
		return checkIdentity(u.Identity, s)
	case u.Credentials != nil:
		return checkCredentials(u.Credentials, s, o)
	}
	return nil
}

func (x *TokenExchange) target() unattended.Target {
	return unattended.Target{Audience: x.Audience, Resource: x.Resource, Params: x.Params}
}

func checkExchange(x *TokenExchange, s *Service) error {
	switch {
	case s.Issuer == "":
		return errors.New("its Exchange needs Service.Issuer: a bearer token goes to its own issuer alone")
	case s.InsecureSkipIssuerCheck:
		return errors.New("its Exchange does not go with Service.InsecureSkipIssuerCheck: who answers for the metadata could have the callers' bearer tokens sent anywhere")
	case s.ClientID == "":
		return errors.New("its Exchange needs Service.ClientID: the client that may act for its callers")
	case len(x.Audience) == 0 && len(x.Resource) == 0 && !x.InsecureAnyTarget:
		return errors.New("its Exchange names no API: set Audience or Resource, whichever the authorization server wants, or the token may be as good as the caller's own")
	case slices.Contains(x.InsecureIssuers, ""):
		return errors.New("its Exchange.InsecureIssuers has an empty one")
	}
	if err := x.target().Check(); err != nil {
		return fmt.Errorf("its Exchange: %w", err)
	}
	return nil
}

// takes reports whether bearer tokens of this issuer may be sent to the service's.
func (x *TokenExchange) takes(issuer, own string) bool {
	return issuer != "" && (issuer == own || slices.Contains(x.InsecureIssuers, issuer))
}

func (a *IdentityAssertion) target(audience string) unattended.Target {
	t := unattended.Target{Audience: []string{audience}}
	if a.Resource != "" {
		t.Resource = []string{a.Resource}
	}
	return t
}

func checkIdentity(a *IdentityAssertion, s *Service) error {
	switch {
	case s.Issuer == "":
		return errors.New("its Identity needs Service.Issuer, for which the identity provider vouches")
	case s.ClientID == "":
		return errors.New("its Identity needs Service.ClientID, for which the identity provider vouches")
	case a.Issuer == s.Issuer:
		return errors.New("its Identity.Issuer is Service.Issuer: within one issuer, Exchange does it")
	case a.ClientID == "":
		return errors.New("its Identity.ClientID is empty: set this program's client identifier at the identity provider")
	case a.Assertion == nil:
		return errors.New("its Identity.Assertion is nil: say where the identity assertion comes from")
	}
	if err := oauth.CheckIssuer(a.Issuer); err != nil {
		return fmt.Errorf("its Identity.Issuer: %w", err)
	}
	if err := a.target(s.Issuer).Check(); err != nil {
		return fmt.Errorf("its Identity: %w", err)
	}
	return nil
}

func (c *ClientCredentials) target() unattended.Target {
	return unattended.Target{Audience: c.Audience, Resource: c.Resource, Params: c.Params}
}

func checkCredentials(c *ClientCredentials, s *Service, o *Options) error {
	switch {
	case len(c.Callers) == 0:
		return errors.New("its Credentials.Callers is empty: name the service accounts that use it")
	case o.InsecureSingleUser && slices.ContainsFunc(c.Callers, Principal.IsLocal):
		return errors.New("its Credentials.Callers has the local user, which with InsecureSingleUser is everybody who reaches the endpoint")
	case (c.ClientID == "") != (c.ClientSecret == ""):
		return errors.New("its Credentials has one of ClientID and ClientSecret: set both, or none for those of Service")
	case c.ClientID == "" && (s.ClientID == "" || s.ClientSecret == ""):
		return errors.New("its Credentials needs a client with a secret (RFC 6749 §4.4): set its ClientID and ClientSecret, or those of Service")
	}
	if err := c.target().Check(); err != nil {
		return fmt.Errorf("its Credentials: %w", err)
	}
	return nil
}
