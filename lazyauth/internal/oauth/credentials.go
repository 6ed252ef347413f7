package oauth

import (
	"errors"
	"fmt"

	"golang.org/x/oauth2"
)

// Credentials are who a client is to an authorization server (RFC 6749 §2).
type Credentials struct {
	// ID is the client identifier (§2.2). It is empty only of a client that is to be
	// registered first.
	ID string

	// Secret is empty for a public client, which is identified by client_id in the body
	// of each request.
	Secret string `json:"-"`

	// AuthStyle says how a client with a secret authenticates (§2.3.1):
	// oauth2.AuthStyleInHeader (client_secret_basic) or oauth2.AuthStyleInParams
	// (client_secret_post). The zero value, oauth2.AuthStyleAutoDetect, means what the
	// metadata lists; where that is nothing or both, the header, and the body once the
	// server has refused the client. Which one brought a token is remembered.
	// Without a secret it has no meaning.
	AuthStyle oauth2.AuthStyle
}

// Format writes no secret, whatever the verb.
func (c Credentials) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "oauth.Credentials{%q}", c.ID) }

// check quotes no value.
func (c Credentials) check() error {
	switch {
	case !isPrintable(c.ID):
		return errors.New("the client id is not printable ASCII (RFC 6749 appendix A.1)")
	case !isPrintable(c.Secret):
		return errors.New("the client secret is not printable ASCII (RFC 6749 appendix A.2)")
	case c.Secret != "" && c.ID == "":
		return errors.New("a client secret without a client id")
	case c.AuthStyle < oauth2.AuthStyleAutoDetect || c.AuthStyle > oauth2.AuthStyleInHeader:
		return errors.New("unknown AuthStyle")
	}
	return nil
}

// ClientID returns the client's identifier, "" if it has none yet.
func (c *Client) ClientID() string { return c.config.Credentials.ID }

// WithCredentials returns a client of the same server with these credentials: those of a
// registration, or of a host. It costs next to nothing. What c has found out about how it
// has to authenticate is not carried over. The error quotes no value.
func (c *Client) WithCredentials(credentials Credentials) (*Client, error) {
	if err := credentials.check(); err != nil {
		return nil, err
	}
	config := c.config
	config.Credentials = credentials
	return &Client{config, new(clientAuth)}, nil
}
