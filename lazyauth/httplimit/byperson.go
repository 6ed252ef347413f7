package httplimit

import (
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// sessionHeader names a session (MCP 2025-11-25 basic/transports, "Session Management").
const sessionHeader = "Mcp-Session-Id"

// ByPerson returns a handler that stands behind the check of bearer tokens
// (auth.RequireBearerToken): it bounds the requests in progress of one person. In front of a
// handler that keeps sessions, server is whose sessions these are: they are bounded, and so is
// what opens one. A nil server keeps none, as one of revision 2026-07-28.
//
// Whose request it is tell issuer and subject of the verified token, as lazyauth takes them;
// requests without one are all one person's.
func (l *Limiter) ByPerson(server *mcp.Server, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := personOf(r)
		if !l.people.Take(who) {
			busy(w, l.people.Taken() >= l.limits.Requests, "requests")
			return
		}
		defer l.people.Give(who)
		if server == nil {
			next.ServeHTTP(w, r)
			return
		}
		id := r.Header.Get(sessionHeader)
		if id != "" {
			defer l.sessions.use(id)()
			next.ServeHTTP(w, r)
			return
		}
		if r.Body != nil {
			r.Body = http.MaxBytesReader(w, r.Body, l.limits.OpeningBytes)
		}
		opening, ok := l.sessions.open(server, who)
		if !ok {
			busy(w, !l.sessions.hasShare(who), "sessions")
			return
		}
		named := &naming{ResponseWriter: w, opening: opening}
		defer opening.end()
		next.ServeHTTP(named, r)
	})
}

func personOf(r *http.Request) person {
	info := auth.TokenInfoFromContext(r.Context())
	if info == nil {
		return person{}
	}
	issuer, _ := info.Extra["iss"].(string)
	return person{issuer, info.UserID}
}

// naming tells which session a response opens, before its header goes out.
type naming struct {
	http.ResponseWriter
	opening *opening
}

// Unwrap is for [http.ResponseController].
func (n *naming) Unwrap() http.ResponseWriter { return n.ResponseWriter }

// WriteHeader implements [http.ResponseWriter].
func (n *naming) WriteHeader(status int) {
	n.opening.name(n.Header().Get(sessionHeader))
	n.ResponseWriter.WriteHeader(status)
}

// Write implements [io.Writer].
func (n *naming) Write(p []byte) (int, error) {
	n.opening.name(n.Header().Get(sessionHeader))
	return n.ResponseWriter.Write(p)
}

// Flush implements [http.Flusher].
func (n *naming) Flush() {
	n.opening.name(n.Header().Get(sessionHeader))
	_ = http.NewResponseController(n.ResponseWriter).Flush()
}
