package wire

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Endpoints are where a host finds everything: the control endpoint, the server
// and the canary. They may outlive a conversation: see Serve.
type Endpoints struct {
	now atomic.Pointer[Conversation]

	network        Network
	base, canary   string // URLs without a slash at the end
	control, token string // the unguessable parts of the paths
	servers        [2]*http.Server
	serving        sync.WaitGroup

	mu      sync.Mutex // guards the rest
	closed  bool
	conns   map[net.Conn]bool // those of stubs
	plain   map[string]bool   // those of HTTP to all but the canary, by the host's address
	parted  chan struct{}     // closed and replaced when one of either is gone, or has come
	peers   map[string]*Peer  // by session
	reached bool              // whether a host came to the server at all
}

// Open starts to listen. The caller closes.
func Open(n Network) (*Endpoints, error) {
	e := &Endpoints{
		network: n, control: rand.Text(), token: rand.Text(),
		conns: make(map[net.Conn]bool), plain: make(map[string]bool), parted: make(chan struct{}), peers: make(map[string]*Peer),
	}
	here, err := n.Listen()
	if err != nil {
		return nil, fmt.Errorf("hostcheck: %w", err)
	}
	there, err := n.Listen()
	if err != nil {
		_ = here.Close()
		return nil, fmt.Errorf("hostcheck: %w", err)
	}
	e.base, e.canary = "http://"+here.Addr().String(), "http://"+there.Addr().String()
	e.servers[0] = e.serve(here, http.HandlerFunc(e.route), e.connected)
	e.servers[1] = e.serve(there, http.HandlerFunc(e.visit), nil)
	return e, nil
}

func (e *Endpoints) serve(l net.Listener, h http.Handler, connected func(net.Conn, http.ConnState)) *http.Server {
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: time.Minute, MaxHeaderBytes: 64 << 10, ConnState: connected,
		// What a client does to a connection is in the record, not in a log.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	e.serving.Go(func() { _ = s.Serve(l) }) // it ends when the endpoints close
	return s
}

// Serve makes c the conversation that a host takes part in from now on.
func (e *Endpoints) Serve(c *Conversation) { e.now.Store(c) }

// Close ends every connection and waits for what served them.
func (e *Endpoints) Close() {
	e.mu.Lock()
	e.closed = true
	for c := range e.conns {
		c.Close()
	}
	e.mu.Unlock()
	for _, s := range e.servers {
		s.Close()
	}
	e.serving.Wait()
}

// Part waits until a host that has exited has no server process any more, and no connection,
// so that all that it said was heard; no longer than limit, since whatever it left behind
// may keep one.
func (e *Endpoints) Part(limit time.Duration) {
	ctx, stop := context.WithTimeout(context.Background(), limit)
	defer stop()
	wait := func(over func() bool) {
		for {
			e.mu.Lock()
			done, parted := over(), e.parted
			e.mu.Unlock()
			if done {
				return
			}
			select {
			case <-parted:
			case <-ctx.Done():
				return
			}
		}
	}
	if _, inMemory := e.network.(*Memory); inMemory { // a host that is a function may keep connections, on which nothing is on its way
		wait(func() bool { return len(e.conns) == 0 })
		return
	}
	// One more connection comes after all that the host has made.
	if last, err := e.network.Dial(ctx, "tcp", strings.TrimPrefix(e.base, "http://")); err == nil {
		wait(func() bool { return e.plain[last.LocalAddr().String()] })
		_ = last.Close() // nothing was said
	}
	wait(func() bool { return len(e.conns)+len(e.plain) == 0 })
}

// connected keeps which connections of HTTP there are.
func (e *Endpoints) connected(c net.Conn, state http.ConnState) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch state {
	case http.StateNew:
		e.plain[c.RemoteAddr().String()] = true
	case http.StateClosed, http.StateHijacked:
		delete(e.plain, c.RemoteAddr().String())
	case http.StateActive, http.StateIdle:
		return
	}
	close(e.parted)
	e.parted = make(chan struct{})
}

// ControlURL is the control endpoint.
func (e *Endpoints) ControlURL() string { return e.base + "/" + e.control }

// ServerURL is the server's, for HTTP.
func (e *Endpoints) ServerURL() string { return e.base + "/" + e.token + "/mcp" }

// RedirectURL is of the same origin as the server, and leads to an icon of the canary.
func (e *Endpoints) RedirectURL() string { return e.base + "/" + e.token + "/icon" }

// CanaryURL is the base of the URLs that prompts carry.
func (e *Endpoints) CanaryURL() string { return e.canary }

// Reached says whether a host came to the server at all.
func (e *Endpoints) Reached() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.reached
}

// route tells the control endpoint from the server's.
func (e *Endpoints) route(w http.ResponseWriter, r *http.Request) {
	if "http://"+r.Host != e.base {
		http.Error(w, "not the host of this server", http.StatusMisdirectedRequest)
		return
	}
	if !e.enter() {
		return
	}
	defer e.serving.Done()
	first, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	c := e.now.Load()
	switch {
	case first == e.token && rest == "mcp":
		e.mu.Lock()
		e.reached = true
		e.mu.Unlock()
		e.serveHTTP(w, r)
	case first == e.token && rest == "icon":
		http.Redirect(w, r, e.canary+"/icons/redirected-"+url.PathEscape(r.URL.Query().Get("of")), http.StatusFound)
	case first == e.control && r.Header.Get("Origin") != "":
		http.Error(w, "not for browsers", http.StatusForbidden)
	case first == e.control && rest == "stub":
		e.serveStub(w, r)
	case first == e.control && c != nil:
		c.Control(w, r, rest)
	default:
		http.NotFound(w, r)
		if c != nil {
			n := c.connection()
			c.requested(n, e.request(r), "nothing is there")
			c.responded(n, response(http.StatusNotFound, w.Header()))
		}
	}
}

// enter counts a request, unless the endpoints are closing.
func (e *Endpoints) enter() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.serving.Add(1)
	return true
}

// visit serves the page behind every prompt, and says who came.
func (e *Endpoints) visit(w http.ResponseWriter, r *http.Request) {
	if !e.enter() {
		return
	}
	defer e.serving.Done()
	if c := e.now.Load(); c != nil {
		c.Visit(r)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if r.URL.Path != "/sign-in" {
		http.NotFound(w, r)
		return
	}
	fmt.Fprint(w, "<!doctype html><title>Signed in</title><p>This page stands for a sign-in. You may close it.</p>\n")
}

// serveStub takes the connection of a stub, and speaks MCP over it.
func (e *Endpoints) serveStub(w http.ResponseWriter, _ *http.Request) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "cannot be taken over", http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Time{})
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return
	}
	e.conns[conn], e.reached = true, true
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		delete(e.conns, conn)
		close(e.parted)
		e.parted = make(chan struct{})
		e.mu.Unlock()
	}()
	if _, err := io.WriteString(conn, stubWelcome); err != nil {
		return
	}
	c := e.now.Load()
	if c == nil {
		return
	}
	p := &Pipe{endpoints: e, conn: conn, n: c.connection(), peer: &Peer{}}
	c.Note(p.n, "the host started the server")
	p.read(buffered.Reader)
}
