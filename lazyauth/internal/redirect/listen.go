package redirect

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
)

// A PortError says that the port which a browser has to come back to cannot be listened
// on. It is an oauth.ErrUnavailable: the port may be free later. Another one is never taken
// in its place, since the server would refuse it, or somebody else may listen there.
type PortError struct {
	Address string // 127.0.0.1:8085
	Ours    bool   // another sign-in of this program has it
	cause   error
}

func (e *PortError) Error() string {
	if e.Ours {
		return "redirect: " + e.Address + " is in use by another sign-in of this program"
	}
	return "redirect: cannot listen on " + e.Address + ", to which the browser has to come back: " + e.cause.Error()
}

// Unwrap returns oauth.ErrUnavailable and the error of the system.
func (e *PortError) Unwrap() []error { return []error{oauth.ErrUnavailable, e.cause} }

var errOurs = errors.New("in use by another sign-in")

// mostTries is how often a free port is looked for that is free in both families.
const mostTries = 10

// listen listens for t: on one address, or on that of each family of localhost at one port.
func listen(ctx context.Context, t target, open func(ctx context.Context, network, address string) (net.Listener, error)) ([]net.Listener, int, error) {
	if open == nil {
		open = listenExclusively
	}
	for try := 1; ; try++ {
		listeners, port, err := listenOnce(ctx, t, open)
		if err == nil || t.port != 0 || len(t.addresses()) == 1 || try == mostTries || ctx.Err() != nil {
			return listeners, port, err
		}
	}
}

func listenOnce(ctx context.Context, t target, open func(ctx context.Context, network, address string) (net.Listener, error)) ([]net.Listener, int, error) {
	var listeners []net.Listener
	fail := func(err error) ([]net.Listener, int, error) {
		closeAll(listeners)
		return nil, 0, err
	}
	port := t.port
	for _, ip := range t.addresses() {
		address := net.JoinHostPort(ip, strconv.Itoa(port))
		l, err := open(ctx, "tcp", address)
		if err != nil {
			return fail(&PortError{Address: address, cause: err})
		}
		listeners = append(listeners, l)
		got, err := portOf(l)
		switch {
		case err != nil:
			return fail(err)
		case port != 0 && got != port:
			return fail(fmt.Errorf("redirect: asked for %s, and got port %d", address, got))
		}
		port = got
	}
	return listeners, port, nil
}

// closeAll closes listeners that nobody has been served by: there is nothing to be lost.
func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		_ = l.Close() // it fails if it is closed
	}
}
