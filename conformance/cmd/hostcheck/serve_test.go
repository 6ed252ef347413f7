package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// A scriptedGuide says what it is told to, and records what was pressed.
type scriptedGuide struct {
	server  hostcheck.Server
	steps   []hostcheck.Step
	report  hostcheck.Report
	pressed []string
	changed chan struct{}
}

func (g *scriptedGuide) Server() hostcheck.Server    { return g.server }
func (g *scriptedGuide) Connected() bool             { return true }
func (g *scriptedGuide) Checklist() []hostcheck.Step { return g.steps }
func (g *scriptedGuide) Finish()                     { g.pressed = append(g.pressed, "finish") }
func (g *scriptedGuide) Snapshot() hostcheck.Report  { return g.report }
func (g *scriptedGuide) Changed() <-chan struct{}    { return g.changed }
func (g *scriptedGuide) Start(scenario string) error {
	g.pressed = append(g.pressed, "start "+scenario)
	if scenario == "" {
		return errors.New("hostcheck: there is no step \"\"")
	}
	return nil
}

func (g *scriptedGuide) Answer(scenario, check string, yes bool) error {
	g.pressed = append(g.pressed, map[bool]string{true: "yes ", false: "no "}[yes]+scenario+" "+check)
	return nil
}

const hostile = `<script>alert(1)</script>"'&</pre>`

// open serves a page to the test; its address is that of the page.
func open(t *testing.T, g *scriptedGuide) (*page, string) {
	t.Helper()
	p := &page{guide: g, protocol: hostcheck.Modern, transport: hostcheck.Stdio, token: "TOKEN"}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.host = server.Listener.Addr().String()
	return p, server.URL + "/TOKEN/"
}

// do sends one request; header values that are empty are left out.
func do(t *testing.T, method, address, body string, header map[string]string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name, value := range header {
		if name == "Host" {
			req.Host = value
		}
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(data)
}

func TestPageIsNobodyElses(t *testing.T) {
	g := &scriptedGuide{}
	p, address := open(t, g)
	for _, test := range []struct {
		name, method, address string
		header                map[string]string
		status                int
	}{
		{"the page", "GET", address, nil, 200},
		{"another name for this machine", "GET", address, map[string]string{"Host": "rebound.example"}, 403},
		{"localhost, which is another origin", "GET", address, map[string]string{"Host": "localhost:80"}, 403},
		{"no token", "GET", "http://" + p.host + "/", nil, 404},
		{"a wrong token", "GET", "http://" + p.host + "/TOKEM/", nil, 404},
		{"a wrong token, finishing", "POST", "http://" + p.host + "/TOKEM/finish", nil, 404},
		{"another site's form", "POST", address + "finish", map[string]string{"Origin": "https://evil.example"}, 403},
		{"another site's form, as browsers mark it", "POST", address + "finish", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"a button that is no link", "GET", address + "finish", nil, 404},
		{"nothing there", "GET", address + "etc/passwd", nil, 404},
	} {
		if resp, body := do(t, test.method, test.address, "", test.header); resp.StatusCode != test.status {
			t.Errorf("%s: %d %s", test.name, resp.StatusCode, body)
		}
	}
	if len(g.pressed) > 0 {
		t.Errorf("pressed: %q", g.pressed)
	}
	resp, _ := do(t, "GET", address, "", nil)
	if policy := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self';") {
		t.Errorf("policy %q", policy)
	}
}

func TestButtons(t *testing.T) {
	g := &scriptedGuide{}
	_, address := open(t, g)
	same := map[string]string{"Origin": strings.TrimSuffix(address, "/TOKEN/"), "Sec-Fetch-Site": "same-origin"}
	for _, press := range []struct {
		what, form string
		status     int
	}{
		{"start", "scenario=consent", 204},
		{"answer", "scenario=consent&check=A9&yes=true", 204},
		{"answer", "scenario=consent&check=A8&yes=false", 204},
		{"finish", "", 204},
		{"start", "", 409},
		{"start", "scenario=" + strings.Repeat("x", 5000), 400},
		{"start", "%zz", 400},
	} {
		resp, body := do(t, "POST", address+press.what, press.form, same)
		if resp.StatusCode != press.status || strings.Contains(body, "hostcheck:") {
			t.Errorf("%s %.30s: %d %s", press.what, press.form, resp.StatusCode, body)
		}
	}
	if got := strings.Join(g.pressed, "; "); got != "start consent; yes consent A9; no consent A8; finish; start " {
		t.Errorf("pressed: %s", got)
	}
}

