package redirect

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	headerTime = 5 * time.Second  // until a request's head is there
	readTime   = 10 * time.Second // until it is there as a whole
	writeTime  = 45 * time.Second // until it is answered

	// maxHeader bounds a request's head. A browser sends the cookies of all that was ever
	// visited on this machine's loopback.
	maxHeader = 64 << 10
)

// newServer returns a server that has one request of each connection: there are only so many
// ([mostConnections]), and kept alive, those of anybody else would take turns with the person's browser.
func newServer(ctx context.Context, a *Authorization) *http.Server {
	server := &http.Server{
		Handler:                      a,
		ReadHeaderTimeout:            headerTime,
		ReadTimeout:                  readTime,
		WriteTimeout:                 writeTime,
		MaxHeaderBytes:               maxHeader,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     log.New(io.Discard, "", 0), // it quotes what anybody sends
		BaseContext:                  func(net.Listener) context.Context { return ctx },
		ConnContext:                  withConn,
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew: // on the goroutine of Serve, which is waited for, too
				a.served.Add(1)
			case http.StateClosed:
				a.served.Done()
			}
		},
	}
	server.SetKeepAlivesEnabled(false)
	return server
}

// ServeHTTP answers the callback, the start page and the last page. Everything else is refused
// without an effect: other methods, names of this machine that are not the redirect URI's, and
// what a page loads or sends, rather than a person's browser shows.
func (a *Authorization) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	nonce, isStart := strings.CutPrefix(path, startPrefix)
	switch {
	case !isHost(r.Host, a.flow.target.host, a.port):
		a.show(w, nothing, http.StatusMisdirectedRequest)
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		a.show(w, nothing, http.StatusMethodNotAllowed)
	case r.ContentLength != 0, !isNavigation(r.Header, "http://"+r.Host):
		a.show(w, nothing, http.StatusForbidden)
	case isStart && same(nonce, a.nonce):
		a.start(w, r)
	case path == a.flow.target.path:
		a.callback(w, r)
	case path == donePath:
		a.done(w, r)
	default:
		a.show(w, nothing, http.StatusNotFound)
	}
}

// aheadOfTime are the headers of what browsers load before anybody asks for it: those of Fetch
// Metadata, Chrome and Firefox before that, and Safari.
var aheadOfTime = []string{"Sec-Purpose", "Purpose", "X-Moz", "X-Purpose"}

// isNavigation reports whether a browser loads the address in a window of its own, as far as it
// says (Fetch Metadata, RFC 6454 §7): not as part of a page, not in a frame, not ahead of time.
func isNavigation(h http.Header, own string) bool {
	only := func(name, value string) bool {
		list := h.Values(name)
		return len(list) == 0 || len(list) == 1 && strings.EqualFold(list[0], value)
	}
	return only("Origin", own) && only("Sec-Fetch-Mode", "navigate") && only("Sec-Fetch-Dest", "document") &&
		!slices.ContainsFunc(aheadOfTime, func(name string) bool { return len(h.Values(name)) > 0 })
}

func (a *Authorization) setCookie(w http.ResponseWriter, name, value, path string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // there is no https on loopback, and so no Secure
		Name: name, Value: value, Path: path, MaxAge: int(life.Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// send sends the browser on.
func (a *Authorization) send(w http.ResponseWriter, address string) {
	dress(w.Header())
	w.Header().Set("Location", address)
	w.WriteHeader(http.StatusSeeOther)
}
