package engines

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// A Link leads to an address over TCP, and fails as links do. It is made by [NewLink], and closed by Close.
type Link struct {
	listener net.Listener
	ctx      context.Context // ends with Close
	stop     context.CancelFunc
	wg       sync.WaitGroup

	mu         sync.Mutex
	to         string
	mode       mode
	delay      time.Duration
	unanswered bool // nothing that comes back is passed on
	closed     bool
	open       map[net.Conn]struct{}
	dialed     int
	changed    chan struct{} // is closed when mode changes
}

type mode int

const (
	passes mode = iota
	refuses
	swallows
)

// NewLink returns a link to an address of a server.
func NewLink(to string) (*Link, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &Link{to: to, listener: listener, open: make(map[net.Conn]struct{}), changed: make(chan struct{})}
	l.ctx, l.stop = context.WithCancel(context.Background())
	l.wg.Go(l.serve)
	return l, nil
}

// Addr is where clients connect to.
func (l *Link) Addr() string { return l.listener.Addr().String() }

// Cut ends all connections, and refuses new ones, until Restore.
func (l *Link) Cut() { l.set(refuses, 0, false) }

// Drop has everything that is sent get lost, without an end of the connections, until Restore.
func (l *Link) Drop() { l.set(swallows, 0, false) }

// Unanswered passes on what clients send, and has the answers get lost, until Restore.
func (l *Link) Unanswered() { l.set(passes, 0, true) }

// Delay has everything take so much longer, each way, until Restore.
func (l *Link) Delay(by time.Duration) { l.set(passes, by, false) }

// Restore has the link work again. Connections over which something got lost are ended.
func (l *Link) Restore() { l.set(passes, 0, false) }

// To leads new connections to another address, and ends the others.
func (l *Link) To(addr string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.to = addr
	l.end()
}

// Next leads new connections to another address, and leaves the others as they are.
func (l *Link) Next(addr string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.to = addr
}

// Break ends the connections that there are, and takes new ones.
func (l *Link) Break() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end()
}

// Dialed is how many connections there were.
func (l *Link) Dialed() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dialed
}

func (l *Link) set(m mode, delay time.Duration, unanswered bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m == refuses || l.mode == swallows || l.unanswered {
		l.end()
	}
	l.mode, l.delay, l.unanswered = m, delay, unanswered
	close(l.changed)
	l.changed = make(chan struct{})
}

// end ends the connections; l.mu is held.
func (l *Link) end() {
	for conn := range l.open {
		_ = conn.Close() // the pipes remove it
	}
}

// Close ends everything.
func (l *Link) Close() error {
	l.stop()
	l.mu.Lock()
	l.closed = true
	l.end()
	l.mu.Unlock()
	err := l.listener.Close()
	l.wg.Wait()
	return err
}

func (l *Link) serve() {
	for {
		conn, err := l.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		l.wg.Go(func() { l.lead(conn) })
	}
}

// add remembers a connection, unless there may be none.
func (l *Link) add(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.mode == refuses {
		return false
	}
	l.open[conn] = struct{}{}
	return true
}

func (l *Link) remove(conn net.Conn) {
	_ = conn.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, conn)
}

func (l *Link) lead(client net.Conn) {
	defer l.remove(client)
	if !l.add(client) {
		return
	}
	l.mu.Lock()
	l.dialed++
	to := l.to
	l.mu.Unlock()
	server, err := new(net.Dialer).DialContext(l.ctx, "tcp", to)
	if err != nil {
		return
	}
	defer l.remove(server)
	if !l.add(server) {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.pipe(server, client, false)
	}()
	l.pipe(client, server, true)
	<-done
}

// pipe passes on until one side has ended, and then ends the other.
func (l *Link) pipe(from, to net.Conn, request bool) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && l.passes(request) {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// passes reports whether what was read is passed on, after the delay that there is.
func (l *Link) passes(request bool) bool {
	l.mu.Lock()
	m, delay, unanswered, changed := l.mode, l.delay, l.unanswered, l.changed
	l.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-changed:
		}
	}
	return m == passes && (request || !unanswered)
}

var _ io.Closer = (*Link)(nil)
