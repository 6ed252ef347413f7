package redirect_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/internal/pipenet"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/redirect"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

const (
	issuer   = "https://as.example"
	endpoint = "https://as.example/authorize?tenant=7"
)

// exchange is one that the server was asked for.
type exchange struct{ code, uri, verifier, scope string }

// server is the authorization server as this client speaks to it, by script. A code that it knows
// brings a token.
type server struct {
	mu        sync.Mutex
	good      map[string]bool
	answers   []func(context.Context) (*oauth.Token, error) // of exchanges, before what codes decide
	exchanges []exchange
	pushes    []url.Values
	pushFails error
	pushLife  time.Duration
	pushTakes time.Duration

	endpoints oauth.Endpoints
	id        string
	params    url.Values
}

func (s *server) Endpoints() oauth.Endpoints    { return s.endpoints }
func (s *server) ClientID() string              { return s.id }
func (s *server) AuthorizationForm() url.Values { return maps.Clone(s.params) }

func (s *server) SetScopes(request url.Values, asked scopes.Set) {
	if !asked.IsEmpty() {
		request.Set("scope", asked.String())
	}
}

// newServer returns one that has what it needs, and knows the code good.
func newServer() *server {
	return &server{
		good: map[string]bool{"good": true}, pushLife: time.Hour, id: "notes-client",
		endpoints: oauth.Endpoints{Issuer: issuer, Authorization: endpoint, Features: oauth.Features{S256: true}},
		params:    url.Values{"resource": {"https://api.example/"}},
	}
}

func (s *server) Exchange(ctx context.Context, code, uri, verifier string, asked scopes.Set) (*oauth.Token, error) {
	s.mu.Lock()
	s.exchanges = append(s.exchanges, exchange{code, uri, verifier, asked.String()})
	var answer func(context.Context) (*oauth.Token, error)
	if len(s.answers) > 0 {
		answer, s.answers = s.answers[0], s.answers[1:]
	}
	good := s.good[code]
	s.mu.Unlock()
	switch {
	case answer != nil:
		return answer(ctx)
	case good:
		return &oauth.Token{Access: "access-" + code, Type: "Bearer", Scopes: asked}, nil
	}
	return nil, &oauth.Error{Op: "code", Kind: oauth.ErrCode, Code: "invalid_grant", Status: 400}
}

func (s *server) Push(_ context.Context, form url.Values) (*oauth.Pushed, error) {
	time.Sleep(s.pushTakes)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pushes = append(s.pushes, form)
	if s.pushFails != nil {
		return nil, s.pushFails
	}
	return &oauth.Pushed{RequestURI: fmt.Sprintf("urn:ietf:params:oauth:request_uri:%d", len(s.pushes)), Expires: time.Now().Add(s.pushLife)}, nil
}

func (s *server) sent() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var codes []string
	for _, e := range s.exchanges {
		codes = append(codes, e.code)
	}
	return codes
}

// world is one sign-in with all that is around it.
type world struct {
	*testing.T
	machine *pipenet.Machine
	server  *server
	flow    *redirect.Flow
	auth    *redirect.Authorization
	events  []authcode.Event // of Wait's goroutine, until result
	result  chan result
}

type result struct {
	token *oauth.Token
	err   error
}

type setup struct {
	request redirect.Request
	config  func(*redirect.Config)
	server  func(*server)
}

func newWorld(t *testing.T, s setup) *world {
	t.Helper()
	w := &world{T: t, machine: new(pipenet.Machine), server: newServer()}
	if s.server != nil {
		s.server(w.server)
	}
	config := redirect.Config{
		Client: w.server, Service: "Notes", Listen: w.machine.Listen,
	}
	if s.config != nil {
		s.config(&config)
	}
	flow, err := redirect.New(config)
	if err != nil {
		t.Fatal(err)
	}
	w.flow = flow
	w.begin(s.request)
	return w
}

// begin begins a sign-in and waits for it.
func (w *world) begin(request redirect.Request) {
	w.Helper()
	auth, err := w.flow.Begin(w.Context(), request, func(context.Context) scopes.Set { return scopes.Of("notes:read", "profile") })
	if err != nil {
		w.Fatal(err)
	}
	w.wait(w.Context(), auth)
}

