package fakeas

import (
	"slices"
	"time"
)

// Violation is something the client did that it must not do. It holds no
// token, code or secret.
type Violation struct {
	Time      time.Time
	Operation Operation
	ClientID  string // empty if the request did not say; not verified
	Rule      Rule
	Detail    string // which parameter, how long; for people
}

// Rule names what was broken.
type Rule string

// The rules.
const (
	PolledEarly           Rule = "polled-early"            // before the interval was over
	PolledAfterEnd        Rule = "polled-after-end"        // after an answer that ends polling
	RetriedEarly          Rule = "retried-early"           // before Retry-After was over
	NotBackedOff          Rule = "not-backed-off"          // at the same pace after a time-out
	WrongMethod           Rule = "wrong-method"            // not POST
	WrongContentType      Rule = "wrong-content-type"      // not a form; not JSON at registration
	MalformedBody         Rule = "malformed-body"          // not decodable, or far too long
	MissingParameter      Rule = "missing-parameter"       // or an empty one
	RepeatedParameter     Rule = "repeated-parameter"      // other than resource and audience
	UnexpectedParameter   Rule = "unexpected-parameter"    // of another request, or in the query
	WrongResponseType     Rule = "wrong-response-type"     // not code
	MissingChallenge      Rule = "missing-challenge"       // no code_challenge where one is required
	WeakChallenge         Rule = "weak-challenge"          // not S256
	MalformedChallenge    Rule = "malformed-challenge"     // not 32 bytes in base64url
	NotPushed             Rule = "not-pushed"              // an authorization request where pushed ones are required
	ChallengeReused       Rule = "challenge-reused"        // in another authorization request
	MissingState          Rule = "missing-state"           // neither a state nor a challenge in an authorization request
	StateReused           Rule = "state-reused"            // in another authorization request
	MalformedVerifier     Rule = "malformed-verifier"      // too short, too long, other letters
	WrongVerifier         Rule = "wrong-verifier"          // for a device code of its own
	VerifierElsewhere     Rule = "verifier-elsewhere"      // code_verifier not in a token request
	RedirectMismatch      Rule = "redirect-mismatch"       // not that of the authorization request
	CodeReused            Rule = "code-reused"             // an authorization code although it was answered
	AssertionReused       Rule = "assertion-reused"        // an assertion although it was answered
	HintInURL             Rule = "hint-in-url"             // login_hint in a URL that is shown
	MalformedScope        Rule = "malformed-scope"         // not names with single spaces between
	WrongGrantType        Rule = "wrong-grant-type"        // none that the server has
	SecretInQuery         Rule = "secret-in-query"         // client_secret
	TwoAuthentications    Rule = "two-authentications"     // in the header and in the body
	WrongAuthentication   Rule = "wrong-authentication"    // not the registered method, or ill-formed
	InsecureTransport     Rule = "insecure-transport"      // http where the server is https
	ForeignCode           Rule = "foreign-code"            // a code of another client
	ForeignToken          Rule = "foreign-token"           // a token of another client
	ScopeRaised           Rule = "scope-raised"            // a refresh for more than was granted
	RefreshTokenReused    Rule = "refresh-token-reused"    // although its replacement was sent
	RevokedTokenUsed      Rule = "revoked-token-used"      // although the client itself revoked it
	BearerInQuery         Rule = "bearer-in-query"         // access_token
	BearerElsewhere       Rule = "bearer-elsewhere"        // bearer token not sent to the API
	DeviceCodeElsewhere   Rule = "device-code-elsewhere"   // not in the body of a poll
	RefreshTokenElsewhere Rule = "refresh-token-elsewhere" // not in a refresh or revocation
	RegistrationElsewhere Rule = "registration-elsewhere"  // not sent to its registration_client_uri
	SecretElsewhere       Rule = "secret-elsewhere"        // client secret not sent to its server
)

