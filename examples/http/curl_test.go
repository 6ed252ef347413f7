package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/examples/http/server"
)

// A reply is what curl prints of a response, as it comes.
type reply struct {
	t      *testing.T
	cmd    *exec.Cmd
	stderr *bytes.Buffer
	lines  *bufio.Reader
	status int
	header http.Header
	last   string // id of the last event
	stop   context.CancelFunc
}

// curl runs the real program, and returns once it has printed the head of the
// response, unless that waits too: call head then.
func curl(t *testing.T, args ...string) *reply {
	t.Helper()
	r := send(t, args...)
	r.head()
	return r
}

// send starts curl. It ends with the test at the latest.
func send(t *testing.T, args ...string) *reply {
	t.Helper()
	path, err := exec.LookPath("curl")
	if err != nil {
		t.Fatal("this test runs curl, which is not installed: apt-get install curl, or whatever installs programs here")
	}
	ctx, cancel := context.WithTimeout(t.Context(), enough)
	r := &reply{t: t, stderr: new(bytes.Buffer), header: http.Header{}, stop: cancel}
	r.cmd = exec.CommandContext(ctx, path, append([]string{"--silent", "--show-error", "--no-buffer", "--include"}, args...)...)
	r.cmd.Stderr = r.stderr
	stdout, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.lines = bufio.NewReader(stdout)
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.hangUp)
	return r
}

// hangUp ends the program in the middle of whatever it does.
func (r *reply) hangUp() {
	r.stop()
	_ = r.cmd.Wait()
}

func (r *reply) line() (string, bool) {
	line, err := r.lines.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err == nil
}

// head reads status and header fields.
func (r *reply) head() {
	r.t.Helper()
	first, ok := r.line()
	fields := strings.Fields(first)
	if !ok || len(fields) < 2 {
		r.t.Fatalf("no response; curl says %q", r.stderr)
	}
	var err error
	if r.status, err = strconv.Atoi(fields[1]); err != nil {
		r.t.Fatal(err)
	}
	for {
		line, ok := r.line()
		name, value, field := strings.Cut(line, ": ")
		if !ok || !field {
			return
		}
		r.header.Add(name, value)
	}
}

// body reads the rest.
func (r *reply) body() string {
	r.t.Helper()
	text, err := io.ReadAll(r.lines)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// A message is what this test looks at in one of the server's.
type message struct {
	ID     json.RawMessage
	Method string
	Params struct{ Mode, URL, Message, ElicitationID string }
	Result *struct {
		Meta          map[string]any `json:"_meta"`
		ResultType    string
		RequestState  string
		InputRequests map[string]struct {
			Method string
			Params struct{ Mode, URL, Message string }
		}
		Content []struct{ Text string }
		IsError bool
	}
	Error *struct {
		Code    int
		Message string
	}
}

// text is what a result says.
func (m message) text() string {
	if m.Result == nil || len(m.Result.Content) == 0 {
		return ""
	}
	return m.Result.Content[0].Text
}

// String is the message as far as this test looks at it.
func (m message) String() string {
	text, err := json.Marshal(m)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// event returns the next message of an event stream.
func (r *reply) event() message {
	r.t.Helper()
	if r.status == 0 {
		r.head()
	}
	for {
		line, ok := r.line()
		if !ok {
			r.t.Fatalf("the stream has ended; status %d; curl says %q", r.status, r.stderr)
		}
		if id, ok := strings.CutPrefix(line, "id: "); ok {
			r.last = id
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok || data == "" {
			continue
		}
		var m message
		if err := json.Unmarshal([]byte(data), &m); err != nil {
			r.t.Fatalf("%s: %v", data, err)
		}
		return m
	}
}

// wantAnswer reads the next message, which must be a result that says this.
func (r *reply) wantAnswer(want string) {
	r.t.Helper()
	if m := r.event(); m.Result == nil || m.Result.IsError || m.text() != want {
		r.t.Errorf("%v, want the result %q", m, want)
	}
}

// caller is what every request of a caller has.
func caller(token string) []string {
	args := []string{"-H", "Content-Type: application/json", "-H", "Accept: application/json, text/event-stream"}
	if token != "" {
		args = append(args, "-H", "Authorization: Bearer "+token)
	}
	return args
}

// call is a call of a tool by a request of 2026-07-28; state is "" or what the
// server gave for the retry.
func (w *world) call(token, tool, arguments, state string) *reply {
	w.t.Helper()
	return w.callWith(token, tool, arguments, state, `"elicitation":{"url":{}}`)
}

func (w *world) callWith(token, tool, arguments, state, capabilities string) *reply {
	w.t.Helper()
	retry := ""
	if state != "" {
		retry = `,"requestState":"` + state + `","inputResponses":{"authorization":{"action":"accept"}}`
	}
	return send(w.t, append(caller(token), w.base+server.ModernPath,
		"-H", "MCP-Protocol-Version: 2026-07-28", "-H", "Mcp-Method: tools/call", "-H", "Mcp-Name: "+tool,
		"-d", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+tool+`","arguments":`+arguments+retry+`,
			"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",
			"io.modelcontextprotocol/clientCapabilities":{`+capabilities+`}}}}`)...)
}

// wantPrompt reads a result that asks for the person, and returns its state and
// where the person is sent.
func (r *reply) wantPrompt() (state, url string) {
	r.t.Helper()
	m := r.event()
	if m.Result == nil || m.Result.ResultType != "input_required" || m.Result.RequestState == "" {
		r.t.Fatalf("%+v, want a result that requires input", m)
	}
	prompt, ok := m.Result.InputRequests["authorization"]
	if !ok || prompt.Method != "elicitation/create" || prompt.Params.Mode != "url" {
		r.t.Fatalf("%+v, want a URL elicitation", m.Result)
	}
	return m.Result.RequestState, prompt.Params.URL
}

// A session is one of /mcp/legacy, by curl.
type session struct {
	w      *world
	caller []string
}

// initialize opens a session with these capabilities.
func (w *world) initialize(token, capabilities string) session {
	w.t.Helper()
	s := session{w, append(caller(token), w.base+server.LegacyPath)}
	first := s.post(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25",
		"capabilities":{` + capabilities + `},"clientInfo":{"name":"curl","version":"1"}}}`)
	id := first.header.Get("Mcp-Session-Id")
	if m := first.event(); m.Error != nil || id == "" {
		w.t.Fatalf("%+v, session id %q", m, id)
	}
	s.caller = append(s.caller, "-H", "Mcp-Session-Id: "+id, "-H", "MCP-Protocol-Version: 2025-11-25")
	if r := s.post(`{"jsonrpc":"2.0","method":"notifications/initialized"}`); r.status != http.StatusAccepted {
		w.t.Fatalf("status %d, want 202", r.status)
	}
	return s
}

// post sends a message, and returns once its response has begun. A stream begins
// with its first event, which the sessions of newer revisions get at once.
func (s session) post(body string) *reply {
	s.w.t.Helper()
	return curl(s.w.t, append(s.caller, "-d", body)...)
}

// send calls a tool.
func (s session) send(id, tool string) *reply {
	s.w.t.Helper()
	return s.post(`{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":{"name":"` + tool + `","arguments":{}}}`)
}

const ada = `{"name":"Ada Example","sub":"ada"}`
