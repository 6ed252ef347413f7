package oauth

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// A Config says how to speak to one authorization server as one client.
type Config struct {
	// Endpoints must name the token endpoint. All are https, or http on a loopback host.
	Endpoints Endpoints

	// Credentials are the client's. Without an id it can do nothing but register: other
	// requests are not sent, and fail as those of a client that the server does not know,
	// with ErrRefused and the code invalid_client.
	Credentials Credentials

	// Params are added to requests.
	Params Params

	// Spelling is how the server departs from the RFC in names; the zero value is the RFC's.
	Spelling Spelling

	// UserAgent is sent with each request; empty means DefaultUserAgent.
	UserAgent string

	// BearerNames are names beside "Bearer" that this server has for the type of its
	// bearer tokens: "BearerToken" (Apigee), "User Access Token" (eBay). The case of
	// letters and blanks around them do not matter. A type says how a token is to be
	// proved where it is used, and a client must not use one whose type it does not
	// know (RFC 6749 §7.1): to name one here is to say that whoever holds such a token
	// may use it, and that it may be sent as one. DPoP and MAC, which say the
	// opposite, cannot be named.
	BearerNames []string

	// Transport sends the requests; nil means http.DefaultTransport. It is used
	// directly, not through an http.Client: no redirects, no cookies.
	Transport http.RoundTripper `json:"-"`
}

// A Client speaks to one authorization server. It is safe for concurrent use and
// has nothing to close.
type Client struct {
	config Config
	auth   *clientAuth
}

const maxUserAgent = 256 // bytes

// New checks the configuration and returns a client for it. It does not dial. Its
// errors are for the author of the configuration and quote none of it.
func New(config Config) (*Client, error) {
	if err := config.Endpoints.check(true); err != nil {
		return nil, err
	}
	if err := config.CheckClient(); err != nil {
		return nil, err
	}
	config.Params = config.Params.clone()
	names := make([]string, len(config.BearerNames))
	for i, name := range config.BearerNames {
		names[i] = strings.TrimSpace(name)
	}
	config.BearerNames = names
	return &Client{config, new(clientAuth)}, nil
}

// CheckClient checks all of the configuration but endpoints that are missing, for when
// these are to be discovered later. Its errors quote no value.
func (c Config) CheckClient() error {
	if err := c.Endpoints.check(false); err != nil {
		return err
	}
	if err := c.Credentials.check(); err != nil {
		return err
	}
	if !isPrintable(c.UserAgent) || len(c.UserAgent) > maxUserAgent {
		return errors.New("the user agent is not printable ASCII of at most 256 bytes")
	}
	for _, name := range c.BearerNames {
		switch plain := strings.ToLower(strings.TrimSpace(name)); {
		case plain == "" || !isPrintable(plain):
			return errors.New("a name in BearerNames is empty, or not printable ASCII")
		case plain == "dpop" || plain == "mac":
			return errors.New("a type in BearerNames is one of tokens that are bound to a key: DPoP or MAC")
		}
	}
	if err := c.Spelling.check(c.Params); err != nil {
		return err
	}
	return c.Params.check()
}

// Format writes neither the client secret nor the parameters, whatever the verb.
func (c Config) Format(s fmt.State, _ rune) {
	fmt.Fprintf(s, "oauth.Config{%q at %q}", c.Credentials.ID, c.Endpoints.Token)
}

// Format writes what [Config.Format] writes.
func (c Client) Format(s fmt.State, verb rune) { c.config.Format(s, verb) }

// Endpoints returns those that the client was made with.
func (c *Client) Endpoints() Endpoints { return c.config.Endpoints }

// secrets returns what no Detail may show, with what else was sent or received.
func (c *Client) secrets(a *Answer, more ...string) secrets {
	list := secrets(more)
	if c.config.Credentials.Secret != "" {
		pair := url.QueryEscape(c.config.Credentials.ID) + ":" + url.QueryEscape(c.config.Credentials.Secret)
		list = append(list, c.config.Credentials.Secret, base64.StdEncoding.EncodeToString([]byte(pair)))
	}
	list = append(list, c.config.Params.secrets()...)
	for _, name := range []string{"access_token", "refresh_token", "id_token", "device_code", "user_code", "client_secret", "registration_access_token", "registration_client_uri", "request_uri"} {
		list = append(list, a.fields.text(name))
	}
	return list
}

// Fail makes the error for an answer that ends what was being done.
func (c *Client) Fail(op string, kind error, a *Answer, sent ...string) *Error {
	return &Error{Op: op, Kind: kind, Code: a.Verdict.Code, Status: a.Status, RetryAfter: a.RetryAfter, Reason: a.Fault, Detail: c.Detail(a, sent...)}
}

// Check makes the error for an answer to a request with which nothing is lost (for a device
// code, for a registration), if it is no success with members: ErrRefused, ErrUnavailable,
// ErrInvalid, or that of ctx.
func (c *Client) Check(ctx context.Context, op string, a *Answer, sent ...string) error {
	switch end := comesTo[a.Verdict.Means].ask; {
	case ctx.Err() != nil && (a.Broken() || a.Passes()):
		return Ended(ctx, op)
	case end != nil:
		return c.Fail(op, end, a, sent...)
	case a.Passes():
		return c.Fail(op, ErrUnavailable, a, sent...)
	case a.Fault != "":
		return c.Fail(op, ErrInvalid, a, sent...)
	}
	return nil
}

// Detail says of an answer what an operator has to know.
func (c *Client) Detail(a *Answer, sent ...string) string {
	hidden := c.secrets(a, sent...)
	var detail string
	if code := a.fields.text("error"); code != "" {
		detail = "error " + hidden.quote(code)
		if text := a.fields.text("error_description"); text != "" {
			detail += ", error_description " + hidden.quote(text)
		}
	} else {
		detail = hidden.about(a)
	}
	if a.note != "" {
		detail = strings.TrimPrefix(detail+"; ", "; ") + a.note
	}
	return detail
}

// Invalid makes the error for an answer that cannot be used, and why. The Detail
// shows the members that are most often at fault.
func (c *Client) Invalid(op, why string, a *Answer, sent ...string) *Error {
	e := c.Fail(op, ErrInvalid, a, sent...)
	e.Reason = why
	hidden := c.secrets(a, sent...)
	var shown []string
	for _, name := range []string{"verification_uri", "verification_url", "token_type", "token_endpoint_auth_method"} {
		if f := a.fields[name]; f != (field{}) {
			shown = append(shown, name+" "+hidden.quote(f.text+f.other))
		}
	}
	if shown != nil {
		e.Detail = strings.Join(shown, ", ")
	}
	return e
}

// Ended makes the error for a context that ended.
func Ended(ctx context.Context, op string) *Error {
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
