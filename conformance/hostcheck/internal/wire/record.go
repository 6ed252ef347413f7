package wire

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// What of a host's talk is kept. A host that says more in one scenario floods.
const (
	maxMessage = 1 << 20 // bytes of one message
	maxHeard   = 8 << 20 // bytes in all
	maxEvents  = 2000
	maxShown   = 64 << 10 // bytes of one message in a report
)

// The parties that an event comes from.
const (
	Host   = "host"
	Server = "server"
	Canary = "canary" // a request to the page behind a prompt's URL
	Note   = "note"   // a remark of the suite
)

// What is noted when a host closes a way on which it could be reached.
const (
	Closed = "the host closed the server's standard input"
	HungUp = "the host closed the connection of this request"
)

// An Event is one line of a recorded conversation.
type Event struct {
	At         time.Duration   // since the record began
	From       string          // one of the parties
	Connection int             // numbers server processes (stdio) or requests (HTTP) from 1
	Message    json.RawMessage // as it went over the wire, if that was JSON
	Text       string          // a remark, or bytes that were not JSON, escaped and shortened
	HTTP       *Envelope       // what HTTP had around it; nil over stdio
	Checks     []string        // the IDs of the checks that it decided
}

// A Line is a message of the host, with what the checks want to know of it.
type Line struct {
	Event  int // its index in the record, or -1
	At     time.Duration
	Conn   int
	Header http.Header // HTTP only
	Raw    []byte
	Message
	Kind Kind
}

// A Bare is an HTTP request that carries no message: GET, which asks for a stream,
// or DELETE, which ends a session.
type Bare struct {
	Event  int // its index in the record, or -1
	At     time.Duration
	Method string
	Header http.Header
}

// A Record is the conversation of one scenario. All methods may be called
// concurrently.
type Record struct {
	Started time.Time

	mu      sync.Mutex // guards the rest
	events  []Event
	lines   []*Line
	heard   int // bytes
	flooded bool
	refused string       // the first HTTP request that was, and how
	strange map[int]bool // the connections whose message came in a session that does not exist
	unended bool         // a last line came without its newline
	conns   int
	changed chan struct{} // closed and replaced with each event and finding
}

// NewRecord begins a record.
func NewRecord() *Record {
	return &Record{Started: time.Now(), changed: make(chan struct{})}
}

// Now is the time since the record began.
func (r *Record) Now() time.Duration { return time.Since(r.Started) }

// add appends an event and returns its index, or -1 if the record is full.
// The caller holds mu.
func (r *Record) add(e Event) int {
	r.wake()
	if len(r.events) >= maxEvents {
		return -1
	}
	e.At = r.Now()
	r.events = append(r.events, e)
	return len(r.events) - 1
}

// wake tells who waits for something new. The caller holds mu.
func (r *Record) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// Changed returns a channel that is closed when something new is in the record.
func (r *Record) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// Flooded says whether the host sent more than is taken.
func (r *Record) Flooded() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.flooded
}

// Refused says how the first HTTP request was answered that the server could not
// take; empty if there was none.
func (r *Record) Refused() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused
}

// Unended says whether something came over stdio whose newline never did, so that it
// was not read before the host ended the connection.
func (r *Record) Unended() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.unended
}

// leftUnended records that.
func (r *Record) leftUnended(conn int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unended = true
	r.add(Event{From: Note, Connection: conn, Text: "this was read only now, since no newline follows it"})
}

// refuse records that an HTTP request is not taken.
func (r *Record) refuse(conn int, what string, status int) {
	text := fmt.Sprintf("%s is answered with %d", Excerpt([]byte(what), 120), status)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refused == "" {
		r.refused = text
	}
	r.add(Event{From: Note, Connection: conn, Text: text})
}

// inNoSession records that a message came in a session that does not exist, or not any
// more, and is answered with 404.
func (r *Record) inNoSession(l *Line) {
	r.mu.Lock()
	if r.strange == nil {
		r.strange = make(map[int]bool)
	}
	r.strange[l.Conn] = true
	r.mu.Unlock()
	r.refuse(l.Conn, "a message in the session "+l.Header.Get("Mcp-Session-Id")+", which does not exist,", http.StatusNotFound)
}

// InNoSession says whether a message was answered with 404, since it came in a session that
// does not exist, or not any more. HTTP of the older era only.
func (r *Record) InNoSession(l *Line) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.strange[l.Conn]
}

// connection numbers a new connection.
func (r *Record) connection() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns++
	return r.conns
}

// Note records a remark about a connection; 0 is none.
func (r *Record) Note(conn int, text string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.add(Event{From: Note, Connection: conn, Text: text})
}

// Visited records a request to the canary.
func (r *Record) Visited(text string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.add(Event{From: Canary, Text: Excerpt([]byte(text), 1024)})
}

// sent records a message of the server, and what goes with it over HTTP.
func (r *Record) sent(conn int, raw json.RawMessage, with *Envelope) {
	e := spoken(Server, conn, raw, true)
	e.HTTP = with
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(e)
}

// wrap adds to an event what HTTP had around it.
func (r *Record) wrap(event int, with *Envelope) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if event >= 0 {
		r.events[event].HTTP = with
	}
}

// requested records an HTTP request that is no message.
func (r *Record) requested(conn int, what *Envelope, text string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.add(Event{From: Host, Connection: conn, HTTP: what, Text: text})
}

// responded records the beginning of an HTTP response that is no message, or not yet.
func (r *Record) responded(conn int, what *Envelope) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(Event{From: Server, Connection: conn, HTTP: what})
}

// Received records a message of the host. It returns nil if the host floods.
func (r *Record) Received(conn int, raw []byte, header http.Header) *Line {
	m, k, err := Parse(raw)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.heard += len(raw); r.heard > maxHeard || len(r.events) >= maxEvents {
		r.flooded = true
		return nil
	}
	l := &Line{At: r.Now(), Conn: conn, Header: header, Raw: raw, Message: m, Kind: k}
	l.Event = r.add(spoken(Host, conn, raw, err == nil))
	r.lines = append(r.lines, l)
	return l
}

// Repeat records a message that another record has, as the first of this one. It
// counts as an event, and not as something that the host said here.
func (r *Record) Repeat(l *Line) *Line {
	again := *l
	r.mu.Lock()
	defer r.mu.Unlock()
	again.Event, again.At = r.add(spoken(Host, l.Conn, l.Raw, true)), 0
	r.conns = max(r.conns, l.Conn)
	return &again
}

func spoken(from string, conn int, raw []byte, isJSON bool) Event {
	if isJSON && len(raw) <= maxShown {
		return Event{From: from, Connection: conn, Message: json.RawMessage(raw)}
	}
	return Event{From: from, Connection: conn, Text: Excerpt(raw, 256)}
}

// flood marks the record as overrun.
func (r *Record) flood() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flooded = true
	r.add(Event{From: Note, Text: "the host sends more than the suite takes: the scenario ends here"})
}

// Lines returns the messages of the host so far.
func (r *Record) Lines() []*Line {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clip(r.lines)
}

// Decided marks events with a check that they decided.
func (r *Record) Decided(id string, events []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wake()
	for _, i := range events {
		if i < 0 || i >= len(r.events) {
			continue
		}
		e := &r.events[i]
		if !slices.Contains(e.Checks, id) {
			e.Checks = append(e.Checks, id)
		}
	}
}

// Events returns the events so far.
func (r *Record) Events() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Event(nil), r.events...)
}
