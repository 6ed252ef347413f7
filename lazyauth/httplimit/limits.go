package httplimit

import (
	"net/http"
	"strconv"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/quota"
)

// Limits are what a [Limiter] allows. A field that is zero means the default that is named with
// it; negative values are taken for zero.
type Limits struct {
	// Requests bounds the requests in progress, in all; a call that waits for a person is one, and
	// so is a stream in which a host listens. Default 4096.
	Requests int
	// PerAddress bounds those of one address: of one IPv4 address, or of one IPv6 network of 64
	// bits, which is what one subscriber has. Default 512, since many people may share one.
	PerAddress int
	// PerPerson bounds those of one person. Default 128.
	PerPerson int

	// Connections bounds the connections of a [Limiter.Listener], in all, and ConnectionsPerAddress
	// those of one address. Defaults 6144 and 1024.
	Connections, ConnectionsPerAddress int
	// Tries bounds what strangers of one address try in a minute: see [Limiter.Try] and
	// [Limiter.Pages]. Default 240, since many people may share one.
	Tries int

	// Bytes bounds the bodies of requests in progress of all people, BytesPerPerson those of one,
	// besides 16 KiB of each, which ordinary calls do not exceed; see [Limiter.ByPerson]. Each value in the JSON of a body counts as 64 bytes besides its text,
	// since that is what it takes in memory. Defaults 8 MiB and 1 MiB, which is as large as one
	// body can be.
	Bytes, BytesPerPerson int

	// Sessions bounds the sessions (MCP 2025-11-25 basic/transports, "Session Management"), in
	// all, and SessionsPerPerson those of one person. Where there is no room for a new one, the
	// one that was used least recently is closed, of that person or of all, if no request of it is
	// in progress: its host is told 404 and opens another. Defaults 2048 and 16.
	Sessions, SessionsPerPerson int

	// SessionBytes bounds what sessions keep of the requests that opened them, in all, counted as
	// Bytes are; to make room, sessions are closed as above. Default 16 MiB.
	SessionBytes int64
	// OpeningBytes bounds the body of a request that belongs to no session, such as one that
	// opens a session, whose parameters are kept for as long as that lives. Default 64 KiB. It
	// is not for servers of revision 2026-07-28, which knows no sessions: see [Limiter.ByPerson].
	OpeningBytes int64
	// ReadTimeout and WriteTimeout bound how long a caller may have reads of a request's body and
	// writes of its answer wait, in all, with a second more for each MinRate bytes that have come
	// or gone. Unlike those of [http.Server] they leave calls that wait alone. Default 30 seconds,
	// and 1 KiB.
	ReadTimeout, WriteTimeout time.Duration
	MinRate                   int64

	// Address returns what a request's address is counted as, of which 64 bytes are looked at. Nil
	// means the connection's address. Behind a proxy all requests would have the proxy's, and be
	// limited as one: [BehindProxies] has what the proxy says. A function of an author's own must
	// not believe what anybody else says.
	Address func(*http.Request) string
}

// A Limiter holds requests against limits. It is safe for concurrent use.
type Limiter struct {
	limits    Limits
	addresses *quota.Quota[string]
	people    *quota.Quota[person]
	bytes     *quota.Quota[person]
	sessions  *sessions
	tries     *tries

	connections *quota.Quota[string]
	proxied     bool // connections are others' than those whose requests come by them
}

// A person is the issuer and subject of a verified bearer token.
type person struct{ issuer, subject string }

// New returns a limiter; nil limits are the defaults.
func New(limits *Limits) *Limiter {
	var l Limits
	if limits != nil {
		l = *limits
	}
	for _, field := range []struct {
		value *int
		usual int
	}{{&l.Requests, 4096}, {&l.Connections, 6144}, {&l.ConnectionsPerAddress, 1024}, {&l.Tries, 240}, {&l.PerAddress, 512}, {&l.PerPerson, 128}, {&l.Bytes, 8 << 20}, {&l.BytesPerPerson, 1 << 20}, {&l.Sessions, 2048}, {&l.SessionsPerPerson, 16}} {
		if *field.value <= 0 {
			*field.value = field.usual
		}
	}
	for _, field := range []struct {
		value *int64
		usual int64
	}{{&l.SessionBytes, 16 << 20}, {&l.OpeningBytes, 64 << 10}, {&l.MinRate, 1 << 10}} {
		if *field.value <= 0 {
			*field.value = field.usual
		}
	}
	for _, timeout := range []*time.Duration{&l.ReadTimeout, &l.WriteTimeout} {
		if *timeout <= 0 {
			*timeout = 30 * time.Second
		}
	}
	proxied, ofAddress := l.Address != nil, l.ConnectionsPerAddress
	if proxied {
		ofAddress = l.Connections
	} else {
		l.Address = func(r *http.Request) string { return addressOf(r.RemoteAddr) }
	}
	return &Limiter{
		limits:    l,
		addresses: quota.New[string](l.Requests, l.PerAddress),
		people:    quota.New[person](l.Requests, l.PerPerson),
		bytes:     quota.New[person](l.Bytes, l.BytesPerPerson),
		tries:     newTries(l.Tries),
		proxied:   proxied, connections: quota.New[string](l.Connections, ofAddress),
		sessions: newSessions(l.Sessions, l.SessionsPerPerson, l.SessionBytes),
	}
}

// retryAfter is how long who is turned away is told to wait.
const retryAfter = 30 * time.Second

// busy turns a request away.
func busy(w http.ResponseWriter, all bool, what string) {
	status, text := http.StatusTooManyRequests, "busy: too many "+what+" of yours; try again later"
	if all {
		status, text = http.StatusServiceUnavailable, "busy: too many "+what+" in all; try again later"
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
	http.Error(w, text, status)
}
