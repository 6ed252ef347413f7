package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/examples/http/server"
)

var bothPaths = []string{server.ModernPath, server.LegacyPath}

func TestStrangersLearnWhereTokensAreIssued(t *testing.T) {
	t.Parallel()
	w := started(t)
	foreign := w.token("ada", "notes", clientKey) // made out for the API
	for _, path := range bothPaths {
		for name, token := range map[string]string{"no token": "", "no such token": "made-up", "a token for the API": foreign} {
			refused := curl(t, append(caller(token), w.base+path, "-d", "{}")...)
			challenge := refused.header.Get("WWW-Authenticate")
			address := regexp.MustCompile(`^Bearer resource_metadata="([^"]*)"$`).FindStringSubmatch(challenge)
			if refused.status != http.StatusUnauthorized || address == nil {
				t.Fatalf("%s at %s: status %d, challenge %q; want 401 with resource_metadata", name, path, refused.status, challenge)
			}
			var metadata struct {
				Resource string
				Servers  []string `json:"authorization_servers"`
			}
			if err := json.Unmarshal([]byte(curl(t, address[1]).body()), &metadata); err != nil {
				t.Fatal(err)
			}
			if metadata.Resource != w.base+path || len(metadata.Servers) != 1 || metadata.Servers[0] != w.as.Issuer() {
				t.Errorf("the metadata is %+v", metadata)
			}
		}
	}
}

func TestOnTheModernEndpointTheRetryIsHeld(t *testing.T) {
	t.Parallel()
	w := started(t)
	token := w.bearer("ada")
	state, page := w.call(token, "whoami", "{}", "").wantPrompt()

	retry := w.call(token, "whoami", "{}", state)
	w.waiting(2) // the retry waits like the call
	if err := fakeas.Visit(t.Context(), nil, page, w.request().UserCode, true); err != nil {
		t.Fatal(err)
	}
	retry.wantAnswer(ada)
	if id := retry.header.Get("Mcp-Session-Id"); id != "" {
		t.Errorf("a stateless endpoint has a session %q", id)
	}
	w.call(token, "whoami", "{}", "").wantAnswer(ada)
	if n := w.asked(); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}

func TestOnTheLegacyEndpointTheServerAsks(t *testing.T) {
	t.Parallel()
	w := started(t)
	token := w.bearer("ada")
	s := w.initialize(token, `"elicitation":{"url":{}}`)
	call := s.send("1", "whoami")
	prompt := call.event()
	if prompt.Method != "elicitation/create" || prompt.Params.Mode != "url" || prompt.Params.ElicitationID == "" {
		t.Fatalf("%v, want a URL elicitation", prompt)
	}
	answer := s.post(`{"jsonrpc":"2.0","id":` + string(prompt.ID) + `,"result":{"action":"accept"}}`)
	if answer.status != http.StatusAccepted {
		t.Errorf("status %d for the answer, want 202", answer.status)
	}
	if err := fakeas.Visit(t.Context(), nil, prompt.Params.URL, w.request().UserCode, true); err != nil {
		t.Fatal(err)
	}
	if m := call.event(); m.Method != "notifications/elicitation/complete" || m.Params.ElicitationID != prompt.Params.ElicitationID {
		t.Errorf("%v, want the notice that the prompt is over", m)
	}
	call.wantAnswer(ada)
	s.send("2", "whoami").wantAnswer(ada)

	// A session belongs to who has opened it, and ends when they say so.
	thief := session{w, append(append([]string{}, s.caller...), "-H", "Authorization: Bearer "+w.bearer("eve"))}
	thief.caller = without(thief.caller, "Authorization: Bearer "+token)
	if r := thief.send("3", "whoami"); r.status != http.StatusNotFound {
		t.Errorf("status %d for somebody else's session, want 404", r.status)
	}
	if r := curl(t, append(s.caller, "-X", "DELETE")...); r.status != http.StatusNoContent {
		t.Errorf("status %d for DELETE, want 204", r.status)
	}
	if r := s.send("4", "whoami"); r.status != http.StatusNotFound {
		t.Errorf("status %d after DELETE, want 404", r.status)
	}
}

