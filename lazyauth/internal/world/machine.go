package world

import (
	"context"
	"net"
	"strconv"
	"sync"
	"syscall"
)

// A Machine is the loopback of the user's machine, without sockets, so that it can be in a
// synctest bubble.
type Machine struct {
	mu        sync.Mutex
	listeners map[string]*pipeListener // by address
	last      int
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

// Dial connects to a listener.
func (m *Machine) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	m.mu.Lock()
	l := m.listeners[address]
	m.mu.Unlock()
	refused := &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	if l == nil {
		return nil, refused
	}
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.closed:
		return nil, refused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

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
