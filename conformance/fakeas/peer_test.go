package fakeas_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// peer is a client that does exactly what a test says.
type peer struct {
	t        *testing.T
	as       *fakeas.Server
	client   *http.Client
	verifier string // of the last authorization URL, as is
	state    string
}

// newPeer reaches a server in process.
func newPeer(t *testing.T, opts *fakeas.Options) *peer {
	t.Helper()
	as := fakeas.New(opts)
	return &peer{t: t, as: as, client: &http.Client{Transport: as.Transport()}}
}

// listen makes a server on a listener, and a peer of it.
func listen(t *testing.T, opts fakeas.Options) *peer {
	t.Helper()
	ts := httptest.NewUnstartedServer(nil)
	opts.Issuer = "http://" + ts.Listener.Addr().String()
	as := fakeas.New(&opts)
	ts.Config.Handler = as
	ts.Start()
	t.Cleanup(ts.Close)
	return &peer{t: t, as: as, client: ts.Client()}
}

// answer is what came back.
type answer struct {
	status  int
	header  http.Header
	body    string
	members map[string]any
}

func (a answer) text(name string) string {
	text, _ := a.members[name].(string)
	return text
}

// do sends a request and reads the answer, or returns the error.
func (p *peer) do(req *http.Request) (answer, error) {
	p.t.Helper()
	resp, err := p.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	a := answer{status: resp.StatusCode, header: resp.Header, body: string(body)}
	json.Unmarshal(body, &a.members) // some answers are no JSON, and then have no members
	return a, err
}

// must is do without an error.
func (p *peer) must(req *http.Request) answer {
	p.t.Helper()
	a, err := p.do(req)
	if err != nil {
		p.t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	return a
}

func (p *peer) request(method, address, contentType, body string) *http.Request {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return req
}

// form makes a request to an operation from pairs of names and values. It
// comes from the default client unless a pair says otherwise.
func (p *peer) form(op fakeas.Operation, pairs ...string) *http.Request {
	p.t.Helper()
	values := url.Values{"client_id": {fakeas.DefaultClientID}}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return p.request(http.MethodPost, p.as.URL(op), "application/x-www-form-urlencoded", values.Encode())
}

// authorize gets a device code.
func (p *peer) authorize(scope string) answer {
	p.t.Helper()
	a := p.must(p.form(fakeas.DeviceAuthorization, "scope", scope))
	if a.status != http.StatusOK {
		p.t.Fatalf("device authorization: %d %s", a.status, a.body)
	}
	return a
}

func (p *peer) pollRequest(deviceCode string) *http.Request {
	p.t.Helper()
	return p.form(fakeas.Poll, "grant_type", deviceGrant, "device_code", deviceCode)
}

// poll returns the OAuth error, or "ok".
func (p *peer) poll(deviceCode string) string {
	p.t.Helper()
	return outcome(p.must(p.pollRequest(deviceCode)))
}

func outcome(a answer) string {
	if code := a.text("error"); code != "" {
		return code
	}
	if a.text("access_token") != "" {
		return "ok"
	}
	return "nothing"
}

// login goes all the way to a token answer.
func (p *peer) login(scope string) answer {
	p.t.Helper()
	d := p.authorize(scope)
	if err := p.as.Approve(d.text("user_code")); err != nil {
		p.t.Fatal(err)
	}
	a := p.must(p.pollRequest(d.text("device_code")))
	if outcome(a) != "ok" {
		p.t.Fatalf("poll: %s", a.body)
	}
	return a
}

func (p *peer) refresh(token string, pairs ...string) answer {
	p.t.Helper()
	return p.must(p.form(fakeas.Refresh, append([]string{"grant_type", "refresh_token", "refresh_token", token}, pairs...)...))
}

// call calls the API with a bearer token and returns the answer.
func (p *peer) call(op fakeas.Operation, token string) answer {
	p.t.Helper()
	method, contentType, body := http.MethodGet, "", ""
	if op == fakeas.CreateNote {
		method, contentType, body = http.MethodPost, "application/json", `{"text":"buy milk"}`
	}
	req := p.request(method, p.as.URL(op), contentType, body)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return p.must(req)
}

// flawless fails the test if the server saw a violation.
func (p *peer) flawless() {
	p.t.Helper()
	for _, v := range p.as.Violations() {
		p.t.Errorf("violation: %v", v)
	}
}

// broke returns the rules that were broken.
func (p *peer) broke() []fakeas.Rule {
	var rules []fakeas.Rule
	for _, v := range p.as.Violations() {
		rules = append(rules, v.Rule)
	}
	return rules
}

// wantOutcomes compares outcomes in order.
func wantOutcomes(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("outcomes %q, want %q", got, want)
	}
}