// The page says how to configure a host, for a shell and for a file.
func TestPageConfiguration(t *testing.T) {
	for _, test := range []struct {
		server hostcheck.Server
		says   []string
	}{
		{hostcheck.Server{Name: "hostcheck", URL: "http://127.0.0.1:1/x/mcp"}, []string{
			"<pre tabindex=\"0\">http://127.0.0.1:1/x/mcp</pre>", `&#34;type&#34;: &#34;http&#34;`, `&#34;url&#34;: &#34;http://127.0.0.1:1/x/mcp&#34;`,
		}},
		{hostcheck.Server{Name: "hostcheck", Command: []string{"/my programs/it's", "stub", "--control", "http://127.0.0.1:1/x"}}, []string{
			"<pre tabindex=\"0\">&#39;/my programs/it&#39;\\&#39;&#39;s&#39; stub --control http://127.0.0.1:1/x</pre>",
			`&#34;command&#34;: &#34;/my programs/it&#39;s&#34;`,
		}},
		{hostcheck.Server{Name: hostile, URL: hostile}, []string{"&lt;script&gt;"}},
	} {
		_, address := open(t, &scriptedGuide{server: test.server})
		_, body := do(t, "GET", address, "", nil)
		for _, want := range test.says {
			if !strings.Contains(body, want) {
				t.Errorf("there is no %q in\n%s", want, body)
			}
		}
		if strings.Contains(body, "<script>") {
			t.Errorf("markup:\n%s", body)
		}
	}
}

// events returns a function that reads the next state of a page.
func events(t *testing.T, address string) func() state {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+"events", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if kind := resp.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Fatalf("%d %s", resp.StatusCode, kind)
	}
	lines := bufio.NewReader(resp.Body)
	return func() state {
		t.Helper()
		line, err := lines.ReadString('\n')
		blank, _ := lines.ReadString('\n')
		data, ok := strings.CutPrefix(line, "data: ")
		var s state
		if err != nil || !ok || blank != "\n" || json.Unmarshal([]byte(data), &s) != nil {
			t.Fatalf("%v: %q %q", err, line, blank)
		}
		return s
	}
}

func TestEvents(t *testing.T) {
	g := &scriptedGuide{
		changed: make(chan struct{}),
		steps: []hostcheck.Step{
			{Scenario: "consent", Title: hostile, State: hostcheck.StepRunning, Questions: []hostcheck.Question{{Check: "A9", Text: "?"}, {Check: "A8", Answer: "yes"}}},
			{Scenario: "refusal", State: hostcheck.StepWaiting},
		},
		report: hostcheck.Report{Results: []hostcheck.Result{{Scenario: "consent", Checks: []hostcheck.Check{
			{ID: "A6", Status: hostcheck.Failure, ErrorMessage: hostile, SpecReferences: []hostcheck.Reference{{URL: "https://spec.example"}}},
			{ID: "A8", Status: hostcheck.Success},
			{ID: "A9", Status: hostcheck.Skipped, Details: map[string]any{"reason": "no UI hook"}}, // asked above
			{ID: "P5", Status: hostcheck.Skipped, Details: map[string]any{"reason": "no UI hook"}},
		}}}},
	}
	_, address := open(t, g)
	next := events(t, address)
	s := next()
	if !s.Connected || len(s.Steps) != 2 || s.Steps[0].Title != hostile || s.Steps[1].Questions == nil || len(s.Steps[1].Checks) != 0 {
		t.Fatalf("%+v", s)
	}
	checks := s.Steps[0].Checks
	if len(checks) != 3 || checks[0].Message != hostile || checks[0].URL != "https://spec.example" || checks[2].ID != "P5" || checks[2].Message != "no UI hook" {
		t.Errorf("%+v", checks)
	}
}

// A counter counts what is written to it.
type counter struct {
	header http.Header
	writes atomic.Int64
}

func (c *counter) Header() http.Header { return c.header }
func (c *counter) WriteHeader(int)     {}
func (c *counter) Flush()              {}
func (c *counter) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return len(p), nil
}

