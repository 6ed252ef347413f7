package lazyauth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/lazyauth/mcp-lazyauth/internal/names"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/redirect"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/registration"
)

// EnvClientID is the environment variable in which a host passes its client id to the servers
// that it starts (SEP-2059 §6); see [Service].ClientIDHosts.
const EnvClientID = "MCP_OAUTH_CLIENT_ID"

// A Registration has a program register itself with the authorization server (RFC 7591), as a
// public client with the redirect URI and the grant types of [Service].Flows, once: the client
// is kept in Options.Store, beside the grants and sealed as they are, or without one as long as
// the process lives. When the server no longer knows it ("invalid_client"), or a secret that
// the server gave it has ended, the next sign-in registers another, a minute after the last one
// at the soonest, and later each time.
type Registration struct {
	// ClientName is what the authorization server calls this program when it asks a person to
	// approve, such as "Notes for MCP". Required. At most 64 printable characters.
	ClientName string
	// ClientURI is a page about the program, for the same purpose: an https URL. Empty means none.
	ClientURI string
}

// check says what is wrong with the client identity of the service.
func (s *Service) checkClient() error {
	document := grants.IsDocument(s.ClientID)
	if document {
		if _, err := grants.CheckDocument(s.ClientID); err != nil {
			return fmt.Errorf("lazyauth: Service.ClientID is a URL, and so has to be that of a client ID metadata document, but it %w", err)
		}
	}
	for _, host := range s.ClientIDHosts {
		if got, err := grants.CheckDocument("https://" + host + "/x"); err != nil || got != host {
			return fmt.Errorf("lazyauth: Service.ClientIDHosts has %+q, which is not a host: name each in lower case, with its port if it has one, without a scheme", host)
		}
	}
	switch r := s.Registration; {
	case s.Program != "" && (utf8.RuneCountInString(s.Program) > 64 || !names.Check(s.Program)):
		return fmt.Errorf("lazyauth: Service.Program %+q must be at most 64 printable characters", s.Program)
	case s.ClientID == "" && r == nil && len(s.ClientIDHosts) == 0:
		return errors.New("lazyauth: Service.ClientID is empty: set the client identifier that the authorization server issued, or the address of a client ID metadata document, or a Registration")
	case s.ClientID == "" && s.ClientSecret != "":
		return errors.New("lazyauth: Service has a ClientSecret and no ClientID that it belongs to")
	case document && s.ClientSecret != "":
		return errors.New("lazyauth: Service.ClientID is the address of a client ID metadata document, which clients with a secret cannot have: remove ClientSecret")
	case r != nil && s.ClientID != "" && !document:
		return errors.New("lazyauth: Service has both a ClientID that was issued and a Registration: set one of them")
	case s.Issuer == "" && (document || r != nil || len(s.ClientIDHosts) > 0):
		return errors.New("lazyauth: Service needs an Issuer for client ID metadata documents and for a Registration: its metadata tells whether the authorization server takes them")
	case r == nil:
		return nil
	case r.ClientName == "" || utf8.RuneCountInString(r.ClientName) > 64 || !names.Check(r.ClientName):
		return fmt.Errorf("lazyauth: Service.Registration.ClientName %+q must be 1 to 64 printable characters: it is what people are shown when they approve", r.ClientName)
	case r.ClientURI != "":
		if _, why := oauth.CheckURL(r.ClientURI, false); why != "" || !strings.HasPrefix(r.ClientURI, "https://") {
			return errors.New("lazyauth: Service.Registration.ClientURI must be an https URL")
		}
	}
	return nil
}

// program is the stable name of this program as a client.
func (s *Service) program() string { return cmp.Or(s.Program, s.Name) }

// acceptsClient returns why a client id that a host passes on is not taken. It is for logs.
func (s *Service) acceptsClient(id string) error {
	host, err := grants.CheckDocument(id)
	switch {
	case err != nil:
		return fmt.Errorf("%w: it %w", grants.ErrClientRefused, err)
	case !slices.Contains(s.ClientIDHosts, host):
		return fmt.Errorf("%w: its host %s is not in Service.ClientIDHosts", grants.ErrClientRefused, escaped(host, 100))
	}
	return nil
}

