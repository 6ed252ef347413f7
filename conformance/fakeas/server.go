package fakeas

import (
	"crypto/sha256"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Server is an authorization server, its device page and the notes API. It is
// an http.Handler for a listener; [Server.Transport] reaches it without one.
// All methods may be called concurrently. It starts no goroutine and needs no
// closing. Inside a testing/synctest bubble it must be made there.
type Server struct {
	opts        *settings
	issuer, api *url.URL
	key         *signingKey // nil: it signs nothing

	// mu guards what follows; nothing waits or writes to a client under it.
	mu            sync.Mutex
	assertions    map[string]time.Time // that were used, by jti, until they may be forgotten
	clients       map[string]*Client   // by client ID; what they point to never changes
	registrations []*registration      // those of them that registered by themselves
	devices       map[string]*device   // by device code
	users         map[string]*device   // the same, by user code without its dash
	queue         []*device            // in order of arrival, decided ones cut off lazily
	arrived       chan struct{}        // closed and replaced when the queue grows
	paces         map[string]*pace
	access        map[string]*token
	refresh       map[string]*token
	shared        map[[2]string]*grant // by subject and client
	notes         map[string][]note    // by subject
	pruneAt       int                  // number of devices

	authorizations map[string]*authorization // by ticket
	codes          map[string]*code
	pushes         map[string]*pushed              // by request_uri
	pruneAuthAt    int                             // number of all three
	onceOnly       map[[2]string][sha256.Size]byte // states and challenges: the hash of the request that each was in
	sessions       map[string]*session             // by cookie
	consents       map[[2]string][]string          // scopes granted, by subject and client
	seen           []AuthorizationRequest

	guesses    guesses
	scripts    map[Operation][]Behaviour
	violations []Violation
	journal    []Entry
	counts     map[tally]int
}

// New returns a server. A nil opts means all defaults. It panics if the
// options contradict themselves: they are a programmer's.
func New(opts *Options) *Server {
	complete, err := complete(opts)
	if err != nil {
		panic(err.Error())
	}
	s := &Server{
		opts:    complete,
		clients: maps.Clone(complete.clients),
		devices: make(map[string]*device),
		users:   make(map[string]*device),
		arrived: make(chan struct{}),
		paces:   make(map[string]*pace),
		access:  make(map[string]*token),
		refresh: make(map[string]*token),
		notes:   make(map[string][]note),
		shared:  make(map[[2]string]*grant),
		scripts: make(map[Operation][]Behaviour),
		counts:  make(map[tally]int),
		guesses: make(guesses),

		authorizations: make(map[string]*authorization),
		codes:          make(map[string]*code),
		pushes:         make(map[string]*pushed),
		onceOnly:       make(map[[2]string][sha256.Size]byte),
		sessions:       make(map[string]*session),
		consents:       make(map[[2]string][]string),
		assertions:     make(map[string]time.Time),
	}
	if s.opts.Unattended.Identity {
		s.key = newSigningKey()
	}
	s.issuer, _ = url.Parse(s.opts.Issuer)
	s.api, _ = url.Parse(s.opts.API)
	return s
}

// Issuer returns the issuer identifier: [Options.Issuer] or [DefaultIssuer].
func (s *Server) Issuer() string { return s.opts.Issuer }

// API returns the base URL of the notes API.
func (s *Server) API() string { return s.opts.API }

// URL returns the address of an operation: the token endpoint for [Poll],
// [Exchange], [Refresh] and [OtherTokenRequest], the RFC 8414 document for [Metadata], the
// page where a code is entered for [Page]. It is empty for what has none of
// its own: [Consent], [Response], [ClientConfiguration] and [Elsewhere].
func (s *Server) URL(op Operation) string {
	switch op {
	case Me, ListNotes, CreateNote:
		return strings.TrimSuffix(s.opts.API, "/") + paths[op]
	case Metadata:
		u := *s.issuer
		u.Path = wellKnown + strings.TrimSuffix(u.Path, "/")
		return u.String()
	case Consent, Response, ClientConfiguration, Elsewhere:
		return ""
	}
	return strings.TrimSuffix(s.opts.Issuer, "/") + paths[op]
}

// paths are below the issuer's or the API's path.
var paths = map[Operation]string{
	DeviceAuthorization: "/device_authorization",
	Authorization:       "/authorize",
	PushedAuthorization: "/par",
	Registration:        "/register",
	Exchange:            "/token",
	Poll:                "/token",
	Refresh:             "/token",
	OtherTokenRequest:   "/token",
	TokenExchange:       "/token",
	Assertion:           "/token",
	ClientCredentials:   "/token",
	Revocation:          "/revoke",
	Page:                "/device",
	Me:                  "/me",
	ListNotes:           "/notes",
	CreateNote:          "/notes",
}

const (
	wellKnown       = "/.well-known/oauth-authorization-server" // RFC 8414 §3, inserted before the path
	wellKnownOpenID = "/.well-known/openid-configuration"       // appended to the path, or inserted
)

// site says which of the two bases a request's origin is. On one listener it
// can be both.
type site struct {
	issuer, api bool
	inProcess   bool // not on a listener
}

// locate finds the operation that a method and path stand for, and which
// handler answers it. The token endpoint's grant type is looked at later.
func (s *Server) locate(at site, method, path string) (Operation, func(*exchange) reply) {
	if at.issuer {
		prefix := strings.TrimSuffix(s.issuer.Path, "/")
		if path == wellKnown+prefix && !s.opts.NoMetadata ||
			path == wellKnownOpenID+prefix && s.opts.OpenIDInserted || path == prefix+wellKnownOpenID && s.opts.OpenID {
			return Metadata, (*exchange).metadata
		}
		if rest, ok := strings.CutPrefix(path, prefix); ok {
			if op, handle := s.locateOption(rest); handle != nil {
				return op, handle
			}
			switch rest {
			case paths[Exchange]:
				return OtherTokenRequest, (*exchange).token
			case jwksPath:
				if s.key != nil {
					return Metadata, (*exchange).keys
				}
			case paths[Revocation]:
				return Revocation, (*exchange).revoke
			case stylePath, scriptPath:
				return Page, (*exchange).page
			}
		}
	}
	if at.api {
		if rest, ok := strings.CutPrefix(path, strings.TrimSuffix(s.api.Path, "/")); ok {
			switch {
			case rest == paths[Me]:
				return Me, (*exchange).me
			case rest == paths[ListNotes] && method == http.MethodPost:
				return CreateNote, (*exchange).createNote
			case rest == paths[ListNotes]:
				return ListNotes, (*exchange).listNotes
			}
		}
	}
	return Elsewhere, func(*exchange) reply { return plain(http.StatusNotFound, "not found") }
}

// locateOption finds what can be switched off, below the issuer's path. A nil
// handler: nothing.
func (s *Server) locateOption(path string) (Operation, func(*exchange) reply) {
	if !s.opts.NoDevice {
		switch path {
		case paths[DeviceAuthorization]:
			return DeviceAuthorization, (*exchange).authorizeDevice
		case paths[Page], decisionPath:
			return Page, (*exchange).page
		}
	}
	if s.opts.Registration {
		switch {
		case path == paths[Registration]:
			return Registration, (*exchange).register
		case isRegistration(path):
			return ClientConfiguration, (*exchange).configure
		}
	}
	if !s.opts.NoAuthorization {
		switch path {
		case paths[Authorization]:
			return Authorization, (*exchange).authorize
		case paths[PushedAuthorization]:
			if s.opts.Push != PushNone {
				return PushedAuthorization, (*exchange).push
			}
		case signInPath, consentPath:
			return Consent, (*exchange).consent
		}
	}
	return Elsewhere, nil
}
