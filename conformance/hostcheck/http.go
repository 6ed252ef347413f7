package hostcheck

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
	"time"
)

// An exchange is one HTTP request of the host and its response: a JSON object,
// or an event stream as soon as there is more to say or it takes long.
type exchange struct {
	v      *venue
	st     *stage
	n      int
	modern bool
	hungUp <-chan struct{}
	over   <-chan struct{} // when the server ends it; nil for not before it closes
	done   chan struct{}   // closed by last

	mu       sync.Mutex
	w        http.ResponseWriter
	header   http.Header // to be set on the response
	streams  bool
	finished bool
	broken   bool // drop the connection instead of ending the response
}

// patience is how long a response may stay without its header.
const patience = 150 * time.Millisecond

// serveHTTP is the streamable HTTP transport.
func (v *venue) serveHTTP(w http.ResponseWriter, r *http.Request) {
	st := v.stage.Load()
	if st == nil || st.transport != HTTP {
		http.NotFound(w, r)
		return
	}
	switch r.Method {
	case http.MethodPost:
		v.post(st, w, r)
	case http.MethodGet:
		v.get(st, w, r)
	case http.MethodDelete:
		st.note(0, "the host ends its session")
		w.WriteHeader(http.StatusNoContent)
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func (v *venue) exchange(st *stage, w http.ResponseWriter, r *http.Request) *exchange {
	return &exchange{
		v: v, st: st, n: st.connection(), modern: st.protocol == Modern, w: w, header: make(http.Header),
		hungUp: r.Context().Done(), over: st.ctx.Done(), done: make(chan struct{}),
	}
}

func (v *venue) post(st *stage, w http.ResponseWriter, r *http.Request) {
	x := v.exchange(st, w, r)
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMessage))
	if err != nil {
		if st.ctx.Err() == nil && r.Context().Err() == nil {
			st.flood()
		}
		http.Error(w, "too long", http.StatusRequestEntityTooLarge)
		return
	}
	l := st.received(x.n, bytes.TrimSpace(raw), r.Header)
	if l == nil {
		st.flood()
		http.Error(w, "too much", http.StatusTooManyRequests)
		return
	}
	st.checkPost(l)
	s := v.session(st, x, l)
	if s == nil {
		http.Error(w, "no such session", http.StatusNotFound)
		return
	}
	if l.kind != request {
		st.hear(l, x, s)
		status := http.StatusAccepted
		if l.kind == garbage {
			status = http.StatusBadRequest
		}
		w.WriteHeader(status)
		return
	}
	st.hear(l, x, s)
	x.run()
}

// session finds the session of a request of the older era, or makes one for
// initialize. Nil means that the host made it up.
func (v *venue) session(st *stage, x *exchange, l *line) *session {
	if st.protocol == Modern {
		return &session{}
	}
	v.guard.Lock()
	defer v.guard.Unlock()
	id := l.header.Get("Mcp-Session-Id")
	if l.Method == "initialize" {
		s := &session{id: rand.Text()}
		v.sessions[s.id] = s
		x.header.Set("Mcp-Session-Id", s.id)
		return s
	}
	if id == "" {
		return &session{} // it speaks, but was never initialized
	}
	return v.sessions[id]
}

