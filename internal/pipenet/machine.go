// Package pipenet is a network for tests, without sockets, so that it can be in a testing/synctest bubble.
package pipenet

import (
	"cmp"
	"context"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// A Machine is a loopback. The zero value is one that nobody listens on. Each connection comes from a port of its own.
type Machine struct {
	mu        sync.Mutex
	listeners map[string]*pipeListener // by address
	last      int                      // port that was chosen
	dialed    int                      // connections
	taken     map[string]bool
}

// Listen is a net.ListenConfig's Listen.
func (m *Machine) Listen(_ context.Context, network, address string) (net.Listener, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return nil, err
	}
	if port == 0 {
		m.last++
		port = 40000 + m.last
	}
	address = net.JoinHostPort(host, strconv.Itoa(port))
	if m.listeners[address] != nil || m.taken[address] {
		return nil, &net.OpError{Op: "listen", Net: network, Err: syscall.EADDRINUSE}
	}
	l := &pipeListener{machine: m, addr: net.TCPAddr{IP: net.ParseIP(host), Port: port}, conns: make(chan net.Conn), closed: make(chan struct{})}
	if m.listeners == nil {
		m.listeners = map[string]*pipeListener{}
	}
	m.listeners[address] = l
	return l, nil
}

// Take has another program listen on an address, or end that.
func (m *Machine) Take(address string, taken bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.taken == nil {
		m.taken = map[string]bool{}
	}
	m.taken[address] = taken
}

// Listening returns how many listeners there are.
func (m *Machine) Listening() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.listeners)
}

// EndListeners closes every listener, as if they had failed.
func (m *Machine) EndListeners() {
	m.mu.Lock()
	listeners := slices.Collect(maps.Values(m.listeners))
	m.mu.Unlock()
	for _, l := range listeners {
		_ = l.Close()
	}
}

// Dial connects to a listener. Localhost is whichever family has one, the newer first.
func (m *Machine) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	m.mu.Lock()
	l := m.listeners[address]
	if port, ok := strings.CutPrefix(address, "localhost:"); ok {
		l = cmp.Or(m.listeners["[::1]:"+port], m.listeners["127.0.0.1:"+port])
	}
	m.dialed++
	from := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 50000 + m.dialed}
	m.mu.Unlock()
	refused := &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	if l == nil {
		return nil, refused
	}
	here, there := net.Pipe()
	select {
	case l.conns <- accepted{there, from}:
		return here, nil
	case <-l.closed:
		return nil, refused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// accepted is a connection as its listener sees it.
type accepted struct {
	net.Conn
	from net.Addr
}

func (a accepted) RemoteAddr() net.Addr { return a.from }

type pipeListener struct {
	machine *Machine
	addr    net.TCPAddr
	conns   chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.machine.mu.Lock()
		defer l.machine.mu.Unlock()
		delete(l.machine.listeners, l.addr.String())
	})
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &l.addr }
