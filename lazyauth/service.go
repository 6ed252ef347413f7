package lazyauth

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"unicode/utf8"

	"github.com/lazyauth/mcp-lazyauth/internal/names"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2"
)

// A Service is what a server's tools need a grant for: somebody's API, the
// authorization server in front of it, and this program as its client.
type Service struct {
	// Name is what people call the service, such as "GitHub". It appears in
	// every prompt and error. At most 64 printable characters.
	Name string

	// Issuer is the authorization server's issuer identifier, an https URL, or http to a
	// loopback address, written exactly as its metadata names it (RFC 8414 §3.3; a slash at the
	// end counts). Its endpoints are discovered when the first call needs them,
	// in the places of RFC 8414 and of OpenID Connect Discovery. Leave it empty
	// to name them in Endpoint.
	Issuer string
	// Endpoint names endpoints outright: https URLs, or http to a loopback
	// address. TokenURL is required if Issuer is empty, with DeviceAuthURL for the device flow,
	// and AuthURL for the redirect flow.
	// Beside an Issuer each takes the place of the metadata's, which some servers
	// lack or have wrong; if both are given, nothing is discovered.
	//
	// AuthStyle says how a client with a secret authenticates (RFC 6749 §2.3.1).
	// Zero means the one way that the metadata lists. Where it lists none or
	// both, the Authorization header is tried first, and the request's body once
	// the server has refused the client; which of them brought a token is
	// remembered. In the header, id and secret are form-encoded, as §2.3.1
	// demands. Some servers do not decode them, and refuse secrets with other
	// characters than letters, digits and "-._~" there, such as "/", "+" and "=":
	// set oauth2.AuthStyleInParams for those.
	Endpoint oauth2.Endpoint
	// InsecureSkipIssuerCheck accepts discovery metadata that names another issuer than
	// Issuer (RFC 8414 §3.3 forbids it). Some multi-tenant servers need it.
	// Whoever can answer for the metadata URL can then direct sign-ins, and
	// the client secret, to a server of their choice.
	InsecureSkipIssuerCheck bool

	// Flows are those by which people may be asked to sign in, the best first. Nil means the
	// device flow alone.
	//
	// Which of several is taken is decided for each sign-in, and told to the [Trace]: the first that
	// suits, where the device flow always does, and the redirect flow where a browser on this
	// machine can be expected. That is for the local user, if nothing says that they sit
	// elsewhere (SSH, a container), and if their host shows links (URL elicitation), or
	// Options.OpenBrowser is set, or a program asks ([Interceptor.Authorize]). If none suits, the
	// first that is possible is taken. One that turns out to be impossible, since the
	// authorization server has no endpoint for it, or a port is taken, is passed over; and where
	// no browser has come back by a redirect while its prompt stood for 45 seconds, the next call
	// is prompted by the flow after it, and both are good.
	Flows []Flow
	// RedirectURI is for authorization servers that compare redirect URIs byte by byte: http, on
	// 127.0.0.1, [::1] or localhost. With a port, that port must be free, and one sign-in at a
	// time has it. Empty means a free port of 127.0.0.1 and a path that is the same each time for
	// this Issuer and Program, or Name (RFC 8252 §7.3). It is used by the redirect flow alone.
	RedirectURI string
	// ConnectPage is where the redirect flow leads to, and back to, for people who call over HTTP. Nil means that the
	// flow is the local user's alone, by a listener on loopback; with a page it is everybody else's alone.
	// With it calls over HTTP need no [Options].VerifyUser where a grant came by the page; one that came by the device flow
	// still needs it, and without it nobody but the local user is asked by that.
	ConnectPage *ConnectPage
	// InsecureAssumePKCE uses the redirect flow also where the authorization server's metadata
	// does not say that it has PKCE with S256, or there is none. At a server that ignores the
	// challenge, somebody who reads an authorization code, in a log or in a browser's history,
	// can have it exchanged in a sign-in of their own. MCP's authorization specification forbids
	// to proceed.
	InsecureAssumePKCE bool

	// ClientID identifies this program to the authorization server: the id that was issued to
	// it, or the https address of a document about it that its author hosts (see
	// [Service.ClientIDMetadataDocument]), which fails with [ReasonUnsupported] where the
	// server's metadata does not say that it takes those, and there is no Registration.
	// Required without a Registration or ClientIDHosts. See docs/clients.md.
	ClientID string
	// ClientSecret is for confidential clients; public ones leave it empty.
	ClientSecret string
	// Registration has the program register itself where it has no ClientID, or one that the
	// server does not take. It needs an Issuer. Nil means that it does not.
	Registration *Registration
	// ClientIDHosts lets hosts that run this server on their user's machine lend it their name:
	// a client id that a host passes in the environment ([EnvClientID]) or, from revision
	// 2026-07-28 on, in its capabilities (auth.cimd.clientId) takes the place of ClientID if it
	// is an https URL on one of these hosts, such as "editor.example.com", and the
	// authorization server takes such ids. It is never fetched here. The one in the environment
	// comes first. Whoever starts this program or speaks to it can name any address on these
	// hosts, and have people asked to approve what looks like that application. Needs an
	// Issuer. None means that no such id is accepted.
	ClientIDHosts []string
	// Program is the name of this program in the keys of Options.Store, in place of its client
	// id, which can change. Grants belong to those that have the same Program, Issuer and
	// Params. Empty means Name. At most 64 printable characters.
	Program string
	// UserAgent is the User-Agent of the requests to the authorization server,
	// for its operator: at most 256 printable ASCII characters. Empty means
	// "lazyauth", its version and the address of its module.
	UserAgent string

	// Scopes are asked for in every authorization, beside those of the tool
	// that needs it. A grant without them is still used: what a tool cannot
	// do without belongs into its own scopes.
	Scopes scopes.Set
	// ScopeNames says what scopes mean to a person, for prompts: "notes:write" is
	// "create and change notes". Scopes without words are shown as they are.
	ScopeNames map[string]string
	// APIOrigins lists the origins the token may be sent to, such as
	// "https://api.example.com". Only https, or http to a loopback address.
	// With none, [Client] refuses to send anything.
	APIOrigins []string
	// UserInfo is where the service tells whose token it is: the UserInfo endpoint of
	// OpenID Connect, or GitHub's https://api.github.com/user. Https, or http to a
	// loopback address. The token is sent there, once for each sign-in, and the name
	// is put into the _meta of results ([MetaAccount]). Empty means that it is not asked for.
	UserInfo string
	// RevocationURL is the revocation endpoint (RFC 7009). Empty means the one in
	// the Issuer's metadata, or none where nothing is discovered.
	RevocationURL string
	// Hierarchy says which scopes imply others, and which names mean the same: what
	// is held by another name, or with a broader scope, suffices, and is not asked
	// for again. Nil means that names are compared byte by byte.
	Hierarchy *scopes.Hierarchy
	// Dialect reads from the API's responses that they ask for more scopes, or
	// for a fresh token. Nil means [scopes.BearerDemand] (RFC 6750).
	Dialect scopes.Dialect
	// Params are further parameters of the authorization request, of either flow, such as
	// "audience" or "resource" (RFC 8707), TokenParams those of the request that gets the token
	// then, and RefreshParams those of a refresh: servers refuse in one what they need in
	// another. Parameters of the protocol cannot be given. With FlowRedirect, whoever is shown
	// the link sees Params, so that login_hint cannot be among them (see Options.SignInHint), and no
	// secret should be; the values of the other two stand in no log, but those of resource and audience.
	Params        url.Values
	TokenParams   url.Values
	RefreshParams url.Values
	// Spelling is how the authorization server writes what others write in the words of RFC 6749.
	// The zero value means that it does not differ.
	Spelling Spelling
	// InsecureBearerNames are names beside "Bearer" that the authorization server has for
	// the type of its bearer tokens, such as "BearerToken" (Apigee) or "User Access
	// Token" (eBay). Tokens of any other type are refused, since a client must not use
	// what it does not know (RFC 6749 §7.1): a type can say that a token is good only with
	// the proof of a key. Naming one that says so has it sent without the proof, and to
	// an API that accepts it so, whoever reads it on its way or in a log can use
	// it. DPoP and MAC cannot be named.
	InsecureBearerNames []string
	// InsecureCodeInLink shows verification_uri_complete, which contains the user
	// code, where the server sends one (RFC 8628 §3.3.1). It saves typing, and
	// it takes away the comparison of codes: somebody who can get a person to
	// open a link of theirs is one click from that person's grant.
	InsecureCodeInLink bool
}