// The page is told of a change soon, but not of each one in a flood, and now
// and then of nothing.
func TestEventsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &scriptedGuide{changed: make(chan struct{})}
		p := &page{guide: g}
		ctx, leave := context.WithCancel(t.Context())
		w := &counter{header: http.Header{}}
		left := make(chan struct{})
		go func() {
			defer close(left)
			p.events(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody))
		}()
		told := func(after time.Duration) int64 {
			time.Sleep(after)
			synctest.Wait()
			return w.writes.Load()
		}
		if n := told(10 * time.Second); n != 1 {
			t.Errorf("at first: told %d times", n)
		}
		if n := told(6 * time.Second); n != 2 {
			t.Errorf("in a quiet time: told %d times", n)
		}
		close(g.changed) // something new all the time
		if n := told(time.Second); n < 3 || n > 6 {
			t.Errorf("in a second of changes: told %d times", n)
		}
		leave()
		<-left
	})
}

// A whole guided check: the page tells where the server is, a host connects and
// does what a step says, and the end has a verdict and a report.
func TestServe(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	ctx, interrupt := context.WithCancel(t.Context())
	printed, out := io.Pipe()
	ended := make(chan int, 1)
	var errs strings.Builder
	go func() {
		ended <- run(ctx, []string{"serve", "--protocol", "2026-07-28", "--transport", "http", "--out", folder}, streams{strings.NewReader(""), out, &errs})
		out.Close()
	}()
	reader := bufio.NewReader(printed)
	var said strings.Builder
	find := regexp.MustCompile(`http://127\.0\.0\.1:\d+/\w{26}/\n`)
	for !find.MatchString(said.String()) {
		line, err := reader.ReadString('\n')
		if err != nil {
			t.Fatalf("%v after %q, %s", err, said.String(), errs.String())
		}
		said.WriteString(line)
	}
	rest := make(chan string, 1)
	go func() {
		data, _ := io.ReadAll(reader)
		rest <- string(data)
	}()

	address := strings.TrimSpace(find.FindString(said.String()))
	next := events(t, address)
	if s := next(); s.Connected || len(s.Steps) < 2 || s.Steps[0].State != hostcheck.StepWaiting || s.Steps[0].Instruction == "" {
		t.Fatalf("%+v", s)
	}
	_, body := do(t, "GET", address, "", nil)
	server := regexp.MustCompile(`<pre tabindex="0">(http://[^<]*)</pre>`).FindStringSubmatch(body)
	if server == nil {
		t.Fatal(body)
	}
	if resp, body := do(t, "POST", address+"start", url.Values{"scenario": {"advertising"}}.Encode(), nil); resp.StatusCode != 204 {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	for _, label := range []string{"first", "second"} {
		callTool(t, server[1], label)
	}
	s := next()
	for s.Steps[0].State != hostcheck.StepDone {
		s = next()
	}
	if checks := s.Steps[0].Checks; !s.Connected || len(checks) == 0 {
		t.Errorf("%+v", s)
	}
	for _, c := range s.Steps[0].Checks {
		if c.Status == hostcheck.Failure {
			t.Errorf("%s: %s", c.ID, c.Message)
		}
	}
	if resp, body := do(t, "GET", address+"report", "", nil); resp.StatusCode != 200 || !strings.Contains(body, "notes_search") ||
		resp.Header.Get("Content-Security-Policy") != "" || !strings.Contains(body, `http-equiv="Content-Security-Policy"`) {
		t.Errorf("%d %.2000s", resp.StatusCode, body)
	}

	interrupt()
	if status := <-ended; status != statusOK {
		t.Errorf("status %d, %s", status, errs.String())
	}
	if summary := <-rest; !strings.Contains(summary, "1 scenario in 1 run") || !strings.Contains(summary, "\nOK\n") {
		t.Errorf("%s", summary)
	}
	if _, err := os.Stat(filepath.Join(folder, "report.html")); err != nil {
		t.Error(err)
	}
}

// callTool is a call of the newer protocol, as a host makes it.
func callTool(t *testing.T, server, label string) {
	t.Helper()
	body := `{"jsonrpc":"2.0","id":"` + label + `","method":"tools/call","params":{"name":"notes_search","arguments":{"call":"` + label + `"},"_meta":{
		"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"test","version":"1"},
		"io.modelcontextprotocol/clientCapabilities":{"elicitation":{"url":{}}}}}}`
	resp, answer := do(t, "POST", server, body, map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "notes_search",
	})
	if resp.StatusCode != 200 || !strings.Contains(answer, "3 notes found") {
		t.Fatalf("%d %s", resp.StatusCode, answer)
	}
}
