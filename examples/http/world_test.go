package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/examples/http/server"
	"github.com/lazyauth/mcp-lazyauth/examples/internal/hosttest"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// TestMain lets the test binary be the program, or the sender of a flood.
func TestMain(m *testing.M) {
	if flood := os.Getenv(floodVariable); flood != "" {
		sendFlood(flood)
		return
	}
	hosttest.Main(m, main)
}

const (
	hostID     = "a-host" // the client that hosts get their bearer tokens with
	introID    = "notes mcp"
	introKey   = "canary+of introspection"
	clientKey  = "canary-of-the-client"
	storeKey   = "Y2FuYXJ5IG9mIHRoZSBzdG9yZSwgaXMgMzIgYnl0ZXM="
	enough     = 3 * time.Minute // for anything that has to happen, on however busy a machine
	metaReason = "io.github.lazyauth/reason"

	metadataPath = "/.well-known/oauth-protected-resource" // in front of a resource's own (RFC 9728 §3.1)
	maxBody      = 1 << 20                                 // bytes of a request
)

// A world is this program, on a free port, with an authorization server that can
// be asked about tokens. At the end of its test the program is interrupted; it
// must then end by itself, and neither its log nor its standard error may hold
// anything secret.
type world struct {
	t          *testing.T
	as         *fakeas.Server
	address    string // where the program listens
	base       string // of its URLs
	counterURL string
	logFile    string
	args       []string
	program    *exec.Cmd
	stderr     *bytes.Buffer
	ended      chan struct{}
	ends       sync.Once   // is registered
	tolerated  fakeas.Rule // a violation that the story is about

	mu       sync.Mutex
	secrets  []string       // whatever the authorization server has issued
	audience string         // of what it issues to hosts
	came     map[string]int // the requests that have come to it, by path
}

// started starts the program with these flags, and with a bearer verifier unless
// they say otherwise.
func started(t *testing.T, flags ...string) *world {
	t.Helper()
	w := &world{t: t, ended: make(chan struct{}), came: make(map[string]int), secrets: []string{clientKey, storeKey, introKey, url.QueryEscape(introKey)}}
	as := httptest.NewUnstartedServer(w)
	issuer := "http://" + as.Listener.Addr().String()
	w.as = fakeas.New(&fakeas.Options{
		Issuer:        issuer,
		Interval:      time.Second,
		TokenLifetime: time.Hour,
		Clients:       []fakeas.Client{{ID: "notes", Secret: clientKey, RedirectURIs: []string{"http://127.0.0.1/connect/callback"}, RedirectBelow: true}, {ID: hostID}},
	})
	as.Start()
	t.Cleanup(as.Close)

	if !slices.ContainsFunc(flags, func(flag string) bool {
		return slices.Contains([]string{"-introspection-url", "-demo-users", "-single-user"}, flag)
	}) {
		flags = append(flags, "-introspection-url", issuer+"/introspect", "-introspection-id", introID)
	}
	w.logFile = filepath.Join(t.TempDir(), "log")
	w.args = append([]string{
		"-issuer", issuer, "-client-id", "notes", "-api", issuer,
		"-debug", "127.0.0.1:0", "-log", w.logFile,
	}, flags...)
	w.begin()
	return w
}

// environment is what the program finds in its own.
func environment() []string {
	return []string{clientSecretVariable + "=" + clientKey, introspectionSecretVariable + "=" + introKey, storeKeyVariable + "=" + storeKey}
}

// restarts ends the program, and starts it anew, on another port.
func (w *world) restarts() {
	w.t.Helper()
	if err := w.interrupt(); err != nil {
		w.t.Fatal(err)
	}
	w.end()
	w.ended = make(chan struct{})
	w.begin()
}

// begin starts the program.
func (w *world) begin() {
	w.t.Helper()
	var said map[string]string
	var stdout io.Reader
	w.program, w.stderr, said, stdout = listens(w.t, w.args, func(program *exec.Cmd) {
		program.Env = append(program.Env, environment()...)
		program.Cancel = w.interrupt // when the test ends
		program.WaitDelay = enough
	})
	w.ends.Do(func() { w.t.Cleanup(w.end) })
	w.address, w.counterURL, w.base = said["listens on"], said["counters"], strings.TrimSuffix(said[lastSaid], server.LegacyPath)
	w.mu.Lock()
	w.audience = w.base + server.ModernPath
	w.mu.Unlock()
	go func(program *exec.Cmd, ended chan struct{}) {
		defer close(ended)
		_, _ = io.Copy(io.Discard, stdout)
		_ = program.Wait() // end looks at its exit code
	}(w.program, w.ended)
}

