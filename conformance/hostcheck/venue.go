package hostcheck

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A venue is where a host finds everything: the control endpoint, the server
// and the canary. It outlives its stage in guided mode only.
type venue struct {
	stage atomic.Pointer[stage]

	base, canary   string // URLs without a slash at the end
	control, token string // the unguessable parts of the paths
	servers        [2]*http.Server
	serving        sync.WaitGroup

	guard    sync.Mutex
	closed   bool
	conns    map[net.Conn]bool // those of stubs
	sessions map[string]*session
	reached  bool // whether a host came to the server at all
}

// open starts to listen. The caller closes.
func open(n network) (*venue, error) {
	v := &venue{
		control: rand.Text(), token: rand.Text(),
		conns: make(map[net.Conn]bool), sessions: make(map[string]*session),
	}
	here, err := n.listen()
	if err != nil {
		return nil, fmt.Errorf("hostcheck: %w", err)
	}
	there, err := n.listen()
	if err != nil {
		_ = here.Close()
		return nil, fmt.Errorf("hostcheck: %w", err)
	}
	v.base, v.canary = "http://"+here.Addr().String(), "http://"+there.Addr().String()
	v.servers[0] = v.serve(here, http.HandlerFunc(v.route))
	v.servers[1] = v.serve(there, http.HandlerFunc(v.visit))
	return v, nil
}

func (v *venue) serve(l net.Listener, h http.Handler) *http.Server {
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10,
		// What a client does to a connection is in the record, not in a log.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	v.serving.Go(func() { _ = s.Serve(l) }) // it ends when the venue closes
	return s
}

// close ends every connection and waits for what served them.
func (v *venue) close() {
	v.guard.Lock()
	v.closed = true
	for c := range v.conns {
		c.Close()
	}
	v.guard.Unlock()
	for _, s := range v.servers {
		s.Close()
	}
	v.serving.Wait()
}

// controlURL is the control endpoint.
func (v *venue) controlURL() string { return v.base + "/" + v.control }

// serverURL is the server's, for HTTP.
func (v *venue) serverURL() string { return v.base + "/" + v.token + "/mcp" }

// route tells the control endpoint from the server's.
func (v *venue) route(w http.ResponseWriter, r *http.Request) {
	if "http://"+r.Host != v.base {
		http.Error(w, "not the host of this server", http.StatusMisdirectedRequest)
		return
	}
	if !v.enter() {
		return
	}
	defer v.serving.Done()
	first, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	st := v.stage.Load()
	switch {
	case first == v.token && rest == "mcp":
		v.reach()
		v.serveHTTP(w, r)
	case first == v.control && r.Header.Get("Origin") != "":
		http.Error(w, "not for browsers", http.StatusForbidden)
	case first == v.control && rest == "stub":
		v.serveStub(w, r)
	case first == v.control && st != nil:
		st.control(w, r, rest)
	default:
		http.NotFound(w, r)
	}
}

// enter counts a request, unless the venue is closing.
func (v *venue) enter() bool {
	v.guard.Lock()
	defer v.guard.Unlock()
	if v.closed {
		return false
	}
	v.serving.Add(1)
	return true
}

func (v *venue) reach() {
	v.guard.Lock()
	v.reached = true
	v.guard.Unlock()
}

func (v *venue) wasReached() bool {
	v.guard.Lock()
	defer v.guard.Unlock()
	return v.reached
}

// A visit is a request to the canary.
type visit struct {
	method, path string
	prompt       *prompt // nil if it is for none in particular
	at           time.Duration
	event        int
}

// visit serves the page behind every prompt, and records who came.
func (v *venue) visit(w http.ResponseWriter, r *http.Request) {
	if !v.enter() {
		return
	}
	defer v.serving.Done()
	if st := v.stage.Load(); st != nil {
		st.visit(r)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if r.URL.Path != "/sign-in" {
		http.NotFound(w, r)
		return
	}
	fmt.Fprint(w, "<!doctype html><title>Signed in</title><p>This page stands for a sign-in. You may close it.</p>\n")
}

func (st *stage) visit(r *http.Request) {
	event := st.visited(r.Method + " " + r.URL.String())
	st.guard.Lock()
	defer st.guard.Unlock()
	if len(st.visits) >= maxReports || st.closed {
		return
	}
	at := visit{method: r.Method, path: r.URL.Path, at: st.record.now(), event: event}
	for _, p := range st.prompts {
		if p != nil && p.id == r.URL.Query().Get("p") {
			at.prompt = p
			if st.guided && p.signedIn == 0 {
				p.signedIn = at.at // the person is there
			}
		}
	}
	st.visits = append(st.visits, at)
	st.step()
}

// errGone says that the host does not listen any more.
var errGone = errors.New("the host is gone")

// serveStub takes the connection of a stub, and speaks MCP over it.
func (v *venue) serveStub(w http.ResponseWriter, _ *http.Request) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "cannot be taken over", http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Time{})
	v.guard.Lock()
	if v.closed {
		v.guard.Unlock()
		return
	}
	v.conns[conn], v.reached = true, true
	v.guard.Unlock()
	defer func() {
		v.guard.Lock()
		delete(v.conns, conn)
		v.guard.Unlock()
	}()
	if _, err := io.WriteString(conn, stubWelcome); err != nil {
		return
	}
	st := v.stage.Load()
	if st == nil {
		return
	}
	p := &pipe{v: v, conn: conn, n: st.connection(), hungUp: make(chan struct{}), session: &session{}}
	st.note(p.n, "the host started the server")
	p.read(buffered.Reader)
}

// writeTimeout is how long one write may take.
const writeTimeout = 5 * time.Second
