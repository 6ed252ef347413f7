package hostcheck

import (
	"encoding/json"
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

// A line is a message of the host, with what the checks want to know of it.
type line struct {
	event  int // its index in the record, or -1
	at     time.Duration
	conn   int
	header http.Header // HTTP only
	raw    []byte
	message
	kind kind
}

// A record is the conversation of one scenario. All methods may be called
// concurrently.
type record struct {
	mu      sync.Mutex
	started time.Time
	events  []Event
	lines   []*line
	heard   int
	flooded bool
	conns   int
	changed chan struct{} // closed and replaced with each event and finding
}

func newRecord() *record {
	return &record{started: time.Now(), changed: make(chan struct{})}
}

func (r *record) now() time.Duration { return time.Since(r.started) }

// add appends an event and returns its index, or -1 if the record is full.
// The caller holds mu.
func (r *record) add(e Event) int {
	r.wake()
	if len(r.events) >= maxEvents {
		return -1
	}
	e.At = r.now()
	r.events = append(r.events, e)
	return len(r.events) - 1
}

// wake tells who waits for something new. The caller holds mu.
func (r *record) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// connection numbers a new connection.
func (r *record) connection() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns++
	return r.conns
}

// note records a remark.
func (r *record) note(conn int, text string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.add(Event{From: Note, Connection: conn, Text: text})
}

// visited records a request to the canary.
func (r *record) visited(text string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.add(Event{From: FromCanary, Text: excerpt([]byte(text), 1024)})
}

// sent records a message of the server.
func (r *record) sent(conn int, raw json.RawMessage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(spoken(FromServer, conn, raw, true))
}

// received records a message of the host. It returns nil if the host floods.
func (r *record) received(conn int, raw []byte, header http.Header) *line {
	m, k, err := parseMessage(raw)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.heard += len(raw); r.heard > maxHeard || len(r.events) >= maxEvents {
		r.flooded = true
		return nil
	}
	l := &line{at: r.now(), conn: conn, header: header, raw: raw, message: m, kind: k}
	l.event = r.add(spoken(FromHost, conn, raw, err == nil))
	r.lines = append(r.lines, l)
	return l
}

func spoken(from Party, conn int, raw []byte, isJSON bool) Event {
	if isJSON && len(raw) <= maxShown {
		return Event{From: from, Connection: conn, Message: json.RawMessage(raw)}
	}
	return Event{From: from, Connection: conn, Text: excerpt(raw, 256)}
}

// flood marks the record as overrun.
func (r *record) flood() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flooded = true
	r.add(Event{From: Note, Text: "the host sends more than the suite takes: the scenario ends here"})
}

// all returns the messages of the host so far.
func (r *record) all() []*line {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clip(r.lines)
}

// decided marks events with a check that they decided.
func (r *record) decided(id string, events []int) {
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

// copyEvents returns the events so far.
func (r *record) copyEvents() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Event(nil), r.events...)
}
