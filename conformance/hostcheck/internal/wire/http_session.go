package wire

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// peer finds the peer of a request of the older era, or makes one for
// initialize. Nil means that the host made it up.
func (e *Endpoints) peer(c *Conversation, x *Exchange, l *Line) *Peer {
	if c.modern {
		return &Peer{}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	id := l.Header.Get("Mcp-Session-Id")
	if l.Method == "initialize" {
		p := &Peer{ID: rand.Text()}
		e.peers[p.ID], x.session = p, p.ID
		x.header.Set("Mcp-Session-Id", p.ID)
		return p
	}
	if id == "" {
		return &Peer{} // it speaks, but was never initialized
	}
	x.session = id
	return e.peers[id]
}

// EndSession ends the session of the request: what comes in it from now on is
// answered with 404, and the streams that the host opened in it end. It returns in which
// event that shows.
func (x *Exchange) EndSession() int {
	event := x.conversation.Note(x.n, "the server ends the session")
	x.endpoints.forget(x.conversation, x.session)
	return event
}

// forget takes a session for one that does not exist.
func (e *Endpoints) forget(c *Conversation, session string) {
	e.mu.Lock()
	delete(e.peers, session)
	e.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.streams = slices.DeleteFunc(c.streams, func(stream Channel) bool {
		x, ok := stream.(*Exchange)
		if ok = ok && x.session == session; ok {
			x.Last()
		}
		return ok
	})
}

// end ends a session as the host wants it.
func (e *Endpoints) end(c *Conversation, w http.ResponseWriter, r *http.Request) {
	n := c.connection()
	event := c.requested(n, e.request(r), "the host ends its session")
	b := &Bare{Event: event, At: c.Now(), Method: r.Method, Header: r.Header}
	if c.modern {
		c.status(n, w, http.StatusMethodNotAllowed)
		return
	}
	c.Requested(b)
	e.forget(c, r.Header.Get("Mcp-Session-Id"))
	c.status(n, w, http.StatusNoContent)
}

// gone says whether a session was given and is no more, or never was.
func (e *Endpoints) gone(session string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return session != "" && e.peers[session] == nil
}

// get is the stream of the older era that belongs to no request, or goes on
// with one whose connection ended.
func (e *Endpoints) get(c *Conversation, w http.ResponseWriter, r *http.Request) {
	if c.modern {
		n := c.connection()
		c.requested(n, e.request(r), "the host asks for a stream that this protocol does not have")
		c.status(n, w, http.StatusMethodNotAllowed)
		return
	}
	x := e.exchange(c, w, r)
	x.session = r.Header.Get("Mcp-Session-Id")
	id, what := r.Header.Get("Last-Event-ID"), "the host opens a stream for notifications"
	if id != "" {
		what = "the host reconnects after event " + Excerpt([]byte(id), 64)
	}
	event := c.requested(x.n, e.request(r), what)
	c.Requested(&Bare{Event: event, At: c.Now(), Method: r.Method, Header: r.Header})
	if e.gone(x.session) {
		c.refuse(x.n, "a stream in the session "+x.session+", which does not exist,", http.StatusNotFound)
		c.status(x.n, w, http.StatusNotFound)
		return
	}
	var back chan<- Reconnect
	if id != "" {
		c.mu.Lock()
		back = c.resumed[id]
		delete(c.resumed, id)
		c.mu.Unlock()
		if back == nil {
			c.status(x.n, w, http.StatusMethodNotAllowed)
			return
		}
	} else {
		x.over = nil
		c.mu.Lock()
		c.streams = append(c.streams, x)
		c.mu.Unlock()
	}
	came := c.Now()
	x.mu.Lock()
	x.stream()
	x.mu.Unlock()
	if back != nil { // whoever has it may send the response at once, which must find a stream
		back <- Reconnect{x, event, came} // has room
	}
	x.run()
}

// A Reconnect is the host's next attempt at a stream that ended early.
type Reconnect struct {
	Exchange *Exchange
	Event    int
	At       time.Duration
}

// Suspend ends the connection of a request but not its stream. The channel gets
// the host's next attempt.
func (x *Exchange) Suspend(id string, retry time.Duration) <-chan Reconnect {
	ch := make(chan Reconnect, 1)
	c := x.conversation
	c.mu.Lock()
	c.resumed[id] = ch
	c.mu.Unlock()
	_ = x.Raw(fmt.Sprintf("id: %s\nretry: %d\ndata:\n\n", id, retry.Milliseconds()))
	x.conversation.Note(x.n, fmt.Sprintf("the server closes the connection before the response, and asks to come back in %v", retry))
	x.Last()
	return ch
}