func (w *world) wait(ctx context.Context, auth *redirect.Authorization) {
	w.auth, w.result, w.events = auth, make(chan result, 1), nil
	done := w.result
	go func() {
		token, err := auth.Wait(ctx, func(e authcode.Event) { w.events = append(w.events, e) })
		done <- result{token, err}
	}()
	w.Cleanup(func() { auth.Finish(canceled(), redirect.Outcome{}) })
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// token waits for the token.
func (w *world) token() *oauth.Token {
	w.Helper()
	r := <-w.result
	if r.err != nil {
		w.Fatalf("no token: %v", r.err)
	}
	return r.token
}

// waits fails the test if the sign-in has ended.
func (w *world) waits() {
	w.Helper()
	synctest.Wait()
	select {
	case r := <-w.result:
		w.Fatalf("it ended: %v, %v", r.token, r.err)
	default:
	}
}

// fails waits for the error.
func (w *world) fails(kind error) error {
	w.Helper()
	r := <-w.result
	if !errors.Is(r.err, kind) {
		w.Fatalf("got %v, want %v", r.err, kind)
	}
	return r.err
}

// browser is one with cookies of its own, which follows no redirect by itself.
type browser struct {
	*testing.T
	client *http.Client
}

func (w *world) browser() *browser {
	jar, _ := cookiejar.New(nil)
	transport := &http.Transport{DialContext: w.machine.Dial, DisableKeepAlives: true}
	return &browser{w.T, &http.Client{
		Jar: jar, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// page is what a browser gets.
type page struct {
	status   int
	header   http.Header
	body     string
	location string
}

var dataPage = regexp.MustCompile(`data-page="([a-z-]+)"`)

// name is that of the page's view.
func (p page) name() string {
	if m := dataPage.FindStringSubmatch(p.body); m != nil {
		return m[1]
	}
	return ""
}

// get loads an address as a person's browser does, and with other headers if they are given, in
// pairs.
func (b *browser) get(address string, headers ...string) page {
	return b.do(http.MethodGet, address, nil, headers...)
}

func (b *browser) do(method, address string, body io.Reader, headers ...string) page {
	b.Helper()
	req, err := http.NewRequest(method, address, body)
	if err != nil {
		b.Fatal(err)
	}
	for name, value := range map[string]string{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "cross-site"} {
		req.Header.Set(name, value)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		} else {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	resp, err := b.client.Do(req)
	if err != nil {
		b.Fatalf("%s %s: %v", method, address, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	return page{resp.StatusCode, resp.Header, string(text), resp.Header.Get("Location")}
}

// wants fails the test if the page is another one.
func (p page) wants(t *testing.T, status int, name string) page {
	t.Helper()
	if p.status != status || p.name() != name {
		t.Fatalf("got %d %q, want %d %q\n%s", p.status, p.name(), status, name, p.location)
	}
	return p
}

// parameters returns those of an authorization request that a browser was sent to.
func parameters(t *testing.T, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil || u.Scheme+"://"+u.Host+u.Path != "https://as.example/authorize" {
		t.Fatalf("not the authorization endpoint: %s", address)
	}
	return u.Query()
}

// state returns the state that a browser was given at the start page, by the link, or by the push.
func (w *world) state(b *browser) string {
	w.Helper()
	switch w.auth.Kind() {
	case redirect.Start:
		p := b.get(w.auth.Link())
		if p.status != http.StatusSeeOther {
			w.Fatalf("the start page answers %d", p.status)
		}
		return parameters(w.T, p.location).Get("state")
	case redirect.Pushed:
		return w.server.pushes[len(w.server.pushes)-1].Get("state")
	default:
		return parameters(w.T, w.auth.Link()).Get("state")
	}
}

// back loads the redirect URI with these parameters, in pairs, as the server would have it.
func (w *world) back(b *browser, pairs ...string) page {
	w.Helper()
	query := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		query.Add(pairs[i], pairs[i+1])
	}
	return b.get(w.auth.RedirectURI() + "?" + query.Encode())
}

// done fails the test unless the browser was sent on to the last page, and loads that.
func (w *world) done(b *browser, p page) page {
	w.Helper()
	at, err := url.Parse(w.auth.RedirectURI())
	if err != nil {
		w.Fatal(err)
	}
	if p.status != http.StatusSeeOther || p.location != "http://"+at.Host+"/done" {
		w.Fatalf("got %d %s %q", p.status, p.location, p.name())
	}
	return b.get(p.location)
}

// everyKind runs a story with each kind of link.
func everyKind(t *testing.T, story func(t *testing.T, s setup)) {
	for kind, s := range map[redirect.Kind]setup{
		redirect.Start:  {request: redirect.Request{Link: redirect.Opened}},
		redirect.Pushed: {server: pushes},
		redirect.Plain:  {},
	} {
		t.Run(string(kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { story(t, s) })
		})
	}
}

func pushes(s *server) { s.endpoints.PushedAuthorization = "https://as.example/par" }

func pushesOnly(s *server) {
	pushes(s)
	s.endpoints.Features.PushedOnly = true
}

// pushesForAMinute is a server whose pushed requests end soon.
func pushesForAMinute(s *server) {
	pushes(s)
	s.pushLife = time.Minute
}

func pushesOnlyForAMinute(s *server) {
	pushesOnly(s)
	s.pushLife = time.Minute
}

func nothingMore(context.Context) scopes.Set { return scopes.Of("notes:read") }
