package fakeas

import (
	"net/url"
	"slices"
	"time"
)

// AuthorizationRequest is a request that arrived at the authorization
// endpoint. It holds no code, state or secret: of those the names are there,
// and [Withheld] for a value.
type AuthorizationRequest struct {
	Time     time.Time
	ClientID string     // not verified
	URL      url.Values // what stood in the address, for everybody to see who sees that
	Pushed   url.Values // what was pushed before (RFC 9126); nil: nothing
	Outcome  string     // as in the journal
}

// Withheld stands for a value that an [AuthorizationRequest] does not hold.
const Withheld = "…"

// withheld are parameters whose values are secrets, or meant to be.
var withheld = []string{
	"state", "nonce", "code_challenge", "code_verifier", "code", "request", "request_uri", "client_secret",
	"client_assertion", "id_token_hint", "access_token", "refresh_token", "device_code", "token", "password",
}

// maxSeen bounds the authorization requests that are kept.
const maxSeen = 10_000

// AuthorizationRequests returns what arrived at the authorization endpoint,
// oldest first, at most the first ten thousand. A test can assert that
// login_hint never stood in a URL.
func (s *Server) AuthorizationRequests() []AuthorizationRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// see files a request to the authorization endpoint.
func (x *exchange) see(outcome string) {
	r := AuthorizationRequest{Time: x.entry.Time, ClientID: x.entry.ClientID, URL: withholding(x.query), Pushed: withholding(x.pushed), Outcome: outcome}
	s := x.server
	s.mu.Lock()
	if len(s.seen) < maxSeen {
		s.seen = append(s.seen, r)
	}
	s.mu.Unlock()
}

// withholding returns a copy without the values that are nobody's business.
func withholding(params url.Values) url.Values {
	if params == nil {
		return nil
	}
	kept := make(url.Values, len(params))
	for name, values := range params {
		kept[name] = slices.Clone(values)
		if slices.Contains(withheld, name) {
			kept[name] = []string{Withheld}
		}
	}
	return kept
}
