package zitadel_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// patience bounds every story, on a busy machine as well.
const patience = 3 * time.Minute

// A host has a server of its own with one tool, which asks the provider who the person
// is.
type host struct {
	*testing.T
	ctx     context.Context
	session *mcp.ClientSession
	auth    *lazyauth.Interceptor
	wire    *wire
	prompts chan string // the codes that the person was shown
}

// newHost connects a host that speaks era to a new server, which keeps its grants in
// kept, unless that is nil.
func newHost(t *testing.T, p *provider, era string, client string, kept store.Store) *host {
	t.Helper()
	h := &host{T: t, wire: &wire{used: map[string]int{}}, prompts: make(chan string, 10)}
	options := &lazyauth.Options{Transport: h.wire}
	if kept != nil {
		options.Store = kept
	}
	var err error
	h.auth, err = lazyauth.New(lazyauth.Service{
		Name: "Zitadel", Issuer: p.issuer, ClientID: client, APIOrigins: []string{p.url("")}, UserInfo: p.url("/userinfo"),
		Scopes: scopes.Of("openid", "profile", "offline_access"), Dialect: userInfoDemand,
	}, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.auth.Close(); err != nil {
			t.Error(err)
		}
	})
	server := mcp.NewServer(&mcp.Implementation{Name: "who", Version: "1"}, nil)
	lazyauth.AddTool(server, h.auth, &mcp.Tool{Name: "whoami"}, scopes.Of("profile"),
		func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (_ *mcp.CallToolResult, out who, err error) {
			res, err := lazyauth.Client(ctx).Get(p.url("/userinfo"))
			if err != nil {
				return nil, out, err
			}
			defer res.Body.Close()
			if res.StatusCode != http.StatusOK {
				return nil, out, fmt.Errorf("the provider says %s", res.Status)
			}
			return nil, out, json.NewDecoder(res.Body).Decode(&out)
		})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	h.ctx = ctx
	here, there := mcp.NewInMemoryTransports()
	// The session outlives the test's context, which ends before Cleanup.
	if _, err := server.Connect(context.WithoutCancel(ctx), there, nil); err != nil {
		t.Fatal(err)
	}
	browser := mcp.NewClient(&mcp.Implementation{Name: "host", Version: "1"}, &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
		ElicitationHandler: func(_ context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			if req.Params.URL != p.url("/device") {
				t.Errorf("asked to open %q", req.Params.URL)
			}
			h.prompts <- req.Params.Message
			return &mcp.ElicitResult{Action: "accept"}, nil
		},
	})
	h.session, err = browser.Connect(context.WithoutCancel(ctx), here, &mcp.ClientSessionOptions{ProtocolVersion: era})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.session.Close() })
	return h
}

type who struct {
	Subject string `json:"sub"`
	Name    string `json:"name"`
}

// userInfoDemand is the dialect of zitadel's UserInfo endpoint: to a token that has
// ended or was revoked it says 403 and no challenge, where RFC 6750 §3.1 has 401 and
// invalid_token.
func userInfoDemand(status int, header http.Header) (scopes.Demand, error) {
	if status == http.StatusForbidden {
		return scopes.Demand{Fresh: true, SignIn: true}, nil
	}
	return scopes.BearerDemand(status, header)
}

// A wire is the way to the provider. It notes what tokens came over it, and how often
// each refresh token was sent back.
type wire struct {
	mu              sync.Mutex
	access, refresh []string
	used            map[string]int
	codes           int // device authorizations
	code            string
}

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		sent, err := io.ReadAll(req.Body)
		req.Body.Close()
		if err != nil {
			return nil, err
		}
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(bytes.NewReader(sent))
		if form, err := url.ParseQuery(string(sent)); err == nil && form.Get("grant_type") == "refresh_token" {
			w.mu.Lock()
			w.used[form.Get("refresh_token")]++
			w.mu.Unlock()
		}
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	var given struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		Code    string `json:"user_code"`
	}
	if json.Unmarshal(body, &given) == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		if given.Access != "" {
			w.access, w.refresh = append(w.access, given.Access), append(w.refresh, given.Refresh)
		}
		if given.Code != "" {
			w.code = given.Code
			w.codes++
		}
	}
	return res, nil
}

