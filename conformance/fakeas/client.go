package fakeas

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Client is a registered client.
type Client struct {
	ID     string
	Secret string // empty: a public client
	Name   string // shown on the pages; empty: the ID

	// Auth is the way this client may authenticate. Empty: [NoAuth]
	// for a public client, else [BasicAuth].
	Auth AuthMethod

	// RedirectURIs are where the authorization endpoint may send a browser
	// back to. They are compared as they stand (RFC 9700 §2.1), but for the
	// port of an http one on 127.0.0.1 or [::1] (RFC 8252 §7.3); see
	// [Options.ExactPorts]. Nil: http://127.0.0.1/callback and
	// http://[::1]/callback, and RedirectBelow. Empty: none.
	RedirectURIs []string

	// RedirectBelow takes redirect URIs whose path is below that of a
	// registered one, too, as GitHub does ("Redirect URLs", in its
	// documentation). False: only what is registered.
	RedirectBelow bool

	// GrantTypes are those that the client may use, and a refresh token is
	// given to one with refresh_token only (RFC 7591 §2). Nil: all.
	GrantTypes []string

	secretExpires time.Time // zero: never
}

// AuthMethod is a token_endpoint_auth_method (RFC 7591 §2).
type AuthMethod string

// The authentication methods.
const (
	NoAuth    AuthMethod = "none"                // public: client_id in the body
	BasicAuth AuthMethod = "client_secret_basic" // RFC 6749 §2.3.1, form-encoded id and secret
	PostAuth  AuthMethod = "client_secret_post"  // both in the body

	// EitherAuth is Basic or Post, as each request likes; the metadata lists
	// both.
	EitherAuth AuthMethod = "either"
)

// completeClients fills in the defaults of the registered clients.
func (o *settings) completeClients() error {
	if o.Clients == nil {
		o.Clients = []Client{{ID: DefaultClientID, Name: "Notes CLI"}}
	}
	o.clients = make(map[string]*Client)
	for _, c := range o.Clients {
		if c.Auth == "" && c.Secret == "" {
			c.Auth = NoAuth
		}
		c.Auth = cmp.Or(c.Auth, BasicAuth)
		c.Name = cmp.Or(c.Name, c.ID)
		if c.RedirectURIs == nil {
			c.RedirectURIs, c.RedirectBelow = []string{"http://127.0.0.1/callback", "http://[::1]/callback"}, true
		}
		c.RedirectURIs, c.GrantTypes = slices.Clone(c.RedirectURIs), slices.Clone(c.GrantTypes)
		known := c.Auth == NoAuth || c.Auth == BasicAuth || c.Auth == PostAuth || c.Auth == EitherAuth
		switch {
		case c.ID == "" || o.clients[c.ID] != nil:
			return fmt.Errorf("fakeas: client ID %q is empty or registered twice", c.ID)
		case !known || (c.Auth == NoAuth) != (c.Secret == ""):
			return fmt.Errorf("fakeas: client %q cannot use authentication method %q", c.ID, c.Auth)
		}
		for _, uri := range c.RedirectURIs {
			if !isRedirectURI(uri) {
				return fmt.Errorf("fakeas: client %q cannot have the redirect URI %q", c.ID, uri)
			}
		}
		o.clients[c.ID] = &c
	}
	return nil
}

// mayUse reports whether a client has registered the grant type that an
// operation is about.
func (c *Client) mayUse(op Operation) bool {
	grant, ok := map[Operation]string{
		DeviceAuthorization: grantDevice, Poll: grantDevice,
		Authorization: grantCode, PushedAuthorization: grantCode, Exchange: grantCode,
		Refresh: grantRefresh, TokenExchange: grantExchange, Assertion: grantJWT, ClientCredentials: grantCredentials,
	}[op]
	return !ok || c.GrantTypes == nil || slices.Contains(c.GrantTypes, grant)
}

// find returns the client with this ID, registered or documented, or nil, and
// keeps for the answer why. What it points to never changes.
func (x *exchange) find(id string) *Client {
	s := x.server
	s.mu.Lock()
	c := s.clients[id]
	s.mu.Unlock()
	if c == nil && isClientURL(id) {
		c, x.why = s.opts.documented(id)
	}
	return c
}
