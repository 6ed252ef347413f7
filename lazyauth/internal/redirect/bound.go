package redirect

import (
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// mostConnections is how many connections a listener has at a time.
	mostConnections = 32

	// restTime is how long a connection is left alone where others want in. A browser sends its
	// request at once; what is here for longer, and waits for nothing, makes room. So all that can be
	// pending on a listener (4,096 on Linux) keep the person's browser out for seconds, and not for minutes.
	restTime = 50 * time.Millisecond

	// mostLeaving is how many more there may be that have been closed here, and that the server has not
	// done with: it takes half a second with some.
	mostLeaving = 512
)

// bounded is a listener with a bound on its connections. When there are as many as there may be, the
// one that was accepted first makes room for the next one, unless it waits for this program ([keep]). It is not
// asked which one has been silent: to send a byte from time to time costs nothing.
type bounded struct {
	net.Listener
	closed chan struct{}
	close  sync.Once
	change chan struct{} // has one token when there may be room

	mu      sync.Mutex
	conns   []*boundedConn // those that count, in the order in which they came
	leaving int            // those that do not any more
}

func bound(l net.Listener) *bounded {
	return &bounded{Listener: l, closed: make(chan struct{}), change: make(chan struct{}, 1)}
}

// Accept returns the next connection once there is room for it. The server calls it on one
// goroutine.
func (b *bounded) Accept() (net.Conn, error) {
	conn, err := b.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &boundedConn{Conn: conn, of: b, since: time.Now()}
	for {
		wait := b.admit(c)
		if wait == 0 {
			return c, nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-b.change:
		case <-b.closed:
			timer.Stop()
			_ = conn.Close() // nobody has been served by it
			return nil, net.ErrClosed
		}
		timer.Stop()
	}
}

// admit counts c if there is room, and makes room if there is none. It returns after how long it is to be
// tried again; 0 if c was let in.
func (b *bounded) admit(c *boundedConn) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.conns) >= mostConnections {
		i := slices.IndexFunc(b.conns, func(c *boundedConn) bool { return c.kept == 0 })
		if i < 0 || b.leaving >= mostLeaving {
			return headerTime // or as soon as something changes
		}
		oldest := b.conns[i]
		if rest := restTime - time.Since(oldest.since); rest > 0 {
			return rest
		}
		b.conns = slices.Delete(b.conns, i, i+1)
		b.leaving++
		_ = oldest.Conn.Close() // what is left of it ends by the error that this makes
	}
	c.since = time.Now()
	b.conns = append(b.conns, c)
	return 0
}

// changed has Accept look again.
func (b *bounded) changed() {
	select {
	case b.change <- struct{}{}:
	default:
	}
}

// Close implements [net.Listener].
func (b *bounded) Close() error {
	b.close.Do(func() { close(b.closed) })
	return b.Listener.Close()
}

// A boundedConn is a connection of a bounded listener.
type boundedConn struct {
	net.Conn
	of *bounded

	// Guarded by of.mu.
	since time.Time // when it was let in
	kept  int       // how many wait for this program
	over  bool
}

// Close implements [net.Conn]. The server calls it once it has done with the connection.
func (c *boundedConn) Close() error {
	err := c.Conn.Close()
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.over {
		return err
	}
	c.over = true
	if i := slices.Index(c.of.conns, c); i >= 0 {
		c.of.conns = slices.Delete(c.of.conns, i, i+1)
	} else {
		c.of.leaving--
	}
	c.of.changed()
	return err
}

func (c *boundedConn) keep(n int) {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.kept += n
	c.of.changed()
}

type connKey struct{}

// withConn has [keep] find the connection of a request.
func withConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// keep keeps the connection of a request, which has shown that it is of this sign-in and waits for this
// program, from making room until leave is called.
func keep(r *http.Request) (leave func()) {
	c, ok := r.Context().Value(connKey{}).(*boundedConn)
	if !ok {
		return func() {}
	}
	c.keep(1)
	return func() { c.keep(-1) }
}
