package oauth

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2"
)

const (
	maxClientID     = 2048 // bytes
	maxClientSecret = 4096
)

// ClientMetadata is what a client says of itself when it is registered (RFC 7591 §2). What
// is empty is left to the server.
type ClientMetadata struct {
	RedirectURIs []string `json:"redirect_uris,omitempty"`
	GrantTypes   []string `json:"grant_types,omitempty"`
	// ResponseTypes is empty and not nil for a client that has no redirect: left out it means
	// "code", and oidc-provider wants redirect URIs then.
	ResponseTypes   []string `json:"response_types,omitzero"`
	AuthMethod      string   `json:"token_endpoint_auth_method"` // empty: none
	ClientName      string   `json:"client_name,omitempty"`
	ClientURI       string   `json:"client_uri,omitempty"`
	SoftwareID      string   `json:"software_id,omitempty"`
	SoftwareVersion string   `json:"software_version,omitempty"`
	Scope           string   `json:"scope,omitempty"`
	// ApplicationType is "native" or "web" (OpenID Connect Registration 1.0 §2): web, which it
	// is if it is left out, may have no redirect URI on loopback.
	ApplicationType string `json:"application_type,omitempty"`
}

// A Registration is what the server has made of a client (RFC 7591 §3.2.1). However it is
// formatted, no secret of it appears, nor does one in JSON.
type Registration struct {
	// Credentials are for [Client.WithCredentials].
	Credentials Credentials

	// SecretExpires is when the secret is good no more; zero if never, or if there is none.
	SecretExpires time.Time

	// ManagementToken and ManagementURI can change the registration and delete it
	// (RFC 7592 §3). Both are there, or neither.
	ManagementToken string `json:"-"`
	ManagementURI   string `json:"-"`
}

// Format writes no secret, whatever the verb.
func (r Registration) Format(s fmt.State, _ rune) {
	fmt.Fprintf(s, "oauth.Registration{%q}", r.Credentials.ID)
}

// CanRegister reports whether the server has an endpoint for [Client.Register].
func (c *Client) CanRegister() bool { return c.config.Endpoints.Registration != "" }

// Forgotten asks the token endpoint whether the server does not know the client, by the
// exchange of a code that is none: true only if it says invalid_client, as it does before it
// looks at a code. It is for flows in which a person is sent to a server that would tell
// nobody but them. It blocks as [Client.Exchange] does.
func (c *Client) Forgotten(ctx context.Context) bool {
	_, err := c.Exchange(ctx, "none-"+rand.Text(), "http://127.0.0.1/callback", rand.Text()+rand.Text(), scopes.Set{})
	return RefusesClient(err)
}

// RefusesClient reports whether err is the server's word that it does not know the client, or
// that it has not authenticated (RFC 6749 §5.2).
func RefusesClient(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && errors.Is(e, ErrRefused) && e.Code == "invalid_client"
}

// Register registers a client (RFC 7591 §3.1), without authenticating: the server must be
// one that lets anybody register. c may be without credentials; those of the new client are
// in the result, and c has them no more than before.
//
// The server may change what it was told. It must not have changed the redirect URIs, and
// the client must be able to authenticate as the server has it: not at all, or by its
// secret. A server that says nothing about that gives the client its secret for use where
// it asked for none; how is then found out, as [Credentials] has it.
//
// There is one request, of at most 30 s, and no retry, since each makes a client.
//
// Errors: ErrUnsupported without an endpoint; ErrRefused, ErrUnavailable, ErrInvalid, or
// that of ctx.
func (c *Client) Register(ctx context.Context, metadata ClientMetadata) (*Registration, error) {
	const op = "registration"
	if !c.CanRegister() {
		return nil, &Error{Op: op, Kind: ErrUnsupported, Reason: "it has no registration_endpoint"}
	}
	if metadata.AuthMethod == "" {
		metadata.AuthMethod = methodNone
	}
	body, err := json.Marshal(metadata)
	if err != nil {
		return nil, fmt.Errorf("oauth: registration: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.config.Endpoints.Registration, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("oauth: registration: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	a := roundTrip(c.config.Transport, c.config.UserAgent, req)
	a.judge()
	if err := c.Check(ctx, op, a); err != nil {
		return nil, err
	}
	registration, why := readRegistration(a, metadata, IsLoopback(req.URL))
	if why != "" {
		return nil, c.Invalid(op, why, a)
	}
	return registration, nil
}

// readRegistration checks the answer of RFC 7591 §3.2.1. If it cannot be used, the second
// result says why, in our words.
func readRegistration(a *Answer, asked ClientMetadata, loopback bool) (*Registration, string) {
	r := &Registration{Credentials: Credentials{ID: a.Text("client_id"), Secret: a.Text("client_secret")}}
	switch id, secret := r.Credentials.ID, r.Credentials.Secret; {
	case id == "":
		return nil, "the client id is missing"
	case len(id) > maxClientID || !isPrintable(id):
		return nil, "the client id is too long, or not printable ASCII"
	case len(secret) > maxClientSecret || !isPrintable(secret):
		return nil, "the client secret is too long, or not printable ASCII"
	}
	switch method := a.Text("token_endpoint_auth_method"); method {
	case "":
	case methodNone:
		r.Credentials.Secret = ""
	case methodBasic:
		r.Credentials.AuthStyle = oauth2.AuthStyleInHeader
	case methodPost:
		r.Credentials.AuthStyle = oauth2.AuthStyleInParams
	default:
		return nil, "the client was registered with a way to authenticate that it does not have"
	}
	if r.Credentials.Secret == "" && r.Credentials.AuthStyle != oauth2.AuthStyleAutoDetect {
		return nil, "the client secret is missing"
	}
	if r.Credentials.Secret != "" {
		r.SecretExpires = a.fields.instant("client_secret_expires_at")
		if !r.SecretExpires.IsZero() && !r.SecretExpires.After(time.Now()) {
			return nil, "the client secret has expired already"
		}
	}
	if given, ok := a.fields.list("redirect_uris"); ok {
		for _, uri := range asked.RedirectURIs {
			if !slices.Contains(given, uri) {
				return nil, "the client was registered with other redirect URIs than it has"
			}
		}
	}
	token, uri := a.Text("registration_access_token"), a.Text("registration_client_uri")
	if _, why := CheckURL(uri, loopback); why == "" && token != "" && len(token) <= maxToken && isPrintable(token) {
		r.ManagementToken, r.ManagementURI = token, uri
	}
	return r, ""
}

// instant reads a member that is a time in seconds since 1970, zero if there is none, or if
// it is 0, which means never (RFC 7591 §3.2.1). It is not later than time arithmetic bears.
func (f fields) instant(name string) time.Time {
	x, err := strconv.ParseFloat(f[name].text, 64)
	if err != nil || math.IsNaN(x) || x <= 0 {
		return time.Time{}
	}
	most := time.Now().Add(MostLife)
	if x >= float64(most.Unix()) {
		return most
	}
	return time.Unix(int64(x), 0)
}

// list reads a member that is a list of strings; false if it is none.
func (f fields) list(name string) (names []string, ok bool) {
	if f[name].other == "" {
		return nil, false
	}
	return names, json.Unmarshal([]byte(f[name].other), &names) == nil && names != nil
}
