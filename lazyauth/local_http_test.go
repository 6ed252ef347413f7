package lazyauth_test

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A oneLine is a listener with one connection, as that of an HTTP server over standard input and
// output would be.
type oneLine struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *oneLine) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oneLine) Close() error   { close(l.closed); return nil }
func (l *oneLine) Addr() net.Addr { return &net.UnixAddr{Name: "stdio"} }

// serveOn serves a handler on a listener, and returns a client whose connections this makes.
func serveOn(t *testing.T, listener net.Listener, handler http.Handler, dial func() (net.Conn, error)) *http.Client {
	t.Helper()
	web := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = web.Serve(listener) }()
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return dial() }}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = web.Close()
		<-ended
	})
	return &http.Client{Transport: transport}
}

// Nobody is the local user because they are near: over HTTP a caller is who the author says they are, or nobody,
// also on loopback, over a Unix socket, and over a pair of pipes; the first one like all others.
func TestLocal_HTTPIsNot(t *testing.T) {
	sockets := func(network, address string) func(*testing.T, http.Handler) *http.Client {
		return func(t *testing.T, handler http.Handler) *http.Client {
			if network == "unix" {
				address = filepath.Join(t.TempDir(), "s")
			}
			listener, err := net.Listen(network, address)
			if err != nil {
				t.Skip(err) // there is none of that kind here
			}
			return serveOn(t, listener, handler, func() (net.Conn, error) {
				return net.Dial(network, listener.Addr().String())
			})
		}
	}
	for name, serve := range map[string]func(*testing.T, http.Handler) *http.Client{
		"loopback":       sockets("tcp", "127.0.0.1:0"),
		"loopback, IPv6": sockets("tcp", "[::1]:0"),
		"a Unix socket":  sockets("unix", ""),
		"a pair of pipes": func(t *testing.T, handler http.Handler) *http.Client {
			l := &oneLine{make(chan net.Conn, 1), make(chan struct{})}
			return serveOn(t, l, handler, func() (net.Conn, error) {
				ours, theirs := net.Pipe()
				l.conns <- theirs
				return ours, nil
			})
		},
	} {
		for _, stateless := range []bool{false, true} {
			for _, options := range []struct {
				name string
				lazyauth.Options
				want lazyauth.Reason
			}{
				{"by default", lazyauth.Options{}, lazyauth.ReasonAnonymous},
				{"with a check of new grants", lazyauth.Options{VerifyUser: world.Anybody}, lazyauth.ReasonAnonymous},
				{"as the author says", lazyauth.Options{Principal: world.OnePerson}, lazyauth.ReasonPending},
				{"as anybody", lazyauth.Options{InsecureSingleUser: true}, lazyauth.ReasonPending},
			} {
				t.Run(name+"/"+map[bool]string{false: "sessions", true: "stateless"}[stateless]+"/"+options.name, func(t *testing.T) {
					options.MaxWait = time.Millisecond
					w := world.New(t, world.Setup{Options: options.Options})
					client := serve(t, mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return w.Server },
						&mcp.StreamableHTTPOptions{Stateless: stateless}))
					for range 2 {
						h := w.Connect(world.Legacy, world.Manners{}, &mcp.StreamableClientTransport{
							Endpoint: "http://127.0.0.1", HTTPClient: client, DisableStandaloneSSE: true, MaxRetries: -1,
						})
						r := <-h.Call(t.Context(), "whoami", nil)
						r.Fails(t, options.want)
						if options.want == lazyauth.ReasonAnonymous && !strings.Contains(r.Text(), "TokenInfo.UserID") {
							t.Errorf("%q does not say what to configure", r.Text())
						}
						_ = h.Session.Close()
					}
					if options.want == lazyauth.ReasonAnonymous {
						w.WantAuthorizations(0)
					}
				})
			}
		}
	}
}
