package interop_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// An endpoint is a kind of streamable HTTP server.
type endpoint string

const (
	stateful  endpoint = "stateful"
	stateless endpoint = "stateless" // the only one that serves the modern era
)

// sessionHeader is where a stateful endpoint names the session.
const sessionHeader = "Mcp-Session-Id"

// serveHTTP serves the tools of newServerBehind over streamable HTTP in this process, to
// one person, until the test ends, and returns the URL. What passes is recorded as the
// relay does it, a session a file.
func (s *story) serveHTTP() string {
	s.Helper()
	s.log = filepath.Join(s.dir, "server.log")
	log, err := os.Create(s.log)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { log.Close() })
	server, auth, err := newServerBehind(s.options.way, lazyauth.Service{
		Name: "Notes", Issuer: s.as.Issuer, ClientID: s.client.ID, ClientSecret: s.client.Secret,
		APIOrigins: []string{s.as.api.URL}, Scopes: scopes.Of("profile"),
	}, &lazyauth.Options{
		InsecureSingleUser: true,
		MaxWait:            patience,
		Trace:              lazyauth.SlogTrace(slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))),
	})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		if err := auth.Close(); err != nil {
			s.Error(err)
		}
	})
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server },
		&mcp.StreamableHTTPOptions{Stateless: s.options.endpoint == stateless})
	recording := &recording{dir: s.dir, handler: handler, sessions: map[string]*record{}}
	s.Cleanup(recording.close)
	web := httptest.NewServer(recording)
	s.Cleanup(web.Close)
	return web.URL + "/mcp"
}

// A recording passes HTTP exchanges on to a handler and records their messages.
type recording struct {
	dir     string
	handler http.Handler

	mu       sync.Mutex
	sessions map[string]*record // "" is for requests that stand alone
	files    []*os.File
}

func (r *recording) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the host hung up
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	t := &tap{ResponseWriter: w, recording: r, session: req.Header.Get(sessionHeader), request: body}
	r.handler.ServeHTTP(t, req)
	t.end()
}

// of returns the record of a session.
func (r *recording) of(session string) *record {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sessions[session] == nil {
		// Two sessions never begin in one nanosecond here: their hosts take turns.
		file, err := os.Create(filepath.Join(r.dir, fmt.Sprintf("%d%s", time.Now().UnixNano(), wireSuffix)))
		if err != nil {
			panic(err) // the story ends with the directory
		}
		r.files = append(r.files, file)
		r.sessions[session] = &record{to: file}
	}
	return r.sessions[session]
}

func (r *recording) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, file := range r.files {
		_ = file.Close()
	}
}

// A tap records one exchange: the request when the response begins, since a new
// session has its name only then, and each message of that when it is complete.
type tap struct {
	http.ResponseWriter
	recording *recording
	session   string
	request   []byte
	to        *record // once the response has begun
	kind      string  // the response's media type
	rest      []byte  // of the response, not recorded yet
}

// Unwrap lets the handler flush.
func (t *tap) Unwrap() http.ResponseWriter { return t.ResponseWriter }

func (t *tap) WriteHeader(status int) {
	t.begin()
	t.ResponseWriter.WriteHeader(status)
}

func (t *tap) Write(p []byte) (int, error) {
	t.begin()
	switch t.kind {
	case "application/json":
		t.rest = append(t.rest, p...)
	case "text/event-stream":
		t.rest = append(t.rest, p...)
		for {
			line, rest, ok := bytes.Cut(t.rest, []byte("\n"))
			if !ok {
				break
			}
			t.rest = rest
			if data, ok := bytes.CutPrefix(line, []byte("data:")); ok && len(bytes.TrimSpace(data)) > 0 {
				t.to.line(fromServer, bytes.TrimSpace(data))
			}
		}
	}
	return t.ResponseWriter.Write(p)
}

func (t *tap) begin() {
	if t.to != nil {
		return
	}
	if name := t.Header().Get(sessionHeader); name != "" {
		t.session = name
	}
	t.kind, _, _ = mime.ParseMediaType(t.Header().Get("Content-Type"))
	t.to = t.recording.of(t.session)
	if len(t.request) > 0 { // GET and DELETE have none
		t.to.line(fromHost, t.request)
	}
}

func (t *tap) end() {
	t.begin()
	if len(bytes.TrimSpace(t.rest)) > 0 {
		t.to.line(fromServer, bytes.TrimSpace(t.rest))
	}
}