// without leaves out a header field of curl's.
func without(args []string, field string) []string {
	var rest []string
	for n, arg := range args {
		if arg != field && (n+1 == len(args) || args[n+1] != field) {
			rest = append(rest, arg)
		}
	}
	return rest
}

func TestHostsThatCannotPromptGetText(t *testing.T) {
	for name, connect := range map[string]func(w *world, token string) (call func() *reply){
		"modern, nothing declared": func(w *world, token string) func() *reply {
			return func() *reply { return w.callWith(token, "whoami", "{}", "", "") }
		},
		"an old request on the stateless endpoint": func(w *world, token string) func() *reply {
			return func() *reply {
				return send(w.t, append(caller(token), w.base+server.ModernPath,
					"-d", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami"}}`)...)
			}
		},
		"legacy, nothing declared": func(w *world, token string) func() *reply {
			s, id := w.initialize(token, ""), 0
			return func() *reply { id++; return s.send(strconv.Itoa(id), "whoami") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := started(t)
			call := connect(w, w.bearer("ada"))
			m := call().event()
			request := w.request()
			if m.Result == nil || !m.Result.IsError || m.Result.Meta[metaReason] != "pending" ||
				!strings.Contains(m.text(), request.UserCode) || !strings.Contains(m.text(), request.VerificationURI) {
				t.Fatalf("%v, want an error result with link and code", m)
			}
			// Called again before the person is done, as models do, it waits. (At once
			// it would be told the same, as calls that a model makes in one go are.)
			w.until("the person takes their time", func() bool { return w.counters()["polled.pending"] > 0 })
			again := call()
			w.waiting(2)
			if err := fakeas.Visit(t.Context(), nil, request.VerificationURI, request.UserCode, true); err != nil {
				t.Fatal(err)
			}
			again.wantAnswer(ada)
			if n := w.asked(); n != 1 {
				t.Errorf("asked %d times, want once", n)
			}
		})
	}
}

func TestAnOldRequestOnTheStatelessEndpointGetsProgress(t *testing.T) {
	t.Parallel()
	w := started(t)
	args := append(caller(w.bearer("ada")), w.base+server.ModernPath,
		"-d", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","_meta":{"progressToken":"p"}}}`)
	call := curl(t, args...)
	m := call.event()
	if m.Method != "notifications/progress" || !strings.Contains(m.Params.Message, w.request().UserCode) {
		t.Fatalf("%v, want progress with the code", m)
	}
	w.approves("ada")
	for m.Method != "" {
		m = call.event()
	}
	if m.Result != nil && m.Result.Meta[metaReason] == "pending" { // as after ten seconds, on a busy machine: it is called again
		call = curl(t, args...)
		for m = call.event(); m.Method != ""; {
			m = call.event()
		}
	}
	if m.text() != ada {
		t.Errorf("%v, want the result", m)
	}
}

func TestTheSameStateAfterHangingUpGetsTheResult(t *testing.T) {
	t.Parallel()
	w := started(t)
	token := w.bearer("ada")
	const text = `{"text":"once"}`
	state, _ := w.call(token, "create_note", text, "").wantPrompt()
	retry := w.call(token, "create_note", text, state)
	w.waiting(2)
	retry.hangUp()
	w.approves("ada")
	const created = `{"id":1,"text":"once"}`
	w.call(token, "create_note", text, state).wantAnswer(created)
	w.call(token, "create_note", text, state).wantAnswer(created) // the state is no ticket for another
	if n := w.as.Count(fakeas.CreateNote, ""); n != 1 {
		t.Errorf("%d notes were made, want 1", n)
	}
	// It is worth nothing to anybody else, nor for anything else.
	for _, other := range []*reply{w.call(w.bearer("eve"), "create_note", text, state), w.call(token, "create_note", `{"text":"twice"}`, state)} {
		other.head()
		var m message
		if err := json.Unmarshal([]byte(other.body()), &m); err != nil || m.Error == nil || m.Error.Code != -32602 || other.status != http.StatusBadRequest {
			t.Errorf("status %d, %v; want 400 and error -32602", other.status, m)
		}
	}
}

func TestHangingUpEndsWhatNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	w := started(t)
	token := w.bearer("ada")
	w.host(server.ModernPath, "2026-07-28", token).WantAnswer("whoami", nil, ada)
	w.as.Script(fakeas.Me, fakeas.Stall())
	before := w.arrived("/me")
	call := w.call(token, "whoami", "{}", "")
	w.until("the API is asked", func() bool { return w.arrived("/me") > before })
	call.hangUp()
	w.until("the API's answer is not waited for", func() bool { return w.as.Count(fakeas.Me, "stalled") == 1 })
}

func TestALegacyStreamCanBeResumed(t *testing.T) {
	t.Parallel()
	w := started(t)
	s := w.initialize(w.bearer("ada"), `"elicitation":{"url":{}}`)
	call := s.send("1", "whoami")
	prompt := call.event()
	call.hangUp()
	if r := s.post(`{"jsonrpc":"2.0","id":` + string(prompt.ID) + `,"result":{"action":"accept"}}`); r.status != http.StatusAccepted {
		t.Errorf("status %d for the answer, want 202", r.status)
	}
	w.approves("ada")
	var rest *reply
	w.until("the broken stream can be taken up", func() bool { // 409 until the server has seen that it broke
		rest = curl(t, append(s.caller, "-H", "Last-Event-ID: "+call.last)...)
		return rest.status == http.StatusOK
	})
	if m := rest.event(); m.Method != "notifications/elicitation/complete" {
		t.Errorf("%v, want the notice that the prompt is over", m)
	}
	rest.wantAnswer(ada)
}

func TestNewRequestsAreRefusedOnTheLegacyEndpoint(t *testing.T) {
	t.Parallel()
	w := started(t)
	r := curl(t, append(caller(w.bearer("ada")), w.base+server.LegacyPath, "-H", "MCP-Protocol-Version: 2026-07-28",
		"-H", "Mcp-Method: tools/list", "-d", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{
			"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`)...)
	if body := r.body(); r.status != http.StatusBadRequest || !strings.Contains(body, `"supported":["2025-11-25"`) {
		t.Errorf("status %d, %s; want 400 and what is spoken", r.status, body)
	}
	// The SDK's own log says so, among the lines of lazyauth.
	var line struct{ Level, Logger, Msg string }
	for _, text := range w.log() {
		if err := json.Unmarshal([]byte(text), &line); err == nil && line.Logger == "mcp" {
			break
		}
	}
	if line.Level != "warn" || !strings.Contains(line.Msg, "2026-07-28") {
		t.Errorf("the SDK's line in the log is %+v", line)
	}
}

func TestOtherSitesAreRefused(t *testing.T) {
	t.Parallel()
	w := started(t, "-single-user") // where nothing else would refuse them
	body := []string{"-d", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`}
	for _, path := range bothPaths {
		for _, field := range []string{"Host: evil.example", "Host: 127.0.0.1.evil.example", "Origin: https://evil.example", "Sec-Fetch-Site: cross-site"} {
			r := curl(t, append(append(caller(""), w.base+path, "-H", field), body...)...)
			if r.status != http.StatusForbidden {
				t.Errorf("%s with %q: status %d, want 403", path, field, r.status)
			}
		}
	}
	if r := curl(t, w.counterURL, "-H", "Host: evil.example"); r.status != http.StatusForbidden {
		t.Errorf("the counters: status %d, want 403", r.status)
	}
	if r := curl(t, append(append(caller(""), w.base+server.ModernPath, "-H", "Origin: "+w.base), body...)...); r.status != http.StatusOK {
		t.Errorf("its own origin: status %d, want 200", r.status)
	}
}

func TestBehindAProxy(t *testing.T) {
	t.Parallel()
	const public = "https://mcp.example.com"
	w := started(t, "-public-url", public) // which bearer tokens are for then
	token := w.bearer("ada")
	for _, path := range bothPaths {
		direct := "http://" + w.address + path
		refused := curl(t, direct, "-H", "Host: mcp.example.com")
		if challenge := refused.header.Get("WWW-Authenticate"); refused.status != http.StatusUnauthorized ||
			challenge != `Bearer resource_metadata="`+public+metadataPath+path+`"` {
			t.Errorf("%s: status %d, challenge %q", path, refused.status, challenge)
		}
		served := curl(t, append(caller(token), direct, "-H", "Host: mcp.example.com", "-d", `{"jsonrpc":"2.0","id":1,"method":"ping"}`)...)
		if served.status != http.StatusOK {
			t.Errorf("%s: status %d, want 200", path, served.status)
		}
	}
}

func TestLargeRequestsAreRefused(t *testing.T) {
	t.Parallel()
	w := started(t, "-single-user")
	large := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(large, make([]byte, maxBody+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range bothPaths {
		r := curl(t, append(caller(""), w.base+path, "-H", "Expect:", "--data-binary", "@"+large)...)
		if r.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: status %d, want 413", path, r.status)
		}
	}
}

func TestAFaultBehindTheServerIsNotTold(t *testing.T) {
	t.Parallel()
	w := started(t, "-introspection-url", "http://127.0.0.1:1", "-introspection-id", introID)
	for _, path := range bothPaths {
		r := curl(t, append(caller("made-up"), w.base+path, "-d", "{}")...)
		if body := r.body(); r.status != http.StatusInternalServerError || strings.Contains(body, "127.0.0.1") {
			t.Errorf("status %d, %q; want 500 without the address", r.status, body)
		}
	}
	if log := strings.Join(w.log(), "\n"); !strings.Contains(log, "did not tell about a token") || strings.Contains(log, "made-up") {
		t.Errorf("the log is %s; want the fault, and no token", log)
	}
}

func TestEndingAnswersWhatWaits(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be sent an interrupt there")
	}
	w := started(t, "-patience", "1h")
	ada, eve := w.bearer("ada"), w.bearer("eve")
	state, _ := w.call(ada, "whoami", "{}", "").wantPrompt()
	retry := w.call(ada, "whoami", "{}", state)
	w.waiting(2)
	s := w.initialize(eve, `"elicitation":{"url":{}}`)
	call := s.send("1", "whoami")
	if m := call.event(); m.Method != "elicitation/create" {
		t.Fatalf("%v, want a prompt", m)
	}
	// Streams in which a host only listens, in either era, end without a word.
	idle := []*reply{
		curl(t, s.caller...),
		curl(t, append(caller(ada), w.base+server.ModernPath, "-H", "MCP-Protocol-Version: 2026-07-28", "-H", "Mcp-Method: subscriptions/listen",
			"-d", `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},
				"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`)...),
	}
	for _, r := range idle {
		if r.status != http.StatusOK {
			t.Fatalf("status %d, %s", r.status, r.body())
		}
	}

	if err := w.interrupt(); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*reply{retry, call} {
		m := r.event()
		for m.Method != "" { // that the prompt is over
			m = r.event()
		}
		if m.Result == nil || !m.Result.IsError || m.Result.Meta[metaReason] != "unavailable" || !strings.Contains(m.text(), "shutting down") {
			t.Errorf("%v, want an error that says why", m)
		}
	}
	for _, r := range idle {
		r.body() // to its end
	}
	select {
	case <-w.ended: // end judges the exit code
	case <-time.After(enough):
		t.Error("it did not end")
	}
}
