package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A Pipe is the connection of one server process: the stdio transport.
type Pipe struct {
	endpoints *Endpoints
	conn      net.Conn
	n         int
	peer      *Peer
	write     sync.Mutex // one message at a time
	died      atomic.Bool
	closed    bool // its standard input, before it ended; set when it has
	end       int  // in which event that shows
}

// endOfInput is what a stub says when its standard input was closed, after all that
// had come there. It is no message, and is not taken for one. One that is killed does
// not come to say it.
const endOfInput = "\x00hostcheck: end of input"

// Ended says whether the host closed the standard input of a process that has ended,
// and in which event that shows.
func (p *Pipe) Ended() (closed bool, event int) { return p.closed, p.end }

// read takes messages, one a line, until the host ends the connection.
func (p *Pipe) read(in *bufio.Reader) {
	defer func() { p.endpoints.now.Load().Dropped(p) }()
	for {
		raw, err := readLine(in, maxMessage)
		c := p.endpoints.now.Load()
		if errors.Is(err, errLong) {
			c.flood()
			return
		}
		if p.closed = err != nil && bytes.HasSuffix(raw, []byte(endOfInput)); p.closed {
			raw = raw[:len(raw)-len(endOfInput)]
		}
		if raw = bytes.TrimSpace(raw); len(raw) > 0 {
			l := c.Received(p.n, raw, nil)
			if l == nil {
				c.flood()
				return
			}
			if err != nil {
				c.leftUnended(p.n)
			}
			c.Hear(l, p, p.peer)
		}
		if err != nil {
			if p.end = c.Note(p.n, Closed); !p.closed {
				p.end = c.Note(p.n, "and it had ended the server before")
			}
			return
		}
	}
}

// Send implements [Channel].
func (p *Pipe) Send(raw json.RawMessage) error {
	p.endpoints.now.Load().sent(p.n, raw, nil)
	p.write.Lock()
	defer p.write.Unlock()
	_ = p.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := p.conn.Write(append(slices.Clip(raw), '\n')); err != nil {
		return ErrGone
	}
	return nil
}

// Last implements [Channel]: the connection goes on.
func (p *Pipe) Last() {}

// Die ends the server process.
func (p *Pipe) Die() {
	p.died.Store(true)
	p.endpoints.now.Load().Note(p.n, "the server dies")
	p.conn.Close()
}

// Died says whether the server ended by itself.
func (p *Pipe) Died() bool { return p.died.Load() }

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
