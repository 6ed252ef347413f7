package fakeas

import (
	"slices"
	"time"
)

// Operation names what a request was for. The token endpoint has one for
// each grant type, so that scripts and counts can tell polls and refreshes
// apart.
type Operation string

// The operations.
const (
	Metadata            Operation = "metadata"             // RFC 8414, OpenID Connect Discovery
	DeviceAuthorization Operation = "device_authorization" // RFC 8628 §3.1
	Poll                Operation = "poll"                 // RFC 8628 §3.4
	Authorization       Operation = "authorization"        // RFC 6749 §4.1.1: a browser that was sent there
	PushedAuthorization Operation = "pushed_authorization" // RFC 9126 §2
	Consent             Operation = "consent"              // the forms of its pages
	Response            Operation = "response"             // RFC 6749 §4.1.2: for scripts only
	Exchange            Operation = "exchange"             // RFC 6749 §4.1.3
	Refresh             Operation = "refresh"              // RFC 6749 §6
	TokenExchange       Operation = "token_exchange"       // RFC 8693
	Assertion           Operation = "assertion"            // RFC 7523 §2.1
	ClientCredentials   Operation = "client_credentials"   // RFC 6749 §4.4
	OtherTokenRequest   Operation = "other_token_request"  // any other request to the token endpoint
	Registration        Operation = "registration"         // RFC 7591
	ClientConfiguration Operation = "client_configuration" // RFC 7592
	Revocation          Operation = "revocation"           // RFC 7009
	Page                Operation = "page"                 // the device page
	Me                  Operation = "GET /me"              // needs profile
	ListNotes           Operation = "GET /notes"           // needs notes:read
	CreateNote          Operation = "POST /notes"          // needs notes:write
	Elsewhere           Operation = "elsewhere"            // any other path or host
)

// OK is the outcome of a request that was answered as its client hoped.
const OK = "ok"

// Entry is one request in the journal. It holds no token, code or secret.
type Entry struct {
	Time      time.Time     // when it arrived
	Took      time.Duration // until it was answered or given up
	Operation Operation
	ClientID  string // empty if the request did not say; not verified
	Status    int    // 0: no answer was sent

	// Outcome is [OK], an OAuth error code, or "status N" for other errors
	// and raw answers; "dropped", "reset", "lost", "cut" and "stalled" as
	// scripted; "gone" if the client gave up first. Of the page it is also
	// "approved", "denied", "unknown-code", "expired-code", "used-code",
	// "no-code", "too-many-codes", "malformed" or "cross-origin". Of
	// authorization and consent it is [OK] where a page was shown that asks
	// something, "approved" or an error code where the browser was sent back,
	// and of a page that sends nobody back an error code, "expired-request",
	// "used-request" or "other-browser".
	Outcome string
}

// maxJournal is how many entries are kept at least.
const maxJournal = 1 << 16

// Journal returns the requests in the order in which they ended. Of very many
// only the newest are kept, 65,536 at least.
func (s *Server) Journal() []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.journal)
}

// Count returns how many requests for an operation ended with an outcome;
// an empty outcome counts all. It forgets nothing.
func (s *Server) Count(op Operation, outcome string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[tally{op, outcome}]
}

// tally is what [Server.Count] counts.
type tally struct {
	operation Operation
	outcome   string
}

// record ends the entry and files it.
func (x *exchange) record(status int, outcome string) {
	e, s := &x.entry, x.server
	e.Took = time.Since(e.Time)
	e.Status, e.Outcome = status, outcome
	s.mu.Lock()
	if len(s.journal) == 2*maxJournal {
		s.journal = slices.Clone(s.journal[maxJournal:])
	}
	s.journal = append(s.journal, *e)
	s.counts[tally{e.Operation, outcome}]++
	s.counts[tally{e.Operation, ""}]++
	s.mu.Unlock()
	if s.opts.Logger != nil {
		s.opts.Logger.Info("request", "operation", string(e.Operation), "outcome", outcome,
			"status", status, "client", e.ClientID, "took", e.Took)
	}
}