// Format writes no secret, whatever the verb.
func (s Service) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "lazyauth.Service{%q, client %q of %q}", s.Name, s.ClientID, s.issuerName())
}

// issuerName is what a sealed state is bound to: the issuer, or the token
// endpoint of a service without one.
func (s Service) issuerName() string {
	if s.Issuer != "" {
		return s.Issuer
	}
	return s.Endpoint.TokenURL
}

func (s *Service) validate() error {
	switch {
	case s.Name == "":
		return errors.New("lazyauth: Service.Name is empty: set the name that people know the service by")
	case utf8.RuneCountInString(s.Name) > 64 || !names.Check(s.Name):
		return fmt.Errorf("lazyauth: Service.Name %q must be at most 64 printable characters", s.Name)
	}
	if err := s.checkClient(); err != nil {
		return err
	}
	if err := s.validateFlows(); err != nil {
		return err
	}
	if err := s.checkAddresses(); err != nil {
		return err
	}
	for name := range s.ScopeNames {
		if set, err := scopes.Parse(name); err != nil || set.Len() != 1 || set.String() != name {
			return fmt.Errorf("lazyauth: Service.ScopeNames has the key %+q, which is not the name of one scope: name each scope by a key of its own, without blanks and commas", name)
		}
	}
	if s.UserInfo != "" {
		u, err := url.Parse(s.UserInfo)
		if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
			return errors.New("lazyauth: Service.UserInfo must be an https URL, or an http one on a loopback address")
		}
	}
	return nil
}

