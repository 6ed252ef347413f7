package engines

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// A Port is one of 127.0.0.1 that is kept for who is to listen there by TCP, also between one process that does and
// the next. It is made by [NewPort], and kept until Close, or until the process that made it ends.
type Port struct {
	number int
	kept   net.PacketConn // the same number of UDP, which nobody uses
}

const (
	// Below what systems give to who asks for any port, or connects: 32768 on Linux, 49152 elsewhere.
	// Source: net.ipv4.ip_local_port_range in Linux' Documentation/networking/ip-sysctl.rst; RFC 6335, section 6.
	firstPort, lastPort = 10_000, 32_767
	portTries           = 1000
)

// NewPort returns one that nobody listens on, and that neither the system nor another NewPort, of any process, gives away
// while it is kept.
func NewPort() (*Port, error) {
	var listening net.ListenConfig
	ctx := context.Background() // it blocks for nothing
	var failed error
	for range portTries {
		p := &Port{number: firstPort + rand.IntN(lastPort-firstPort+1)} //nolint:gosec // no secret
		if p.kept, failed = listening.ListenPacket(ctx, "udp4", p.Addr()); failed != nil {
			continue
		}
		listener, err := listening.Listen(ctx, "tcp4", p.Addr())
		if err == nil {
			return p, listener.Close()
		}
		failed = errors.Join(err, p.kept.Close())
	}
	return nil, failed
}

// Addr is where to listen.
func (p *Port) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.number)) }

// Number is the port's.
func (p *Port) Number() int { return p.number }

// Close gives it up.
func (p *Port) Close() error { return p.kept.Close() }
