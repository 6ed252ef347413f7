package authcode

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// A Client speaks to an authorization server as one client: *oauth.Client is one.
type Client interface {
	// Endpoints are the server's, with the features that its metadata tells of.
	Endpoints() oauth.Endpoints
	ClientID() string
	// AuthorizationForm returns what the author adds to authorization requests: resource (RFC
	// 8707), audience. Whoever sees a plain link sees it.
	AuthorizationForm() url.Values
	// SetScopes names scopes in an authorization request, as the server has it. Of none it says nothing.
	SetScopes(request url.Values, asked scopes.Set)
	// Exchange presents a code at the token endpoint, once (RFC 6749 §4.1.3, RFC 7636 §4.5). That
	// the server does not accept it is an oauth.ErrCode.
	Exchange(ctx context.Context, code, redirectURI, verifier string, asked scopes.Set) (*oauth.Token, error)
	// Push hands over the parameters of an authorization request (RFC 9126 §2.1).
	Push(ctx context.Context, request url.Values) (*oauth.Pushed, error)
}

// ErrNoPKCE is an oauth.ErrUnsupported: the metadata does not list S256. See
// [Lacks].
var ErrNoPKCE = fmt.Errorf("%w: its metadata does not list PKCE with S256", oauth.ErrUnsupported)

// reserved are the parameters that are not an author's, or tell of the person. A prompt that is
// the same for everybody does not.
var reserved = []string{
	"response_type", "response_mode", "client_id", "client_secret", "redirect_uri", "scope", "state",
	"code_challenge", "code_challenge_method", "request", "request_uri", "login_hint", "id_token_hint",
}

// CheckParams says which of these parameters an author cannot add to authorization requests,
// for when there is no client yet.
func CheckParams(params url.Values) error {
	for name := range params {
		switch plain := strings.ToLower(name); {
		case plain == "login_hint":
			return errors.New("the parameter login_hint cannot be added to authorization requests, since whoever is shown the link would see it: say it by Options.SignInHint")
		case slices.Contains(reserved, plain):
			return fmt.Errorf("the parameter %s cannot be added to authorization requests", plain)
		}
	}
	return nil
}

// Lacks says what a server with these endpoints and features lacks for this flow, by an
// oauth.ErrUnsupported: it can be oauth.DiscoverOptions.Want. assumePKCE
// goes on where the metadata does not list S256.
func Lacks(e oauth.Endpoints, assumePKCE bool) error {
	switch {
	case e.Authorization == "" || e.Features.NoCode:
		return &oauth.Error{Op: Op, Kind: oauth.ErrUnsupported, Reason: "there is no authorization endpoint for codes"}
	case !e.Features.S256 && !assumePKCE:
		return &oauth.Error{Op: Op, Kind: ErrNoPKCE}
	case e.Features.PushedOnly && e.PushedAuthorization == "":
		return &oauth.Error{Op: Op, Kind: oauth.ErrUnsupported, Reason: "requests must be pushed, and there is no endpoint for it"}
	}
	return nil
}

// Endpoint returns the authorization endpoint of a server, or what the server lacks or has that cannot be used.
func Endpoint(e oauth.Endpoints, assumePKCE bool) (*url.URL, error) {
	if err := Lacks(e, assumePKCE); err != nil {
		return nil, err
	}
	endpoint, why := oauth.CheckURL(e.Authorization, true)
	if why != "" {
		return nil, errors.New("the authorization endpoint " + why)
	}
	own := endpoint.Query()
	for _, name := range reserved {
		if own.Has(name) {
			return nil, fmt.Errorf("the authorization endpoint has the parameter %s in its query", name)
		}
	}
	return endpoint, nil
}

// Address returns the authorization endpoint with these parameters beside its own (RFC 6749
// §3.1).
func Address(endpoint *url.URL, form url.Values) string {
	u := *endpoint
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += form.Encode()
	return u.String()
}

// A Request is what one authorization request consists of, beside what the server's endpoint has in it.
type Request struct {
	RedirectURI     string
	State, Verifier string
	Asked           scopes.Set
	// LoginHint and Prompt are OpenID Connect's (Core §3.1.2.1); empty: left out.
	LoginHint, Prompt string
}

// Form returns the parameters of the request by a client (RFC 6749 §4.1.1, RFC 7636 §4.3).
func (r Request) Form(client Client) url.Values {
	form := url.Values{
		"response_type":         {"code"},
		"client_id":             {client.ClientID()},
		"redirect_uri":          {r.RedirectURI},
		"state":                 {r.State},
		"code_challenge":        {Challenge(r.Verifier)},
		"code_challenge_method": {"S256"},
	}
	client.SetScopes(form, r.Asked)
	maps.Copy(form, client.AuthorizationForm())
	if r.LoginHint != "" {
		form.Set("login_hint", r.LoginHint)
	}
	if r.Prompt != "" {
		form.Set("prompt", r.Prompt)
	}
	return form
}

// By returns the parameters that stand for a request which was pushed (RFC 9126 §4).
func By(client Client, pushed *oauth.Pushed) url.Values {
	return url.Values{"client_id": {client.ClientID()}, "request_uri": {pushed.RequestURI}}
}

// PathOf returns the last part of the path of a redirect URI for an issuer and a client: another one for each, so
// that the answer of one server cannot be taken for that of another (RFC 9700 §4.4.2.2). It is the same in each
// sign-in.
func PathOf(issuer, client string) string {
	sum := sha256.Sum256([]byte(strconv.Quote(issuer) + strconv.Quote(client)))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}
