package redis

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// connections are those that there are, so that those to a server that has become a replica can be left: the name
// in the URL may lead to its successor by now, and the server ends none of them.
type connections struct {
	mu   sync.Mutex
	open map[*connection]struct{}
	left time.Time // when they were left, the last time
}

// A connection is remembered until it is closed.
type connection struct {
	net.Conn
	of *connections
}

func (c *connection) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// dial is what the client connects by.
func (c *connections) dial(ctx context.Context, addr string, dialer *net.Dialer, config *tls.Config) (net.Conn, error) {
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err == nil && config != nil {
		conn, err = encrypted(ctx, conn, dialer.Timeout, config)
	}
	if err != nil {
		return nil, err
	}
	remembered := &connection{conn, c}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = make(map[*connection]struct{})
	}
	c.open[remembered] = struct{}{}
	return remembered, nil
}

// encrypted waits for TLS on conn, which it closes if there is none.
func encrypted(ctx context.Context, conn net.Conn, timeout time.Duration, config *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	over := tls.Client(conn, config)
	if err := over.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // the first error is the one that counts
		return nil, err
	}
	return over, nil
}

// leaveEvery is how often connections are left at most, where the successor is read-only, too.
const leaveEvery = time.Second

// leave ends all connections, whose commands then fail as they would have. It reports false if it has done so just now.
func (c *connections) leave() bool {
	c.mu.Lock()
	if time.Since(c.left) < leaveEvery {
		c.mu.Unlock()
		return false
	}
	c.left = time.Now()
	var all []*connection
	for conn := range c.open {
		all = append(all, conn)
	}
	c.mu.Unlock()
	for _, conn := range all {
		_ = conn.Close() // the client finds out, and connects again
	}
	return true
}
