package httplimit

import (
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// sessionHeader names a session (MCP 2025-11-25 basic/transports, "Session Management").
const sessionHeader = "Mcp-Session-Id"

// ByPerson returns a handler that stands behind the check of bearer tokens
// (auth.RequireBearerToken): it bounds the requests in progress of one person, and the bytes of
// their bodies. In front of a handler that keeps sessions, server is whose sessions these are:
// they are bounded, and so is what opens one. A nil server keeps none, as one of revision 2026-07-28.
//
// Whose request it is tell issuer and subject of the verified token, as lazyauth takes them;
// requests without one are all one person's. A session is that person's alone who opened it: to
// others it does not exist (404).
func (l *Limiter) ByPerson(server *mcp.Server, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := personOf(r)
		if !l.people.Take(who) {
			busy(w, l.people.Taken() >= l.limits.Requests, "requests")
			return
		}
		defer l.people.Give(who)
		copied := *r // its body is not ours to replace
		r = &copied
		release, ok := l.body(w, r, who)
		if !ok {
			return
		}
		defer release()
		if server == nil {
			next.ServeHTTP(w, r)
			return
		}
		if id := r.Header.Get(sessionHeader); id != "" {
			ended, ok := l.sessions.use(id, who)
			if !ok {
				http.Error(w, "session not found", http.StatusNotFound)
				return
			}
			defer ended()
			next.ServeHTTP(w, r)
			return
		}
		l.opens(w, r, server, who, next)
	})
}

// opens serves a request that may open a session.
func (l *Limiter) opens(w http.ResponseWriter, r *http.Request, server *mcp.Server, who person, next http.Handler) {
	opening, ok := l.sessions.open(server, who)
	if !ok {
		busy(w, l.sessions.hasShare(who), "sessions")
		return
	}
	defer opening.end()
	read := func() int64 { return 0 }
	if b, ok := r.Body.(*body); ok {
		read = func() int64 { return int64(b.weight) }
		r.Body = http.MaxBytesReader(w, r.Body, l.limits.OpeningBytes)
	}
	next.ServeHTTP(&naming{ResponseWriter: w, limiter: l, opening: opening, read: read}, r)
}

func personOf(r *http.Request) person {
	info := auth.TokenInfoFromContext(r.Context())
	if info == nil {
		return person{}
	}
	issuer, _ := info.Extra["iss"].(string)
	return person{issuer, info.UserID}
}

// naming finds a place for the session that a response opens, before its header goes out, and
// turns its host away if there is none.
type naming struct {
	http.ResponseWriter
	limiter *Limiter
	opening *opening
	read    func() int64 // how much of the request
	begun   bool
	refused bool
}

// begin is called before anything is written. It reports whether that is to be written.
func (n *naming) begin() bool {
	if n.begun {
		return !n.refused
	}
	n.begun = true
	id := n.Header().Get(sessionHeader)
	if id == "" || n.opening.name(id, n.read()) {
		return true
	}
	n.refused = true
	n.Header().Del(sessionHeader)
	busy(n.ResponseWriter, n.limiter.sessions.hasShare(n.opening.who), "sessions")
	return false
}

// Unwrap is for [http.ResponseController].
func (n *naming) Unwrap() http.ResponseWriter { return n.ResponseWriter }

// WriteHeader implements [http.ResponseWriter].
func (n *naming) WriteHeader(status int) {
	if n.begin() {
		n.ResponseWriter.WriteHeader(status)
	}
}

// Write implements [io.Writer].
func (n *naming) Write(p []byte) (int, error) {
	if !n.begin() {
		return len(p), nil
	}
	return n.ResponseWriter.Write(p)
}

// Flush implements [http.Flusher].
func (n *naming) Flush() {
	if n.begin() {
		_ = http.NewResponseController(n.ResponseWriter).Flush()
	}
}
