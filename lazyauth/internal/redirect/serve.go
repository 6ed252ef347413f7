package redirect

import (
	"context"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/webpage"
	"io"
	"log"
	"net"
	"net/http"
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
	case r.ContentLength != 0, !webpage.IsNavigation(r.Header, "http://"+r.Host):
		a.show(w, nothing, http.StatusForbidden)
	case isStart && authcode.Same(nonce, a.nonce):
		a.start(w, r)
	case path == a.flow.target.path:
		a.callback(w, r)
	case path == donePath:
		a.done(w, r)
	default:
		a.show(w, nothing, http.StatusNotFound)
	}
}

func (a *Authorization) setCookie(w http.ResponseWriter, name, value, path string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // there is no https on loopback, and so no Secure
		Name: name, Value: value, Path: path, MaxAge: int(life.Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// send sends the browser on.
func (a *Authorization) send(w http.ResponseWriter, address string) {
	webpage.Dress(w.Header(), policy)
	w.Header().Set("Location", address)
	w.WriteHeader(http.StatusSeeOther)
}