// clients returns as whom the program can present itself.
func (s *Service) clients(o *Options, told observer) grants.Clients {
	clients := grants.Clients{}
	if len(s.ClientIDHosts) > 0 {
		clients.Accepts = s.acceptsClient
	}
	if passed := os.Getenv(EnvClientID); passed != "" {
		if err := s.acceptsClient(passed); err != nil {
			clients.NotPassed = err
			emit(context.Background(), told.trace.Warned, WarnedInfo{About: aboutService(s.Name), Err: fmt.Errorf("lazyauth: %s of the environment is passed over: %w", EnvClientID, err)})
		} else {
			clients.Passed = passed
		}
	}
	if s.Registration != nil {
		clients.Registrar = registration.New(registration.Config{
			Metadata: s.clientMetadata, Store: o.Store, Key: s.registrationKey, Observer: told,
		})
	}
	return clients
}

// clientMetadata is what the program says of itself to a server with these endpoints.
func (s *Service) clientMetadata(e oauth.Endpoints) oauth.ClientMetadata {
	m := oauth.ClientMetadata{ApplicationType: "native", ResponseTypes: []string{}}
	if s.Registration != nil {
		m.ClientName, m.ClientURI = s.Registration.ClientName, s.Registration.ClientURI
	}
	grants := e.Features.Grants
	if s.allows(FlowRedirect) && e.Authorization != "" && (!grants.Listed || grants.AuthorizationCode) {
		m.RedirectURIs = []string{redirect.URIOf(s.Issuer, s.program(), s.RedirectURI)}
		if s.ConnectPage != nil {
			m.RedirectURIs, m.ApplicationType = []string{s.ConnectPage.RedirectURI(*s)}, "web"
		}
		m.GrantTypes, m.ResponseTypes = append(m.GrantTypes, "authorization_code"), []string{"code"}
	}
	if s.allows(FlowDevice) && e.DeviceAuthorization != "" && (!grants.Listed || grants.DeviceCode) {
		m.GrantTypes = append(m.GrantTypes, "urn:ietf:params:oauth:grant-type:device_code")
	}
	if !grants.Listed || grants.RefreshToken {
		m.GrantTypes = append(m.GrantTypes, "refresh_token")
	}
	return m
}

// registrationKey is the key of the registration in a store: another one for each program, and
// for each set of redirect URIs and grant types, which a client is registered for.
func (s *Service) registrationKey(m oauth.ClientMetadata) string {
	sum := sha256.Sum256([]byte(strings.Join(m.RedirectURIs, " ") + "\n" + strings.Join(m.GrantTypes, " ")))
	return keyOf([]string{s.issuerName(), s.program(), "client registration", hex.EncodeToString(sum[:8])})
}

// ClientIDMetadataDocument returns the document that is to be served at ClientID, if that is a
// URL, for this service (draft-ietf-oauth-client-id-metadata-document): as application/json,
// with status 200 and without a redirect. name is what people are shown when they approve. The
// authorization server fetches it; this program never does. It says nothing secret, and may say
// more: client_uri, logo_uri.
func (s Service) ClientIDMetadataDocument(name string) ([]byte, error) {
	if _, err := grants.CheckDocument(s.ClientID); err != nil {
		return nil, fmt.Errorf("lazyauth: Service.ClientID is not the address of a document: it %w", err)
	}
	if err := s.validate(); err != nil {
		return nil, err
	}
	every := oauth.Endpoints{Authorization: s.Issuer, DeviceAuthorization: s.Issuer}
	m := s.clientMetadata(every)
	m.ClientName, m.AuthMethod = name, "none"
	return json.MarshalIndent(struct {
		ClientID string `json:"client_id"`
		oauth.ClientMetadata
	}{s.ClientID, m}, "", "  ")
}

// A SignInHint goes with the authorization request of a redirect flow (OpenID Connect Core
// §3.1.2.1).
type SignInHint struct {
	// LoginHint names who is to sign in, such as by a mail address: at most 256 bytes of
	// printable text.
	LoginHint string
	// Prompt says how: "login", "consent", "select_account", "create" or "none", or several
	// with blanks between them.
	Prompt string
}

// hint returns what Options.SignInHint says of who, or nothing where that cannot be sent.
func (o *Options) hint(told observer) func(grants.Principal) (loginHint, prompt string) {
	ask := o.SignInHint
	if ask == nil {
		return nil
	}
	return func(who grants.Principal) (loginHint, prompt string) {
		h := ask(Principal(who))
		if err := (redirect.Request{LoginHint: h.LoginHint, Prompt: h.Prompt}).Check(); err != nil {
			told.CallbackFailed(context.Background(), "Options.SignInHint", err)
			return "", ""
		}
		return h.LoginHint, h.Prompt
	}
}
