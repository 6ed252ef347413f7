package refhost

import (
	"bufio"
	"context"
	"io"
	"sync"
)

// A stdioLink is the connection to a server process.
type stdioLink struct {
	conn  io.ReadWriteCloser
	noisy bool // a fault
	kills bool // likewise
	twice bool // likewise
	write sync.Mutex
	ended chan struct{} // closed when the server is gone

	mu    sync.Mutex
	lost  map[int]func(error)
	count int
}

// maxLine is more than any message here.
const maxLine = 4 << 20

func newStdioLink(conn io.ReadWriteCloser, receive func([]byte), noisy bool) *stdioLink {
	l := &stdioLink{conn: conn, noisy: noisy, ended: make(chan struct{}), lost: make(map[int]func(error))}
	go func() {
		in := bufio.NewScanner(conn)
		in.Buffer(nil, maxLine)
		for in.Scan() {
			receive(append([]byte(nil), in.Bytes()...))
		}
		close(l.ended)
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, f := range l.lost {
			f(errDead)
		}
		l.lost = nil
	}()
	return l
}

func (l *stdioLink) send(ctx context.Context, raw []byte, _ head, ended func(error)) {
	l.mu.Lock()
	if l.lost == nil {
		l.mu.Unlock()
		ended(errDead)
		return
	}
	l.count++
	n := l.count
	l.lost[n] = ended
	l.mu.Unlock()
	context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.lost, n)
	})
	err := l.post(ctx, raw)
	if l.twice && err == nil {
		err = l.post(ctx, raw)
	}
	if err != nil {
		ended(err)
	}
}

func (l *stdioLink) post(_ context.Context, raw []byte) error {
	l.write.Lock()
	defer l.write.Unlock()
	if l.noisy {
		raw = append([]byte("INFO writing a message\n"), raw...)
	}
	_, err := l.conn.Write(append(raw, '\n'))
	return err
}

func (l *stdioLink) close() {
	if killed, ok := l.conn.(interface{ Kill() error }); ok && l.kills {
		_ = killed.Kill()
		<-l.ended
	}
	_ = l.conn.Close() // how the server ended is in the suite's record
	<-l.ended
}

func (l *stdioLink) dead() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}
