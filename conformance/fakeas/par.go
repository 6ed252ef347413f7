package fakeas

import (
	"crypto/rand"
	"maps"
	"net/http"
	"net/url"
	"time"
)

// Push says what a server makes of pushed authorization requests (RFC 9126).
type Push int

// What a server can make of them.
const (
	PushNone     Push = iota // not heard of them
	PushAccepted             // takes them, and requests in the address too
	PushRequired             // takes nothing else (§5)
)

// pushed is a pushed authorization request.
type pushed struct {
	request authorization // judged when it came
	params  url.Values
	expires time.Time

	// Under the server's mutex.
	session *session // of the browser that opened it first
	used    bool     // it was answered
}

// push answers RFC 9126 §2.1 as §2.2 says.
func (x *exchange) push() reply {
	s := x.server
	x.asked = maps.Clone(x.form)
	delete(x.asked, "client_secret")
	x.asked.Set("client_id", x.client.ID) // which may have stood in the header
	if x.asked.Has("request_uri") {
		x.violate(UnexpectedParameter, quote("request_uri"))
		return x.refuse(http.StatusBadRequest, "invalid_request", "request_uri in a pushed request")
	}
	a, f := x.judge(x.client)
	if f != nil {
		if f.code == "invalid_redirect_uri" {
			f.code = "invalid_request" // RFC 9126 §2.3 has no code of its own
		}
		return x.refuse(http.StatusBadRequest, f.code, f.description)
	}
	now := time.Now()
	p := &pushed{request: *a, params: x.asked, expires: now.Add(s.opts.PushLifetime)}
	uri := "urn:ietf:params:oauth:request_uri:" + rand.Text()
	s.mu.Lock()
	s.pruneAuthorizations(now)
	s.pushes[uri] = p
	s.mu.Unlock()
	return x.json(http.StatusCreated, map[string]any{
		"request_uri": uri, "expires_in": wholeSeconds(s.opts.PushLifetime),
	}, nil)
}

// readPushed finds the pushed request that an address names. What else stands
// in the address does not count (RFC 9126 §4, RFC 9101 §5).
func (x *exchange) readPushed(client *Client) (*authorization, *fault) {
	s := x.server
	refuse := func(code, description string) (*authorization, *fault) {
		return nil, &fault{code, description, true}
	}
	if s.opts.Push == PushNone {
		x.violate(UnexpectedParameter, quote("request_uri"))
		return refuse("request_uri_not_supported", "The address names a request that this server does not take.")
	}
	if client == nil {
		if x.query.Get("client_id") == "" {
			x.violate(MissingParameter, "client_id")
		}
		return refuse("invalid_client", x.unknownClient())
	}
	browser, now := x.session(true), time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pushes[x.query.Get("request_uri")]
	switch {
	case p == nil || p.request.client.ID != client.ID:
		return refuse("invalid_request_uri", "The request is not known here.")
	case p.used:
		return refuse("invalid_request_uri", "The request has been answered already.")
	case !now.Before(p.expires):
		return refuse("invalid_request_uri", "The request has expired.")
	case p.session != nil && p.session != browser:
		return refuse("invalid_request_uri", "The request was opened in another browser before.")
	}
	p.session = browser // who loads the page again is served (RFC 9126 §4)
	x.pushed = p.params
	a := p.request
	a.pushed = p
	return &a, nil
}
