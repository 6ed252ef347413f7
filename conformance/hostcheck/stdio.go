package hostcheck

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"slices"
	"sync"
	"time"
)

// A pipe is the connection of one server process: the stdio transport.
type pipe struct {
	v       *venue
	conn    net.Conn
	n       int
	session *session
	hungUp  chan struct{}
	write   sync.Mutex // one message at a time
}

// read takes messages, one a line, until the host ends the connection.
func (p *pipe) read(in *bufio.Reader) {
	defer p.hangUp()
	for {
		raw, err := readLine(in, maxMessage)
		st := p.v.stage.Load()
		if errors.Is(err, errLong) {
			st.flood()
			return
		}
		if raw = bytes.TrimSpace(raw); len(raw) > 0 {
			l := st.received(p.n, raw, nil)
			if l == nil {
				st.flood()
				return
			}
			st.hear(l, p, p.session)
		}
		if err != nil {
			st.note(p.n, "the host closed the server's standard input")
			return
		}
	}
}

// hangUp marks what is in flight here as given up.
func (p *pipe) hangUp() {
	close(p.hungUp)
	p.v.stage.Load().dropped(p)
}

// dropped stops the requests whose way back is gone.
func (st *stage) dropped(back channel) {
	st.guard.Lock()
	defer st.guard.Unlock()
	for _, c := range st.requests {
		if c.back == back && !st.closed {
			c.hungUp = st.record.now()
			st.stop(c, nil)
		}
	}
}

func (p *pipe) send(raw json.RawMessage) error {
	p.v.stage.Load().sent(p.n, raw)
	return p.sendRaw(append(slices.Clip(raw), '\n'))
}

func (p *pipe) sendRaw(b []byte) error {
	p.write.Lock()
	defer p.write.Unlock()
	_ = p.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := p.conn.Write(b); err != nil {
		return errGone
	}
	return nil
}

func (p *pipe) last() {} // the connection goes on

func (p *pipe) gone() <-chan struct{} { return p.hungUp }

// die ends the server process.
func (p *pipe) die() {
	p.v.stage.Load().note(p.n, "the server dies")
	p.conn.Close()
}

var errLong = errors.New("line too long")

// readLine reads up to a newline, which may be missing at the end, and no more
// than limit bytes.
func readLine(in *bufio.Reader, limit int) ([]byte, error) {
	var out []byte
	for {
		part, err := in.ReadSlice('\n')
		if out = append(out, part...); len(out) > limit {
			return nil, errLong
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return out, err
		}
	}
}