// lastSaid is what the last of the lines is about in which the program says where it listens.
const lastSaid = "up to 2025-11-25"

// listens starts the program, and returns when it listens, with what it says of that. Its port is any that is free, which
// with -connect has to be known before: then it is one that was free just now, and another one if somebody has taken that.
func listens(t testing.TB, args []string, prepare func(*exec.Cmd)) (program *exec.Cmd, stderr *bytes.Buffer, said map[string]string, stdout io.Reader) {
	t.Helper()
	for {
		tried := append(slices.Clone(args), "-listen", "127.0.0.1:0")
		if slices.Contains(args, "-connect") {
			tried[len(tried)-1] = freeAddress(t)
		}
		program, stderr = hosttest.Program(t, tried...)
		prepare(program)
		stdout, err := program.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := program.Start(); err != nil {
			t.Fatal(err)
		}
		said = make(map[string]string)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			what, where, _ := strings.Cut(lines.Text(), "  ")
			said[what] = strings.TrimSpace(where)
			if what == lastSaid {
				return program, stderr, said, stdout
			}
		}
		_ = program.Wait() // what it has written says more
		if !strings.Contains(stderr.String(), "address already in use") {
			t.Fatalf("it ended without saying where it listens; stderr: %s", stderr)
		}
	}
}

// freeAddress returns where nobody listens, for now.
func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func (w *world) interrupt() error { return w.program.Process.Signal(os.Interrupt) }

// end waits for the program to end, which was interrupted, and judges it.
func (w *world) end() {
	<-w.ended
	if code := w.program.ProcessState.ExitCode(); code != 0 && runtime.GOOS != "windows" {
		w.t.Errorf("after an interrupt its exit code is %d, want 0", code)
	}
	log, err := os.ReadFile(w.logFile)
	if err != nil {
		w.t.Error(err)
	}
	if w.stderr.Len() > 0 {
		w.t.Errorf("stderr: %s", w.stderr)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, secret := range w.secrets {
		if bytes.Contains(log, []byte(secret)) || strings.Contains(w.stderr.String(), secret) {
			w.t.Errorf("the log holds %q, which is secret", secret)
		}
	}
	for _, violation := range w.as.Violations() {
		if violation.Rule != w.tolerated {
			w.t.Error(violation)
		}
	}
}

// log returns the lines that the program has logged.
func (w *world) log() []string {
	w.t.Helper()
	text, err := os.ReadFile(w.logFile)
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// ServeHTTP is the authorization server: a fakeas, whose secrets are written
// down, and token introspection.
func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.came[r.URL.Path]++
	w.mu.Unlock()
	switch r.URL.Path {
	case "/introspect":
		w.introspect(rw, r)
		return
	case "/me", "/notes":
		w.as.ServeHTTP(rw, r)
		return
	}
	answer := httptest.NewRecorder()
	w.as.ServeHTTP(answer, r)
	var members map[string]any
	_ = json.Unmarshal(answer.Body.Bytes(), &members) // pages have none
	w.mu.Lock()
	for _, name := range []string{"access_token", "refresh_token", "device_code", "user_code"} {
		if value, ok := members[name].(string); ok {
			w.secrets = append(w.secrets, value)
		}
	}
	w.mu.Unlock()
	maps.Copy(rw.Header(), answer.Header())
	rw.WriteHeader(answer.Code)
	_, _ = rw.Write(answer.Body.Bytes())
}

// introspect is the endpoint of RFC 7662, for who knows the secret.
func (w *world) introspect(rw http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	if r.Method != http.MethodPost || id != url.QueryEscape(introID) || secret != url.QueryEscape(introKey) {
		http.Error(rw, "who asks?", http.StatusUnauthorized)
		return
	}
	about := map[string]any{"active": false}
	if access, ok := w.as.Introspect(r.PostFormValue("token")); ok {
		w.mu.Lock()
		audience := w.audience
		w.mu.Unlock()
		if access.ClientID != hostID {
			audience = w.as.API()
		}
		about = map[string]any{
			"active": true, "iss": w.as.Issuer(), "sub": access.Subject, "aud": []string{audience},
			"client_id": access.ClientID, "scope": strings.Join(access.Scopes, " "), "exp": access.Expires.Unix(),
		}
	}
	rw.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(rw).Encode(about)
}

// bearer signs a person in to their host, and returns its bearer token.
func (w *world) bearer(person string) string { return w.token(person, hostID, "") }

// token returns an access token that a client gets for a person.
func (w *world) token(person, client, secret string) string {
	w.t.Helper()
	ask := func(op fakeas.Operation, form url.Values, out any) {
		w.t.Helper()
		if secret == "" {
			form.Set("client_id", client)
		}
		req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.as.URL(op), strings.NewReader(form.Encode()))
		if err != nil {
			w.t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if secret != "" {
			req.SetBasicAuth(client, secret)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			w.t.Fatal(err)
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(out); err != nil || resp.StatusCode != http.StatusOK {
			w.t.Fatalf("%s: status %d, %v", op, resp.StatusCode, err)
		}
	}
	var device struct {
		Code string `json:"device_code"`
		User string `json:"user_code"`
	}
	ask(fakeas.DeviceAuthorization, url.Values{"scope": {"profile"}}, &device)
	if err := w.as.ApproveAs(person, device.User); err != nil {
		w.t.Fatal(err)
	}
	var token struct {
		Access string `json:"access_token"`
	}
	ask(fakeas.Poll, url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {device.Code},
	}, &token)
	return token.Access
}

// arrived returns how many requests have come to the authorization server or
// the API under a path.
func (w *world) arrived(path string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.came[path]
}

// asked returns how often anybody was asked to sign in to the notes service.
func (w *world) asked() int {
	n := 0
	for _, entry := range w.as.Journal() {
		if entry.Operation == fakeas.DeviceAuthorization && entry.ClientID == "notes" {
			n++
		}
	}
	return n
}

// request returns what waits for a person at the authorization server.
func (w *world) request() fakeas.Request {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), enough)
	defer cancel()
	request, err := w.as.WaitForRequest(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	return request
}

