package demo

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// codeLifetime is how long the person has. It is how long lazyauth's links live, too.
const codeLifetime = 10 * time.Minute

// An AuthorizationServer is a fakeas, with its device page and notes API, that
// listens on a free port of the loopback interface.
type AuthorizationServer struct {
	*fakeas.Server
	Address string // host and port

	http  http.Server
	ended chan struct{}
}

// startAuthorizationServer starts it. The caller must call close.
func startAuthorizationServer(ctx context.Context) (*AuthorizationServer, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the authorization server: %w", err)
	}
	as := &AuthorizationServer{Address: listener.Addr().String(), ended: make(chan struct{})}
	as.Server = fakeas.New(&fakeas.Options{
		Issuer:       "http://" + as.Address,
		Interval:     time.Second, // the default of 5 s is kinder to servers, and slower to watch
		CodeLifetime: codeLifetime,
	})
	as.http.Handler = as.Server
	as.http.ReadHeaderTimeout = 10 * time.Second
	go func() {
		defer close(as.ended)
		_ = as.http.Serve(listener) // ends with close
	}()
	return as, nil
}

func (as *AuthorizationServer) close() {
	_ = as.http.Close()
	<-as.ended
}
