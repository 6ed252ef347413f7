package refhost

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// An httpLink is streamable HTTP.
type httpLink struct {
	h       *host
	url     string
	receive func([]byte)
	modern  atomic.Bool     // not always what it began with
	version atomic.Value    // of the newer era: a string
	ctx     context.Context // ends with the link
	stop    context.CancelFunc
	busy    sync.WaitGroup

	mu      sync.Mutex
	session string
	expired bool // the server does not know the session any more
}

func newHTTPLink(h *host, receive func([]byte), modern bool) *httpLink {
	l := &httpLink{h: h, url: h.launch.Task.Server.URL, receive: receive}
	l.modern.Store(modern)
	l.version.Store(h.firstVersion())
	l.ctx, l.stop = context.WithCancel(h.begun)
	return l
}

// A statusError is an HTTP status where a message was expected.
type statusError struct {
	status int
	body   []byte
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the server answers with status %d", e.status)
}

func (l *httpLink) send(ctx context.Context, raw []byte, h head, ended func(error)) {
	l.busy.Go(func() { ended(l.exchange(ctx, raw, h)) })
}

func (l *httpLink) post(ctx context.Context, raw []byte) error {
	return l.exchange(ctx, raw, head{method: "notification"})
}

// exchange makes one POST and reads what comes of it. Its error says why
// nothing more will come.
func (l *httpLink) exchange(ctx context.Context, raw []byte, h head) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(l.ctx, stop)()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	if l.h.habit != NoContentType {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json, text/event-stream")
	if l.h.fault == AcceptsJSONOnly {
		req.Header.Set("Accept", "application/json")
	}
	l.label(req, h)
	resp, err := l.h.web.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if id := resp.Header.Get("Mcp-Session-Id"); id != "" && !l.modern.Load() {
		l.mu.Lock()
		l.session = id
		l.mu.Unlock()
	}
	if streams := strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream"); streams && l.h.fault == ReadsJSONAlone ||
		!streams && l.h.fault == ReadsStreamsAlone {
		_, _ = io.Copy(io.Discard, resp.Body)
		return errors.New("the server answers with " + resp.Header.Get("Content-Type"))
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		return l.follow(ctx, resp.Body)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxLine))
	if err != nil {
		return err
	}
	if resp.StatusCode == http.StatusNotFound && req.Header.Get("Mcp-Session-Id") != "" {
		l.expire()
	}
	if resp.StatusCode >= 400 && !isMessage(body) {
		return &statusError{resp.StatusCode, body}
	}
	if len(body) > 0 {
		l.receive(body)
	}
	return io.EOF
}

func isMessage(body []byte) bool {
	var m message
	return json.Unmarshal(body, &m) == nil && m.Error != nil
}

// label sets the headers that say what is in the body.
func (l *httpLink) label(req *http.Request, h head) {
	if l.modern.Load() {
		version, _ := l.version.Load().(string)
		req.Header.Set("Mcp-Protocol-Version", version)
		req.Header.Set("Mcp-Method", h.method)
		if h.name != "" {
			req.Header.Set("Mcp-Name", h.name)
		}
		for name, value := range h.params {
			req.Header.Set(name, value)
		}
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session != "" {
		if l.h.fault != DropsSession || h.method != "notification" && h.method != "" {
			req.Header.Set("Mcp-Session-Id", l.session)
		}
		switch l.h.fault {
		case NoVersionHeader:
		case WrongVersionHeader:
			req.Header.Set("Mcp-Protocol-Version", "1.0")
		default:
			req.Header.Set("Mcp-Protocol-Version", hostcheck.Legacy)
		}
	}
}

// follow reads an event stream. In the older era it comes back to a stream that
// can be resumed.
func (l *httpLink) follow(ctx context.Context, body io.Reader) error {
	id, retry, err := l.events(body, l.receive)
	for id != "" && !l.modern.Load() && ctx.Err() == nil && l.h.fault != NeverResumes {
		if l.h.fault == IgnoresRetry {
			retry = 0
		}
		l.h.sleep(ctx, retry)
		var resp *http.Response
		if resp, err = l.open(ctx, id); err != nil {
			return err
		}
		id, retry, err = l.events(resp.Body, l.receive)
		resp.Body.Close()
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// open asks for a stream with GET.
func (l *httpLink) open(ctx context.Context, id string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url, nil)
	if err != nil {
		return nil, err
	}
	if req.Header.Set("Accept", "text/event-stream"); l.h.fault == StreamsUnasked {
		req.Header.Set("Accept", "*/*")
	}
	l.label(req, head{})
	if id != "" {
		req.Header.Set("Last-Event-ID", id)
	}
	resp, err := l.h.web.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, &statusError{status: resp.StatusCode}
	}
	return resp, nil
}

// events reads events to the end of the stream. It returns the last event ID
// that is worth coming back to (none after a response), and the time to wait.
func (l *httpLink) events(body io.Reader, receive func([]byte)) (id string, retry time.Duration, err error) {
	in := bufio.NewScanner(body)
	in.Buffer(nil, maxLine)
	var data []string
	for in.Scan() {
		line := in.Text()
		if line == "" {
			if text := strings.Join(data, "\n"); text != "" {
				if isResponse(text) {
					id = ""
				}
				receive([]byte(text))
			}
			data = nil
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "":
			if l.h.fault == ChokesOnComments {
				return "", 0, errors.New("not an event stream: " + line)
			}
		case "data":
			data = append(data, value)
		case "id":
			id = value
		case "retry":
			ms, _ := strconv.Atoi(value)
			retry = time.Duration(ms) * time.Millisecond
		}
	}
	return id, retry, in.Err()
}

func isResponse(text string) bool {
	var m message
	return json.Unmarshal([]byte(text), &m) == nil && m.Method == ""
}

// answering is how long a server may take to answer the request for the stream
// that belongs to no request.
const answering = 10 * time.Second

// listen opens the stream for what belongs to no request. It returns when the
// server has answered, since what the server says there before that is lost; but
// a server that has no such stream, or never answers, does not keep the host.
func (l *httpLink) listen() {
	answered := make(chan struct{})
	l.busy.Go(func() {
		resp, err := l.open(l.ctx, "")
		close(answered)
		if err != nil {
			return // a server need not have one
		}
		defer resp.Body.Close()
		receive := l.receive
		if l.h.fault == DeafStream {
			receive = func([]byte) {}
		}
		_, _, _ = l.events(resp.Body, receive)
	})
	late := time.NewTimer(answering)
	defer late.Stop()
	select {
	case <-answered:
	case <-late.C:
	case <-l.ctx.Done():
	}
}

func (l *httpLink) close() {
	l.leave()
	l.stop()
	l.busy.Wait()
}

// leave ends the session of the older era.
func (l *httpLink) leave() {
	l.mu.Lock()
	none := l.session == "" || l.expired
	l.mu.Unlock()
	if none || l.modern.Load() || l.ctx.Err() != nil || l.h.fault == LeavesSession {
		return
	}
	req, err := http.NewRequestWithContext(l.ctx, http.MethodDelete, l.url, nil)
	if err != nil {
		return
	}
	l.label(req, head{method: "leave"})
	if resp, err := l.h.web.Do(req); err == nil {
		resp.Body.Close() // whatever it says, there is nothing more to do
	}
}

// expire takes note that the server has ended the session.
func (l *httpLink) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expired = l.h.fault != KeepsLostSession
}

func (l *httpLink) dead() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.expired || l.ctx.Err() != nil
}
