package oauth

import (
	"fmt"

	"golang.org/x/oauth2"
)

// Endpoints are the URLs of an authorization server, and what it is known to do there:
// what [Discover] finds, or what was configured by hand. All but the token endpoint may
// be missing.
type Endpoints struct {
	Issuer              string // RFC 8414 §2; may be empty when configured by hand
	Token               string // RFC 6749 §3.2
	DeviceAuthorization string // RFC 8628 §3.1
	Authorization       string // RFC 6749 §3.1
	PushedAuthorization string // RFC 9126 §2
	Registration        string // RFC 7591 §3
	Revocation          string // RFC 7009 §2

	// AuthStyle is the one way in which the token endpoint lets clients with a secret
	// authenticate; zero if there are two, or if that is not known.
	AuthStyle oauth2.AuthStyle

	Features Features
}

// Features are what a server's metadata says that it does (RFC 8414 §2). All are false of
// one whose metadata is not known.
type Features struct {
	// S256 is the one method of PKCE in use here (RFC 7636 §4.2):
	// code_challenge_methods_supported lists it.
	S256 bool

	// IssuerInResponse promises an iss in each authorization response:
	// authorization_response_iss_parameter_supported (RFC 9207 §3).
	IssuerInResponse bool

	// PushedOnly says that an authorization request must be pushed first:
	// require_pushed_authorization_requests (RFC 9126 §5).
	PushedOnly bool

	// ClientIDMetadata says that a client id may be the https URL of a document about the
	// client: client_id_metadata_document_supported.
	ClientIDMetadata bool

	// NoCode says that response_types_supported is there and does not list code: that
	// there is no authorization code to be had.
	NoCode bool

	// Grants are those that grant_types_supported lists.
	Grants Grants
}

// Grants are types of grants (RFC 6749 §1.3) of which a server may say that it has them.
type Grants struct {
	Listed            bool // there is such a list; the others are false without one
	AuthorizationCode bool // authorization_code
	DeviceCode        bool // urn:ietf:params:oauth:grant-type:device_code
	RefreshToken      bool // refresh_token
}

// named returns the URLs with what each is called in errors and in metadata.
func (e *Endpoints) named() []namedEndpoint {
	return []namedEndpoint{
		{"token endpoint", "token_endpoint", &e.Token},
		{"device authorization endpoint", "device_authorization_endpoint", &e.DeviceAuthorization},
		{"authorization endpoint", "authorization_endpoint", &e.Authorization},
		{"pushed authorization request endpoint", "pushed_authorization_request_endpoint", &e.PushedAuthorization},
		{"registration endpoint", "registration_endpoint", &e.Registration},
		{"revocation endpoint", "revocation_endpoint", &e.Revocation},
	}
}

type namedEndpoint struct {
	name, member string
	url          *string
}

// check says what is wrong with the URLs, if anything. Those that are missing are
// passed over, the token endpoint only if it is not needed.
func (e Endpoints) check(needToken bool) error {
	for _, endpoint := range e.named() {
		if *endpoint.url == "" && (endpoint.url != &e.Token || !needToken) {
			continue
		}
		if _, why := CheckURL(*endpoint.url, true); why != "" {
			return fmt.Errorf("the %s %s", endpoint.name, why)
		}
	}
	return nil
}
