package oauth

import (
	"context"
	"fmt"
	"net/url"
	"time"
)

const (
	maxRequestURI = 1024 // bytes; servers have a name and 256 bits

	// A pushed request without a stated lifetime, or with one that is no number, which RFC 9126
	// §2.2 does not allow, gets the shortest that is usual. Nobody stands before a link to it for an hour.
	defaultPushedLife = time.Minute
	mostPushedLife    = time.Hour
)

// A Pushed request is one that the server keeps (RFC 9126 §2.2).
type Pushed struct {
	// RequestURI names it, in place of its parameters. It is of visible ASCII. Who knows
	// it can open the request, and learn nothing else.
	RequestURI string `json:"-"`

	// Expires is when it can be opened no more: never later than the server's own account
	// of it, and within an hour.
	Expires time.Time
}

// Format does not write the request URI, whatever the verb.
func (p Pushed) Format(s fmt.State, _ rune) {
	fmt.Fprintf(s, "oauth.Pushed{expires %s}", p.Expires.Format(time.RFC3339))
}

// CanPush reports whether the server has an endpoint for [Client.Push].
func (c *Client) CanPush() bool { return c.config.Endpoints.PushedAuthorization != "" }

// Push hands an authorization request to the server (RFC 9126 §2.1), so that the address
// that is opened has nothing of it. The client id is added, also where the client
// authenticates in the header, since it is a parameter of the request.
//
// It blocks as [Client.PostAgain] does: what is pushed twice just lapses.
//
// Errors: ErrUnsupported without an endpoint; ErrRefused, ErrUnavailable, ErrInvalid, or
// that of ctx.
func (c *Client) Push(ctx context.Context, request url.Values) (*Pushed, error) {
	const op = "pushed authorization request"
	if !c.CanPush() {
		return nil, &Error{Op: op, Kind: ErrUnsupported, Reason: "it has no pushed_authorization_request_endpoint"}
	}
	form := cloneValues(request)
	form.Set("client_id", c.ClientID())
	a, sent := c.postAgain(ctx, c.config.Endpoints.PushedAuthorization, form, closed)
	hidden := []string{request.Get("state"), request.Get("login_hint")}
	if err := c.Check(ctx, op, a, hidden...); err != nil {
		return nil, err
	}
	pushed := &Pushed{RequestURI: a.Text("request_uri")}
	if why := checkRequestURI(pushed.RequestURI); why != "" {
		return nil, c.Invalid(op, "the request URI "+why, a, hidden...)
	}
	life, ok := a.Seconds("expires_in", 0, mostPushedLife)
	switch {
	case ok:
	case a.fields.isSpent("expires_in"):
		return nil, c.Invalid(op, "the pushed request has ended already", a, hidden...)
	default:
		life = defaultPushedLife
	}
	pushed.Expires = sent.Add(life)
	return pushed, nil
}

// checkRequestURI says why a request URI cannot be used, or "". What kind of URI it is the
// server chooses (RFC 9126 §2.2), and only the server has to understand it.
func checkRequestURI(uri string) string {
	switch {
	case uri == "":
		return "is missing"
	case len(uri) > maxRequestURI:
		return "is too long"
	}
	for i := range len(uri) {
		if uri[i] <= ' ' || uri[i] > '~' {
			return "has a character that does not belong in one"
		}
	}
	if u, err := url.Parse(uri); err != nil || u.Scheme == "" {
		return "is not absolute"
	}
	return ""
}
