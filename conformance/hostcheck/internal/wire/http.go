package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
	"time"
)

// An Exchange is one HTTP request of the host and its response: a JSON object,
// or an event stream as soon as there is more to say or it takes long.
type Exchange struct {
	endpoints    *Endpoints
	conversation *Conversation
	n            int
	session      string // of the request, in the older era
	asked        bool   // it is a request of the host, and no stream that it opened
	hungUp       <-chan struct{}
	over         <-chan struct{} // when the server ends it; nil for not before it closes
	done         chan struct{}   // closed by last

	mu       sync.Mutex
	w        http.ResponseWriter
	header   http.Header // to be set on the response
	streams  bool
	finished bool
	broken   bool // drop the connection instead of ending the response
}

// patience is how long a response may stay without its header.
const patience = 150 * time.Millisecond

// NotInitialized is the message of the error for a request of the older era before
// its session has begun. Its HTTP status is 400.
const NotInitialized = "this server has not been initialized"

// serveHTTP is the streamable HTTP transport.
func (e *Endpoints) serveHTTP(w http.ResponseWriter, r *http.Request) {
	c := e.now.Load()
	if c == nil || !c.http {
		http.NotFound(w, r)
		return
	}
	switch r.Method {
	case http.MethodPost:
		e.post(c, w, r)
	case http.MethodGet:
		e.get(c, w, r)
	case http.MethodDelete:
		e.end(c, w, r)
	default:
		n := c.connection()
		c.requested(n, e.request(r), "")
		c.refuse(n, r.Method, http.StatusMethodNotAllowed)
		c.status(n, w, http.StatusMethodNotAllowed)
	}
}

// status answers a request with a status alone.
func (c *Conversation) status(n int, w http.ResponseWriter, status int) {
	w.WriteHeader(status)
	c.responded(n, response(status, w.Header()))
}

func (e *Endpoints) exchange(c *Conversation, w http.ResponseWriter, r *http.Request) *Exchange {
	return &Exchange{
		endpoints: e, conversation: c, n: c.connection(), w: w, header: make(http.Header),
		hungUp: r.Context().Done(), over: c.ctx.Done(), done: make(chan struct{}),
	}
}

func (e *Endpoints) post(c *Conversation, w http.ResponseWriter, r *http.Request) {
	x := e.exchange(c, w, r)
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMessage))
	if err != nil {
		c.requested(x.n, e.request(r), "the body is too long, or broke off")
		if c.ctx.Err() == nil && r.Context().Err() == nil {
			c.flood()
		}
		http.Error(w, "too long", http.StatusRequestEntityTooLarge)
		return
	}
	x.asked = true
	l := c.Received(x.n, bytes.TrimSpace(raw), r.Header)
	if l == nil {
		c.flood()
		http.Error(w, "too much", http.StatusTooManyRequests)
		return
	}
	c.wrap(l.Event, e.request(r))
	c.Posted(l)
	p := e.peer(c, x, l)
	if p == nil {
		c.inNoSession(l)
		http.Error(w, "no such session", http.StatusNotFound)
		c.responded(x.n, response(http.StatusNotFound, w.Header()))
		return
	}
	if l.Kind != Request {
		c.Hear(l, x, p)
		status := http.StatusAccepted
		if l.Kind == Garbage {
			status = http.StatusBadRequest
		}
		c.status(x.n, w, status)
		return
	}
	c.Hear(l, x, p)
	x.run()
}

// run waits until the response is complete or the host hangs up.
func (x *Exchange) run() {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for waiting := true; waiting; {
		select {
		case <-x.done:
			waiting = false
		case <-x.hungUp:
			if x.conversation.ctx.Err() == nil {
				x.conversation.Note(x.n, HungUp)
			}
			x.conversation.Dropped(x)
			waiting = false
		case <-x.over:
			waiting = false
		case <-timer.C:
			if x.conversation.Answers == InJSON && x.asked {
				continue
			}
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
func (x *Exchange) stream() {
	if x.streams || x.finished {
		return
	}
	x.streams = true
	x.prepare("text/event-stream")
	x.w.Header().Set("X-Accel-Buffering", "no")
	x.w.WriteHeader(http.StatusOK)
	x.endpoints.now.Load().responded(x.n, response(http.StatusOK, x.w.Header()))
	x.flush()
}

func (x *Exchange) prepare(contentType string) {
	maps.Copy(x.w.Header(), x.header)
	x.w.Header().Set("Content-Type", contentType)
	x.w.Header().Set("Cache-Control", "no-store")
}

func (x *Exchange) flush() {
	rc := http.NewResponseController(x.w)
	_ = rc.SetWriteDeadline(time.Now().Add(writeTimeout))
	_ = rc.Flush() // who does not read finds out by itself
	_ = rc.SetWriteDeadline(time.Time{})
}

// Send implements [Channel].
func (x *Exchange) Send(raw json.RawMessage) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	record := x.endpoints.now.Load()
	if x.isGone() {
		record.sent(x.n, raw, nil)
		return ErrGone
	}
	var m struct {
		Method string `json:"method"`
		Error  *Error `json:"error"`
	}
	_ = json.Unmarshal(raw, &m)
	status := x.status(m.Error)
	if m.Method == "" && !x.streams && (x.conversation.Answers != InStreams || status != http.StatusOK) {
		x.prepare("application/json")
		x.w.WriteHeader(status)
		x.w.Write(raw)
		record.sent(x.n, raw, response(status, x.w.Header()))
		x.finished = true
		return nil
	}
	x.stream()
	record.sent(x.n, raw, nil)
	return x.event(fmt.Sprintf("event: message\ndata: %s\n\n", raw))
}

// status is what goes with an error before the stream began.
func (x *Exchange) status(err *Error) int {
	switch {
	case err == nil:
		return http.StatusOK
	case x.conversation.modern && err.Code == -32601:
		return http.StatusNotFound
	case x.conversation.modern && (err.Code == -32022 || err.Code == -32020), !x.conversation.modern && err.Message == NotInitialized:
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// Raw writes into the event stream what is no message.
func (x *Exchange) Raw(text string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.isGone() {
		return ErrGone
	}
	x.stream()
	return x.event(text)
}

func (x *Exchange) event(text string) error {
	if _, err := io.WriteString(x.w, text); err != nil {
		return ErrGone
	}
	x.flush()
	return nil
}

func (x *Exchange) isGone() bool {
	select {
	case <-x.hungUp:
		return true
	default:
		return x.finished
	}
}

// Last implements [Channel].
func (x *Exchange) Last() {
	select {
	case <-x.done:
	default:
		close(x.done)
	}
}

// Drop ends the response as a broken connection does.
func (x *Exchange) Drop() {
	x.conversation.Note(x.n, "the connection breaks before the response")
	x.mu.Lock()
	x.stream()
	x.broken = true
	x.mu.Unlock()
	x.Last()
}
