package httplimit

import (
	"net"
	"sync"
)

// Listener returns a listener whose connections are bounded, in all and, unless [Limits].Address
// says that callers are told apart otherwise, of an address. Further ones are closed at once. What
// a connection costs that waits for its next request no handler can bound.
func (l *Limiter) Listener(inner net.Listener) net.Listener { return &listener{inner, l} }

type listener struct {
	net.Listener
	limiter *Limiter
}

// Accept implements [net.Listener].
func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		address := ""
		if !l.limiter.proxied {
			address = addressOf(conn.RemoteAddr().String())
		}
		if l.limiter.connections.Take(address) {
			return &connection{Conn: conn, close: sync.OnceFunc(func() { l.limiter.connections.Give(address) })}, nil
		}
		_ = conn.Close()
	}
}

type connection struct {
	net.Conn
	close func()
}

// Close implements [net.Conn].
func (c *connection) Close() error {
	defer c.close()
	return c.Conn.Close()
}
