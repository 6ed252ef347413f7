package wire

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// A Network is where a scenario listens: on loopback, or in memory.
type Network interface {
	// Listen opens a port of the machine's own.
	Listen() (net.Listener, error)
	// Dial connects to one.
	Dial(ctx context.Context, network, address string) (net.Conn, error)
}

// Loopback is the machine itself.
type Loopback struct{}

// Listen implements [Network].
func (Loopback) Listen() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }

// Dial implements [Network].
func (Loopback) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

// Memory is a network inside this process. Its connections are pipes, which
// work in a testing/synctest bubble.
type Memory struct {
	mu        sync.Mutex
	listeners map[string]*memoryListener
	next      int
}

// Listen implements [Network].
func (m *Memory) Listen() (net.Listener, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.next++
	l := &memoryListener{
		net: m, conns: make(chan net.Conn), closed: make(chan struct{}),
		at: memoryAddr(fmt.Sprintf("127.0.0.1:%d", 40000+m.next)),
	}
	if m.listeners == nil {
		m.listeners = make(map[string]*memoryListener)
	}
	m.listeners[string(l.at)] = l
	return l, nil
}

// Dial implements [Network].
func (m *Memory) Dial(ctx context.Context, _, address string) (net.Conn, error) {
	m.mu.Lock()
	l := m.listeners[address]
	m.mu.Unlock()
	if l == nil {
		return nil, &net.OpError{Op: "dial", Net: "memory", Err: net.UnknownNetworkError(address)}
	}
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "dial", Net: "memory", Err: net.ErrClosed}
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

type memoryListener struct {
	net    *Memory
	at     memoryAddr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.net.mu.Lock()
		delete(l.net.listeners, string(l.at))
		l.net.mu.Unlock()
	})
	return nil
}

func (l *memoryListener) Addr() net.Addr { return l.at }

type memoryAddr string

func (memoryAddr) Network() string  { return "memory" }
func (a memoryAddr) String() string { return string(a) }