// approves has a person approve what waits.
func (w *world) approves(person string) {
	w.t.Helper()
	if err := w.as.ApproveAs(person, w.request().UserCode); err != nil {
		w.t.Fatal(err)
	}
}

// until waits for something to become true.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), enough)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.t.Fatalf("not in %v: %s", enough, what)
		}
	}
}

// waiting waits until so many calls have begun to wait, by the program's own
// account.
func (w *world) waiting(n int) {
	w.t.Helper()
	w.until("enough calls wait", func() bool { return w.counters()["waiting"] >= n })
}

func (w *world) counters() map[string]int {
	w.t.Helper()
	var vars struct{ Lazyauth map[string]int }
	if err := json.Unmarshal(w.debug(w.counterURL), &vars); err != nil {
		w.t.Fatal(err)
	}
	return vars.Lazyauth
}

// metrics returns the same as Prometheus gets it.
func (w *world) metrics() string {
	w.t.Helper()
	return string(w.debug(strings.Replace(w.counterURL, "/debug/vars", "/metrics", 1)))
}

// debug returns what is served at a URL for operators.
func (w *world) debug(url string) []byte {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		w.t.Fatalf("%s: %d, %v", url, resp.StatusCode, err)
	}
	return body
}

// host connects a host of the Go SDK to an endpoint, with a bearer token unless
// that is empty.
func (w *world) host(path, protocol, token string) *hosttest.Host {
	w.t.Helper()
	return hosttest.Connect(w.t, w.as, protocol, &mcp.StreamableClientTransport{
		Endpoint: w.base + path, HTTPClient: &http.Client{Transport: bearing(token)},
	})
}

// bearing is a transport that adds a bearer token.
type bearing string

func (b bearing) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	if b != "" {
		req.Header.Set("Authorization", "Bearer "+string(b))
	}
	return http.DefaultTransport.RoundTrip(req)
}