// oauth returns the service as package oauth sees it.
func (s *Service) oauth(transport http.RoundTripper) oauth.Config {
	endpoints := oauth.Endpoints{Issuer: s.Issuer, Token: s.Endpoint.TokenURL, Revocation: s.RevocationURL}
	if s.allows(FlowDevice) {
		endpoints.DeviceAuthorization = s.Endpoint.DeviceAuthURL
	}
	if s.allows(FlowRedirect) {
		endpoints.Authorization = s.Endpoint.AuthURL
	}
	return oauth.Config{
		Endpoints:   endpoints,
		Credentials: oauth.Credentials{ID: s.ClientID, Secret: s.ClientSecret, AuthStyle: s.Endpoint.AuthStyle},
		BearerNames: s.InsecureBearerNames,
		Spelling:    oauth.Spelling(s.Spelling),
		UserAgent:   s.UserAgent,
		Transport:   transport,
		Params:      oauth.Params{Authorization: s.Params, Token: s.TokenParams, Refresh: s.RefreshParams},
	}
}

// inWords returns what prompts call the scopes; nil if there are no words for any.
func (s *Service) inWords(set scopes.Set) []string {
	if len(s.ScopeNames) == 0 {
		return nil
	}
	var words []string
	for scope := range set.All() {
		words = append(words, cmp.Or(s.ScopeNames[scope], scope))
	}
	return words
}

func loopback(host string) bool {
	if lowerASCII(host) == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}