// last returns the tokens that came last, and how many came.
func (w *wire) last(t *testing.T) (access, refresh string, n int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.access) == 0 {
		t.Fatal("no token came")
	}
	n = len(w.access)
	return w.access[n-1], w.refresh[n-1], n
}

// presented adds how often each refresh token was sent back.
func (w *wire) presented(used map[string]int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for token, n := range w.used {
		used[token] += n
	}
}

// asked returns how often the person was asked for.
func (w *wire) asked() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.codes
}

// A reply is what a call came to.
type reply struct {
	*mcp.CallToolResult
	err error
}

// begin makes a call.
func (h *host) begin() <-chan reply {
	out := make(chan reply, 1)
	go func() {
		result, err := h.session.CallTool(h.ctx, &mcp.CallToolParams{Name: "whoami"})
		out <- reply{result, err}
	}()
	return out
}

// code waits until the person was shown the code.
func (h *host) code() string {
	h.Helper()
	select {
	case message := <-h.prompts:
		h.wire.mu.Lock()
		defer h.wire.mu.Unlock()
		if !strings.Contains(message, h.wire.code) {
			h.Errorf("the code is not in %q", message)
		}
		return h.wire.code
	case <-h.ctx.Done():
		h.Fatal("nobody was asked")
	}
	panic("unreachable")
}

// succeeds demands the person's name, in the result and in its _meta.
func (h *host) succeeds(r reply) {
	h.Helper()
	switch {
	case r.err != nil:
		h.Fatal(r.err)
	case r.IsError:
		h.Fatalf("the call failed: %s", r.text())
	case !strings.Contains(r.text(), "Test User2"):
		h.Errorf("the call returned %q", r.text())
	case r.Meta[lazyauth.MetaAccount] != userName:
		h.Errorf("the result names %v", r.Meta[lazyauth.MetaAccount])
	}
}

func (h *host) fails(r reply, want lazyauth.Reason) {
	h.Helper()
	switch {
	case r.err != nil:
		h.Fatal(r.err)
	case !r.IsError || r.Meta[lazyauth.MetaReason] != string(want):
		h.Errorf("the call returned %q (%v), want the reason %s", r.text(), r.Meta[lazyauth.MetaReason], want)
	}
}

func (r reply) text() string {
	var b strings.Builder
	for _, c := range r.Content {
		if t, ok := c.(*mcp.TextContent); ok {
			b.WriteString(t.Text)
		}
	}
	return b.String()
}

// bothEras tells a story in each era of the protocol.
func bothEras(t *testing.T, story func(t *testing.T, era string)) {
	t.Parallel()
	for _, era := range []string{"2025-11-25", "2026-07-28"} {
		t.Run(era, func(t *testing.T) {
			t.Parallel()
			story(t, era)
		})
	}
}

// A grant's life: asked for once, refreshed with rotation, revoked at the provider, and
// asked for anew.
func TestLife(t *testing.T) {
	bothEras(t, func(t *testing.T, era string) {
		p := startProvider(t, lasting, fleeting)
		h := newHost(t, p, era, clientID, nil)
		call := h.begin()
		p.approve(t, h.code())
		h.succeeds(<-call)

		h.untilRefreshed(3)
		if n := h.wire.asked(); n != 1 {
			t.Errorf("the person was asked %d times", n)
		}
		used := map[string]int{}
		h.wire.presented(used)
		for _, n := range used {
			if n != 1 {
				t.Errorf("a refresh token was presented %d times", n)
			}
		}

		access, refresh, _ := h.wire.last(t)
		if err := h.auth.Revoke(t.Context(), lazyauth.LocalUser); err != nil {
			t.Fatal(err)
		}
		get(t, p.url("/userinfo"), access, http.StatusForbidden)
		p.refreshes(t, refresh, http.StatusBadRequest, "invalid_grant")

		call = h.begin()
		p.approve(t, h.code())
		h.succeeds(<-call)
		if n := h.wire.asked(); n != 2 {
			t.Errorf("the person was asked %d times", n)
		}
	})
}

