package wire

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"
)

// stubWelcome is the answer to a stub, after which the connection carries the
// bytes of standard input and output.
const stubWelcome = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: hostcheck-stub\r\n\r\n"

// connecting is how long a stub may take to reach the suite, on this machine, and how
// long the suite may take to say so.
const connecting = 30 * time.Second

// Stub is the stdio server that a host launches: it connects back to the suite
// at the control URL, which must be a loopback one, and relays bytes both ways
// until either side ends. It may leave a read of stdin behind, which ends with the process. A server that
// is to die makes it return an error.
func Stub(ctx context.Context, control string, stdin io.Reader, stdout io.Writer) error {
	conn, in, err := Connect(ctx, control, (&net.Dialer{Timeout: connecting}).DialContext)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	ended := make(chan struct{}) // by the host: closed before the server can know
	go func() {
		if _, err := io.Copy(conn, stdin); err == nil {
			close(ended)
		}
		_, _ = io.WriteString(conn, endOfInput)
		// The host is done; what the server still says may yet be read.
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	}()
	_, err = io.Copy(stdout, in)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case <-ended:
		return nil // the host went first
	default:
	}
	if err == nil {
		err = errors.New("hostcheck: the server ended")
	}
	return err
}

// Finish closes the connection of a stub whose standard input was closed.
func Finish(conn net.Conn) error {
	_, _ = io.WriteString(conn, endOfInput) // to a server that died it cannot be said
	return conn.Close()
}

// Connect opens the connection of a stub.
func Connect(ctx context.Context, control string, dial func(context.Context, string, string) (net.Conn, error)) (net.Conn, *bufio.Reader, error) {
	u, err := url.Parse(control)
	if err != nil || u.Scheme != "http" || !isLoopback(u.Hostname()) || strings.ContainsAny(u.Path, "\r\n ") {
		return nil, nil, errors.New("hostcheck: the control URL must be http on a loopback address")
	}
	conn, err := dial(ctx, "tcp", u.Host)
	if err != nil {
		return nil, nil, fmt.Errorf("hostcheck: %w", err)
	}
	_ = conn.SetDeadline(time.Now().Add(connecting))
	if _, err := fmt.Fprintf(conn, "POST %s/stub HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: hostcheck-stub\r\nContent-Length: 0\r\n\r\n",
		u.EscapedPath(), u.Host); err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("hostcheck: %w", err)
	}
	in := bufio.NewReader(conn)
	welcome := make([]byte, len(stubWelcome))
	if _, err := io.ReadFull(in, welcome); err != nil || string(welcome) != stubWelcome {
		conn.Close()
		return nil, nil, errors.New("hostcheck: nobody expects a server at the control URL; is the scenario over?")
	}
	_ = conn.SetDeadline(time.Time{})
	return conn, in, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