// run waits until the response is complete or the host hangs up.
func (x *exchange) run() {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for waiting := true; waiting; {
		select {
		case <-x.done:
			waiting = false
		case <-x.hungUp:
			if x.st.ctx.Err() == nil {
				x.st.note(x.n, "the host closed the connection of this request")
			}
			x.st.dropped(x)
			waiting = false
		case <-x.over:
			waiting = false
		case <-timer.C:
			x.mu.Lock()
			x.stream()
			x.mu.Unlock()
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.finished = true
	if x.broken {
		panic(http.ErrAbortHandler)
	}
}

// stream begins an event stream. The caller holds mu.
func (x *exchange) stream() {
	if x.streams || x.finished {
		return
	}
	x.streams = true
	x.prepare("text/event-stream")
	x.w.Header().Set("X-Accel-Buffering", "no")
	x.w.WriteHeader(http.StatusOK)
	x.flush()
}

func (x *exchange) prepare(contentType string) {
	maps.Copy(x.w.Header(), x.header)
	x.w.Header().Set("Content-Type", contentType)
	x.w.Header().Set("Cache-Control", "no-store")
}

func (x *exchange) flush() {
	rc := http.NewResponseController(x.w)
	_ = rc.SetWriteDeadline(time.Now().Add(writeTimeout))
	_ = rc.Flush() // who does not read finds out by itself
	_ = rc.SetWriteDeadline(time.Time{})
}

func (x *exchange) send(raw json.RawMessage) error {
	x.v.stage.Load().sent(x.n, raw)
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.isGone() {
		return errGone
	}
	var m struct {
		Method string    `json:"method"`
		Error  *rpcError `json:"error"`
	}
	_ = json.Unmarshal(raw, &m)
	if m.Method == "" && !x.streams {
		x.prepare("application/json")
		x.w.WriteHeader(x.status(m.Error))
		x.w.Write(raw)
		x.finished = true
		return nil
	}
	x.stream()
	return x.event(fmt.Sprintf("event: message\ndata: %s\n\n", raw))
}

// status is what goes with an error before the stream began.
func (x *exchange) status(err *rpcError) int {
	switch {
	case err == nil:
		return http.StatusOK
	case x.modern && err.Code == -32601:
		return http.StatusNotFound
	case x.modern && err.Code == -32022, !x.modern && err.Message == notInitialized:
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// raw writes into the event stream what is no message.
func (x *exchange) raw(text string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.isGone() {
		return errGone
	}
	x.stream()
	return x.event(text)
}

func (x *exchange) event(text string) error {
	if _, err := io.WriteString(x.w, text); err != nil {
		return errGone
	}
	x.flush()
	return nil
}

func (x *exchange) isGone() bool {
	select {
	case <-x.hungUp:
		return true
	default:
		return x.finished
	}
}

func (x *exchange) last() {
	select {
	case <-x.done:
	default:
		close(x.done)
	}
}

// drop ends the response as a broken connection does.
func (x *exchange) drop() {
	x.st.note(x.n, "the connection breaks before the response")
	x.mu.Lock()
	x.stream()
	x.broken = true
	x.mu.Unlock()
	x.last()
}

func (x *exchange) gone() <-chan struct{} { return x.hungUp }

// get is the stream of the older era that belongs to no request, or goes on
// with one whose connection ended.
func (v *venue) get(st *stage, w http.ResponseWriter, r *http.Request) {
	if st.protocol == Modern {
		st.note(0, "the host asks for a stream that this protocol does not have")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	x := v.exchange(st, w, r)
	id := r.Header.Get("Last-Event-ID")
	if id != "" {
		event := st.note(x.n, "the host reconnects after event "+excerpt([]byte(id), 64))
		st.guard.Lock()
		ch := st.resumed[id]
		delete(st.resumed, id)
		st.guard.Unlock()
		if ch == nil {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		ch <- reconnect{x, event, st.now()} // has room
	} else {
		st.note(x.n, "the host opens a stream for notifications")
		x.over = nil
		st.guard.Lock()
		st.streams = append(st.streams, x)
		st.guard.Unlock()
	}
	x.mu.Lock()
	x.stream()
	x.mu.Unlock()
	x.run()
}

// A reconnect is the host's next attempt at a stream that ended early.
type reconnect struct {
	x     *exchange
	event int
	at    time.Duration
}

// suspend ends the connection of a request but not its stream. The channel gets
// the host's next attempt.
func (x *exchange) suspend(id string, retry time.Duration) <-chan reconnect {
	ch := make(chan reconnect, 1)
	x.st.guard.Lock()
	x.st.resumed[id] = ch
	x.st.guard.Unlock()
	_ = x.raw(fmt.Sprintf("id: %s\nretry: %d\ndata:\n\n", id, retry.Milliseconds()))
	x.st.note(x.n, fmt.Sprintf("the server closes the connection before the response, and asks to come back in %v", retry))
	x.last()
	return ch
}