var sections = map[Rule]string{
	PolledEarly:           "RFC 8628 §3.5",
	PolledAfterEnd:        "RFC 8628 §3.5",
	RetriedEarly:          "RFC 9110 §10.2.3",
	NotBackedOff:          "RFC 8628 §3.5",
	WrongMethod:           "RFC 6749 §3.2",
	WrongContentType:      "RFC 8628 §3.1, §3.4, RFC 7591 §3.1",
	MalformedBody:         "RFC 6749 Appendix B",
	MissingParameter:      "RFC 6749 §5.2",
	RepeatedParameter:     "RFC 6749 §3.2",
	UnexpectedParameter:   "RFC 8628 §3.1, §3.4",
	WrongResponseType:     "RFC 6749 §3.1.1",
	MissingChallenge:      "RFC 7636 §4.4.1, RFC 9700 §2.1.1",
	WeakChallenge:         "RFC 7636 §4.2, RFC 9700 §2.1.1",
	MalformedChallenge:    "RFC 7636 §4.2",
	NotPushed:             "RFC 9126 §5",
	ChallengeReused:       "RFC 9700 §2.1.1",
	MissingState:          "RFC 6749 §10.12",
	StateReused:           "RFC 9700 §2.1",
	MalformedVerifier:     "RFC 7636 §4.1",
	WrongVerifier:         "RFC 7636 §4.5",
	VerifierElsewhere:     "RFC 7636 §4.5",
	RedirectMismatch:      "RFC 6749 §4.1.3",
	CodeReused:            "RFC 6749 §4.1.2",
	AssertionReused:       "RFC 7523 §3",
	HintInURL:             "MCP 2026-07-28 client/elicitation",
	MalformedScope:        "RFC 6749 §3.3",
	WrongGrantType:        "RFC 8628 §3.4",
	SecretInQuery:         "RFC 6749 §2.3.1",
	TwoAuthentications:    "RFC 6749 §2.3",
	WrongAuthentication:   "RFC 6749 §2.3.1",
	InsecureTransport:     "RFC 6749 §3.2",
	ForeignCode:           "RFC 8628 §3.4, RFC 6749 §4.1.3",
	ForeignToken:          "RFC 6749 §6, RFC 7009 §2.1",
	ScopeRaised:           "RFC 6749 §6",
	RefreshTokenReused:    "RFC 9700 §4.14.2",
	RevokedTokenUsed:      "RFC 7009 §2.1",
	BearerInQuery:         "RFC 9700 §4.3.2",
	BearerElsewhere:       "RFC 6750 §5.3",
	DeviceCodeElsewhere:   "RFC 8628 §3.4",
	RefreshTokenElsewhere: "RFC 6749 §10.4",
	RegistrationElsewhere: "RFC 7592 §3",
	SecretElsewhere:       "RFC 6749 §2.3.1",
}

// Section names the source of the rule, such as "RFC 8628 §3.5".
func (r Rule) Section() string { return sections[r] }

// String returns the violation on one line, with the rule's section.
func (v Violation) String() string {
	text := string(v.Operation) + ": " + string(v.Rule)
	if v.Detail != "" {
		text += " (" + v.Detail + ")"
	}
	return text + ", " + v.Rule.Section()
}

// maxViolations bounds what a broken client in a loop can pile up.
const maxViolations = 10_000

// Violations returns what the clients did wrong, oldest first, at most the
// first ten thousand. A test may well end by asserting that there are none.
func (s *Server) Violations() []Violation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}

// violate records a violation by the request x. The caller does not hold the
// mutex. The detail must hold nothing that the client sent but names.
func (x *exchange) violate(rule Rule, detail string) {
	v := Violation{Time: x.entry.Time, Operation: x.entry.Operation, ClientID: x.entry.ClientID, Rule: rule, Detail: detail}
	s := x.server
	s.mu.Lock()
	if len(s.violations) < maxViolations {
		s.violations = append(s.violations, v)
	}
	s.mu.Unlock()
	if s.opts.Logger != nil {
		s.opts.Logger.Warn("violation", "rule", string(rule), "detail", detail, "section", rule.Section(),
			"operation", string(v.Operation), "client", v.ClientID)
	}
}
