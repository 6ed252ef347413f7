package fakeas

import (
	"net/http"
	"net/url"
	"strings"
)

// respond sends the browser back to the client with an authorization response
// (RFC 6749 §4.1.2), as far as the script for [Response] lets it.
func (x *exchange) respond(a *authorization, values url.Values, outcome string) reply {
	b := x.server.next(Response)
	if b.kind == oauthError {
		values = url.Values{"error": {b.code}}
		outcome = b.code
	}
	if a.state != "" {
		values.Set("state", a.state)
	}
	if !x.server.opts.NoIss {
		values.Set("iss", x.base) // RFC 9207 §2
	}
	if b.kind == pass && b.redirect != nil {
		b.redirect(values)
	}
	location := withQuery(a.redirectURI, values)
	x.server.mu.Lock()
	if a.pushed != nil {
		a.pushed.used = true
	}
	a.location = location
	if a.decided == undecided {
		a.decided = denied
	}
	x.server.mu.Unlock()
	if b.kind == oauthError {
		b.kind = pass
	}
	return x.perform(b, func(x *exchange) reply { return x.sendTo(location, outcome) })
}

// sendTo is a redirect of the browser. 307 would have it send the form along
// (RFC 9700 §4.12).
func (x *exchange) sendTo(location, outcome string) reply {
	header := http.Header{
		"Location":        {location},
		"Cache-Control":   {"no-store"},
		"Referrer-Policy": {"no-referrer"},
	}
	x.keepSession(header)
	return reply{status: http.StatusSeeOther, header: header, outcome: outcome}
}

// withQuery adds parameters to a redirect URI, which keeps those that it has
// (RFC 6749 §3.1.2).
func withQuery(uri string, values url.Values) string {
	separator := "?"
	switch {
	case strings.HasSuffix(uri, "?"), strings.HasSuffix(uri, "&"):
		separator = ""
	case strings.Contains(uri, "?"):
		separator = "&"
	}
	if encoded := values.Encode(); encoded != "" {
		return uri + separator + encoded
	}
	return uri
}
