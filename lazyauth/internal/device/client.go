package device

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/oauth2"
)

// Endpoints are the URLs of an authorization server: what [Discover] finds, or
// what was configured by hand.
type Endpoints struct {
	Issuer              string // RFC 8414 §2; may be empty when configured by hand
	DeviceAuthorization string // RFC 8628 §3.1
	Token               string // RFC 6749 §3.2
	Revocation          string // RFC 7009 §2; empty if there is none
}

// A Config says how to speak to one authorization server as one client.
type Config struct {
	// Endpoints must name the device authorization and the token endpoint: https,
	// or http on a loopback host.
	Endpoints Endpoints

	// ClientID is required (RFC 6749 §2.2).
	ClientID string

	// ClientSecret is empty for a public client, which is identified by client_id
	// in the body of each request.
	ClientSecret string `json:"-"`

	// AuthStyle says how a client with a secret authenticates (RFC 6749 §2.3.1):
	// oauth2.AuthStyleInHeader (client_secret_basic) or oauth2.AuthStyleInParams
	// (client_secret_post). The zero value, oauth2.AuthStyleAutoDetect, means the
	// header; nothing is found out by trying. Without a secret it has no meaning.
	AuthStyle oauth2.AuthStyle

	// Params are added to each device authorization request, for example audience,
	// or resource (RFC 8707). They cannot replace the protocol's own parameters.
	Params url.Values `json:"-"`

	// UseComplete hands on verification_uri_complete (RFC 8628 §3.3.1), which
	// contains the code. An attacker who gets somebody to open such a link needs
	// one careless click; without it the victim has to type a code as well.
	UseComplete bool

	// Transport sends the requests; nil means http.DefaultTransport. It is used
	// directly, not through an http.Client: no redirects, no cookies.
	Transport http.RoundTripper `json:"-"`
}

// A Client speaks to one authorization server. It is safe for concurrent use and
// has nothing to close.
type Client struct {
	config Config
}

// New checks the configuration and returns a client for it. It does not dial. Its
// errors are for the author of the configuration and quote none of it.
func New(config Config) (*Client, error) {
	for _, endpoint := range []struct{ name, url string }{
		{"device authorization endpoint", config.Endpoints.DeviceAuthorization},
		{"token endpoint", config.Endpoints.Token},
		{"revocation endpoint", config.Endpoints.Revocation},
	} {
		if endpoint.url == "" && endpoint.name == "revocation endpoint" {
			continue
		}
		if _, why := checkURL(endpoint.url, true); why != "" {
			return nil, fmt.Errorf("the %s %s", endpoint.name, why)
		}
	}
	if err := config.CheckClient(); err != nil {
		return nil, err
	}
	params := make(url.Values, len(config.Params))
	for name, values := range config.Params {
		params[name] = slices.Clone(values)
	}
	config.Params = params
	return &Client{config}, nil
}

// CheckClient checks all of the configuration but the endpoints, for when these
// are to be discovered later. Its errors quote no value.
func (c Config) CheckClient() error {
	switch {
	case c.ClientID == "":
		return errors.New("the client id is missing")
	case !isPrintable(c.ClientID):
		return errors.New("the client id is not printable ASCII (RFC 6749 appendix A.1)")
	case !isPrintable(c.ClientSecret):
		return errors.New("the client secret is not printable ASCII (RFC 6749 appendix A.2)")
	case c.AuthStyle < oauth2.AuthStyleAutoDetect || c.AuthStyle > oauth2.AuthStyleInHeader:
		return errors.New("unknown AuthStyle")
	}
	for name := range c.Params {
		switch name {
		case "client_id", "client_secret", "scope", "grant_type", "device_code":
			return fmt.Errorf("the parameter %s cannot be given in Params", name)
		}
	}
	return nil
}

// Format writes neither the client secret nor the parameters, whatever the verb.
func (c Config) Format(s fmt.State, _ rune) {
	fmt.Fprintf(s, "device.Config{%q at %q}", c.ClientID, c.Endpoints.Token)
}

// Format writes what [Config.Format] writes.
func (c Client) Format(s fmt.State, verb rune) { c.config.Format(s, verb) }

// secrets returns what no Detail may show, with what else was sent or received.
func (c *Client) secrets(a *answer, more ...string) secrets {
	list := secrets(more)
	if c.config.ClientSecret != "" {
		pair := url.QueryEscape(c.config.ClientID) + ":" + url.QueryEscape(c.config.ClientSecret)
		list = append(list, c.config.ClientSecret, base64.StdEncoding.EncodeToString([]byte(pair)))
	}
	for _, name := range []string{"access_token", "refresh_token", "id_token", "device_code", "user_code"} {
		list = append(list, a.fields.text(name))
	}
	return list
}

// fail makes the error for an answer that ends what was being done.
func (c *Client) fail(op string, kind error, a *answer, sent ...string) *Error {
	e := &Error{Op: op, Kind: kind, Status: a.status, reason: a.fault}
	hidden := c.secrets(a, sent...)
	if code := a.fields.text("error"); code != "" {
		e.Code = understand(code).code
		e.Detail = "error " + hidden.quote(code)
		if text := a.fields.text("error_description"); text != "" {
			e.Detail += ", error_description " + hidden.quote(text)
		}
	} else if a.trace != "" {
		e.Detail = hidden.quote(a.trace)
	}
	return e
}

// invalid makes the error for an answer that cannot be used, and why. The Detail
// shows the members that are most often at fault.
func (c *Client) invalid(op, why string, a *answer, sent ...string) *Error {
	e := c.fail(op, ErrInvalid, a, sent...)
	e.reason = why
	hidden := c.secrets(a, sent...)
	var shown []string
	for _, name := range []string{"verification_uri", "verification_url", "token_type", "scope"} {
		if text := a.fields[name].text; text != "" {
			shown = append(shown, name+" "+hidden.quote(text))
		}
	}
	e.Detail = strings.Join(shown, ", ")
	return e
}

// ended makes the error for a context that ended.
func ended(ctx context.Context, op string) *Error {
	return &Error{Op: op, Kind: ctx.Err(), cause: context.Cause(ctx)}
}

// isPrintable reports whether text is of printable ASCII only (VSCHAR).
func isPrintable(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}
