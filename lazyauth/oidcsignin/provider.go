package oidcsignin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"golang.org/x/oauth2"
)

const (
	keepFound  = 24 * time.Hour  // for how long metadata is good
	keepFailed = 5 * time.Second // for how long the issuer is not asked again
)

// A provider is what the issuer's metadata tells.
type provider struct {
	found       *oidc.Provider
	config      oauth2.Config
	verifier    *oidc.IDTokenVerifier
	push        string // where requests are pushed to, if they have to be
	namesItself bool   // in answers (RFC 9207 §3)
	until       time.Time
	failure     error // in place of all
}

// metadata is what go-oidc does not look at (OpenID Connect Discovery 1.0 §3, RFC 9126 §5, RFC 9207 §3).
type metadata struct {
	JWKS          string   `json:"jwks_uri"`
	SubjectTypes  []string `json:"subject_types_supported"`
	Claims        []string `json:"claims_supported"`
	ResponseTypes []string `json:"response_types_supported"`
	ResponseModes []string `json:"response_modes_supported"`
	AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
	Algorithms    []string `json:"id_token_signing_alg_values_supported"`
	NamesItself   bool     `json:"authorization_response_iss_parameter_supported"`
	Push          string   `json:"pushed_authorization_request_endpoint"`
	PushedOnly    bool     `json:"require_pushed_authorization_requests"`
}

// provider returns the issuer's metadata, which is asked for if it is not known or too old. Who waits while another
// asks takes what comes of that.
func (s *SignIn) provider(ctx context.Context) (*provider, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", lazyauth.ErrSignInUnreached, context.Cause(ctx))
	}
	if p := s.found; p != nil && time.Now().Before(p.until) {
		return p, p.failure
	}
	p, err := s.discover(ctx)
	switch {
	case err == nil:
		p.until = time.Now().Add(keepFound)
	case ctx.Err() != nil: // nothing of the issuer's
		return nil, fmt.Errorf("%w: %w", lazyauth.ErrSignInUnreached, err)
	case s.found != nil && s.found.failure == nil && errors.Is(err, lazyauth.ErrSignInUnreached):
		p, err = s.found, nil // old, and better than nothing
		p.until = time.Now().Add(keepFailed)
	default:
		p = &provider{failure: err, until: time.Now().Add(keepFailed)}
	}
	s.found = p
	return p, err
}

// discover asks the issuer for its metadata, and checks it.
func (s *SignIn) discover(ctx context.Context) (*provider, error) {
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, s.client), requestTime)
	defer cancel()
	found, err := oidc.NewProvider(ctx, s.options.Issuer)
	if err != nil {
		if mismatch, ok := errors.AsType[*oidc.IssuerMismatchError](err); ok {
			return nil, fmt.Errorf("the metadata of issuer %q is that of %s: give the issuer as it names itself", s.options.Issuer, quote(mismatch.Discovered))
		}
		return nil, fmt.Errorf("%w: the metadata of issuer %q: %s", lazyauth.ErrSignInUnreached, s.options.Issuer, quote(err.Error()))
	}
	var m metadata
	if err := found.Claims(&m); err != nil {
		return nil, fmt.Errorf("the metadata of issuer %q is not understood: %s", s.options.Issuer, quote(err.Error()))
	}
	endpoint := found.Endpoint()
	if endpoint.AuthStyle, err = m.check(&s.options, endpoint, found.UserInfoEndpoint()); err != nil {
		return nil, fmt.Errorf("issuer %q: %w", s.options.Issuer, err)
	}
	if !m.PushedOnly {
		m.Push = ""
	}
	p := &provider{
		found: found, push: m.Push,
		config: oauth2.Config{
			ClientID: s.options.ClientID, ClientSecret: s.options.ClientSecret, Endpoint: endpoint,
			RedirectURL: s.RedirectURI(),
		},
		namesItself: m.NamesItself,
		verifier: found.Verifier(&oidc.Config{
			ClientID: s.options.ClientID,
			Now:      func() time.Time { return time.Now().Add(-skew) }, // for "exp"; "nbf" has minutes
		}),
	}
	unlisted := slices.DeleteFunc(slices.Clone(s.options.Identity.needs), func(name string) bool {
		return len(m.Claims) == 0 || slices.Contains(m.Claims, name) || slices.Contains(s.options.Identity.unlisted, name)
	})
	if len(unlisted) > 0 {
		// "this might not be an exhaustive list" (OpenID Connect Discovery 1.0 §3), and that of Entra is none.
		s.log().Warn("oidcsignin: the issuer does not list claims that say who somebody is; if ID tokens lack them nobody can sign in", "issuer", s.options.Issuer, "claims", unlisted)
	}
	return p, nil
}

// check returns how the client authenticates, or why people cannot sign in there.
func (m *metadata) check(o *Options, endpoint oauth2.Endpoint, userInfo string) (oauth2.AuthStyle, error) {
	for _, e := range []struct{ name, url string }{
		{"authorization_endpoint", endpoint.AuthURL}, {"token_endpoint", endpoint.TokenURL}, {"jwks_uri", m.JWKS},
		{"userinfo_endpoint", cmp.Or(userInfo, endpoint.TokenURL)}, {"pushed_authorization_request_endpoint", cmp.Or(m.Push, endpoint.TokenURL)},
	} {
		u, err := checkURL("its "+e.name, e.url)
		if err != nil {
			return 0, err
		}
		if u.Scheme != "https" && strings.HasPrefix(o.Issuer, "https:") {
			return 0, errors.New("its " + e.name + " is not https")
		}
	}
	lacks := func(list []string, value string) bool { return len(list) > 0 && !slices.Contains(list, value) }
	switch {
	case lacks(m.ResponseTypes, "code"):
		return 0, errors.New("it does not list the response type code")
	case lacks(m.ResponseModes, "query"):
		return 0, errors.New("it does not list the response mode query")
	case m.PushedOnly && m.Push == "":
		return 0, errors.New("it takes pushed authorization requests alone (RFC 9126), and does not say where")
	case len(m.Algorithms) > 0 && !slices.ContainsFunc(m.Algorithms, func(name string) bool { return slices.Contains(algorithms, name) }):
		return 0, errors.New("it lists no algorithm for ID tokens that is verified here: " + strings.Join(algorithms, ", "))
	case o.Identity.bySubject() && len(m.SubjectTypes) > 0 && !slices.Contains(m.SubjectTypes, "public"):
		return 0, errors.New("it gives each client another subject for the same person (subject_types_supported lists no public ones), so that " +
			"the subject of a bearer token is never that of a sign-in here, and nobody could pass: have Identity be ByClaim of what is the same in both tokens, or ByEntra")
	case o.ClientSecret == "":
		return oauth2.AuthStyleInParams, nil // which has the client id there, and no secret
	case len(m.AuthMethods) == 0, slices.Contains(m.AuthMethods, "client_secret_basic"):
		return oauth2.AuthStyleInHeader, nil // the default (Discovery §3)
	case slices.Contains(m.AuthMethods, "client_secret_post"):
		return oauth2.AuthStyleInParams, nil
	}
	return 0, errors.New("it lists neither client_secret_basic nor client_secret_post")
}

// algorithms are those that signatures of ID tokens are verified by: none with a shared secret, and not "none".
var algorithms = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA,
}