// untilRefreshed makes calls, all of which succeed, until so many refreshes brought
// tokens.
func (h *host) untilRefreshed(times int) {
	h.Helper()
	every := time.NewTicker(100 * time.Millisecond)
	defer every.Stop()
	for {
		h.succeeds(<-h.begin())
		if _, _, n := h.wire.last(h.T); n > times { // the first is not from a refresh
			return
		}
		select {
		case <-every.C:
		case <-h.ctx.Done():
			h.Fatal("it is not refreshed")
		}
	}
}

// Somebody else ends the grant at the provider: the next call finds out, and asks the
// person, once.
func TestRevokedElsewhere(t *testing.T) {
	bothEras(t, func(t *testing.T, era string) {
		p := startProvider(t, lasting, lasting)
		h := newHost(t, p, era, clientID, nil)
		call := h.begin()
		p.approve(t, h.code())
		h.succeeds(<-call)
		_, refresh, _ := h.wire.last(t)
		post[any](t, p.url("/revoke"), http.StatusOK, "client_id", clientID, "token", refresh)
		call, other := h.begin(), h.begin()
		p.approve(t, h.code())
		h.succeeds(<-call)
		h.succeeds(<-other)
		if n := h.wire.asked(); n != 2 {
			t.Errorf("the person was asked %d times", n)
		}
	})
}

// Two servers with one file, one of each era: whoever refreshes does it for both, and the
// other one's grant is there after a restart of ours.
func TestSharedFile(t *testing.T) {
	t.Parallel()
	p := startProvider(t, lasting, fleeting)
	folder := t.TempDir() + "/grants"
	open := func() store.Store {
		kept, err := store.File(folder, []byte("a key for tests, of 32 bytes ..."))
		if err != nil {
			t.Fatal(err)
		}
		return kept
	}
	one, two := newHost(t, p, "2025-11-25", clientID, open()), newHost(t, p, "2026-07-28", clientID, open())
	call := one.begin()
	p.approve(t, one.code())
	one.succeeds(<-call)
	two.succeeds(<-two.begin())

	expiry := time.NewTicker(fleeting)
	defer expiry.Stop()
	used := map[string]int{}
	for len(used) < 3 {
		select {
		case <-expiry.C:
		case <-one.ctx.Done():
			t.Fatalf("%d refresh tokens were used", len(used))
		}
		a, b := one.begin(), two.begin()
		one.succeeds(<-a)
		two.succeeds(<-b)
		clear(used)
		for _, h := range []*host{one, two} {
			h.wire.presented(used)
		}
	}
	for _, n := range used {
		if n != 1 {
			t.Errorf("a refresh token was presented %d times", n)
		}
	}
	if n := one.wire.asked() + two.wire.asked(); n != 1 {
		t.Errorf("the person was asked %d times", n)
	}
	three := newHost(t, p, "2026-07-28", clientID, open())
	three.succeeds(<-three.begin())
	if n := three.wire.asked(); n != 0 {
		t.Errorf("the person was asked %d times after a restart", n)
	}
}

// The ways in which nothing comes of it.
func TestNothingGranted(t *testing.T) {
	for name, test := range map[string]struct {
		life   time.Duration // of the code
		client string
		does   func(p *provider, t *testing.T, userCode string)
		reason lazyauth.Reason
	}{
		"denied":  {lasting, clientID, (*provider).deny, lazyauth.ReasonDenied},
		"expired": {fleeting, clientID, func(*provider, *testing.T, string) {}, lazyauth.ReasonExpired},
		// It has no other word for a code that it does not know, so that a restart
		// looks like a refusal.
		"unknown code": {lasting, clientID, func(p *provider, t *testing.T, _ string) { p.restart(t) }, lazyauth.ReasonDenied},
		// It takes that for a fault of its own.
		"unknown client": {lasting, "nobody", nil, lazyauth.ReasonUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			bothEras(t, func(t *testing.T, era string) {
				p := startProvider(t, test.life, lasting)
				h := newHost(t, p, era, test.client, nil)
				call := h.begin()
				if test.does != nil {
					test.does(p, t, h.code())
				}
				h.fails(<-call, test.reason)
				if test.does == nil {
					return
				}
				if test.life != lasting { // the next code is not to expire
					p.codes = lasting
					p.restart(t)
				}
				// The next call asks anew.
				call = h.begin()
				p.approve(t, h.code())
				h.succeeds(<-call)
			})
		})
	}
}
