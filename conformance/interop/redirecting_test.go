package interop_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A redirecting is a server of MCP that signs people in by a redirect, as a client of its own, in
// this process with a host that shows links.
type redirecting struct {
	*testing.T
	ctx    context.Context // of the story
	as     *provider
	client oidcClient
	auth   *lazyauth.Interceptor
	host   *mcp.ClientSession
	shown  chan string // the links
	log    lockedBuffer
	links  []string
}

// newRedirecting returns one. What it logs is searched for secrets when the test ends.
func newRedirecting(t *testing.T, as *provider) *redirecting {
	t.Helper()
	client := as.register(t, nativeClient)
	r := startRedirecting(t, as, patience, lazyauth.Service{ClientID: client.ID, RedirectURI: nativeClient.RedirectURIs[0]}, lazyauth.Options{})
	r.client = client
	return r
}

// startRedirecting returns one that is the client that the service says.
func startRedirecting(t *testing.T, as *provider, patience time.Duration, service lazyauth.Service, options lazyauth.Options) *redirecting {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	r := &redirecting{T: t, ctx: ctx, as: as, shown: make(chan string, 10)}
	service.Name, service.Issuer, service.APIOrigins, service.UserInfo = "Notes", as.Issuer, []string{as.api.URL}, as.api.URL+"/me"
	service.Flows = []lazyauth.Flow{lazyauth.FlowRedirect}
	options.Trace = lazyauth.SlogTrace(slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	server, auth, err := newServer(service, &options)
	if err != nil {
		t.Fatal(err)
	}
	r.auth = auth
	t.Cleanup(func() {
		if err := auth.Close(); err != nil {
			t.Error(err)
		}
		r.canary()
	})
	near, far := mcp.NewInMemoryTransports()
	if _, err := server.Connect(ctx, near, nil); err != nil {
		t.Fatal(err)
	}
	host := mcp.NewClient(&mcp.Implementation{Name: "interop", Version: "1.0.0"}, &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
		ElicitationHandler: func(_ context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			r.shown <- req.Params.URL
			return &mcp.ElicitResult{Action: "accept"}, nil
		},
	})
	if r.host, err = host.Connect(ctx, far, nil); err != nil {
		t.Fatal(err)
	}
	return r
}

// canary fails if the log has what could be used in a person's stead. The state is such a thing as
// well: who reads it can have another's answer accepted.
func (r *redirecting) canary() {
	r.Helper()
	text := r.log.String()
	var all []exchange
	if err := get(context.WithoutCancel(r.Context()), r.as.management, &all); err != nil {
		r.Fatal(err)
	}
	for _, e := range all {
		if e.ClientID != r.client.ID {
			continue
		}
		for what, secret := range map[string]string{
			"access token": e.AccessToken, "refresh token": e.RefreshToken, "code": e.Code, "verifier": e.Verifier,
			"state": e.State, "pushed request": e.RequestURI,
		} {
			if secret != "" && strings.Contains(text, secret) {
				r.Errorf("a %s in the log:\n%s", what, text)
			}
		}
	}
	for _, link := range r.links {
		if strings.Contains(text, link) {
			r.Errorf("a link in the log:\n%s", text)
		}
	}
	if r.Failed() {
		r.Logf("the log:\n%s", text)
	}
}

// A signIn is one under way.
type signIn struct {
	*redirecting
	link string
	done chan error
}

// A refusal is how a call ended for want of a sign-in.
type refusal struct {
	reason lazyauth.Reason
	text   string
}

func (r refusal) Error() string { return string(r.reason) + ": " + r.text }

// begin calls a tool, and returns when the host has shown the link.
func (r *redirecting) begin(tool string) *signIn {
	r.Helper()
	return r.join(r.ctx, tool).asked()
}

// asked waits until there is a link.
func (s *signIn) asked() *signIn {
	s.Helper()
	select {
	case s.link = <-s.shown:
		s.links = append(s.links, s.link)
	case err := <-s.done:
		s.Fatalf("nobody is asked: %v", err)
	}
	return s
}

// join calls a tool that asks nobody: the person has a link already, or needs none.
func (r *redirecting) join(ctx context.Context, tool string) *signIn {
	s, arguments := &signIn{redirecting: r, done: make(chan error, 1)}, map[string]any{}
	if tool == "create_note" {
		arguments["text"] = "a note"
	}
	go func() {
		res, err := r.host.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: arguments})
		if err == nil && res.IsError {
			var got result
			got, err = asResult(res)
			err = cmp.Or[error](err, refusal{lazyauth.Reason(got.reason()), got.text()})
		}
		s.done <- err
	}()
	return s
}

// beginHere signs in by the program itself, which opens the link, as at a terminal.
func (r *redirecting) beginHere(need string) *signIn {
	r.Helper()
	s := &signIn{redirecting: r, done: make(chan error, 1)}
	go func() {
		s.done <- r.auth.Authorize(r.ctx, lazyauth.LocalUser, scopes.Of(need), func(_ context.Context, p elicit.Prompt) error {
			r.shown <- p.VerificationURI
			return nil
		})
	}()
	return s.asked()
}

// walk has somebody follow the link, and returns where they are sent back to.
func (s *signIn) walk(b browser, v verdict) *url.URL {
	s.Helper()
	caught, err := b.walk(s.ctx, s.link, v)
	if err != nil || caught == nil {
		s.Fatalf("sent back to %v, %v", caught, err)
	}
	return caught
}

// lands loads an address, and fails unless it leads to this page.
func (r *redirecting) lands(b browser, address *url.URL, name string) *page {
	r.Helper()
	at, err := b.load(r.ctx, address)
	if err != nil {
		r.Fatal(err)
	}
	if at.name != name {
		r.Fatalf("landed on the page %q with status %d, want %q: %s", at.name, at.status, name, at.text)
	}
	// Neither the address bar nor the history keep what was brought.
	if name == "signed-in" && (at.url.Path != "/done" || at.url.RawQuery != "") {
		r.Errorf("the last page is at %s", at.url)
	}
	return at
}

// granted waits for the sign-in to end well, for the token to be that of somebody, and for
// the codes that were presented so far to be this many.
func (s *signIn) granted(who string, codes int) exchange {
	s.Helper()
	if err := <-s.done; err != nil {
		s.Fatal(err)
	}
	presented := s.presented()
	if len(presented) != codes {
		s.Errorf("codes were presented %d times, want %d: %+v", len(presented), codes, presented)
	}
	last := presented[len(presented)-1]
	if name, _, err := s.as.api.introspect(s.ctx, last.AccessToken); name != who || err != nil {
		s.Errorf("signed in %q, %v, want %q", name, err, who)
	}
	return last
}

// failed waits for the sign-in to end badly.
func (s *signIn) failed(reason lazyauth.Reason) {
	s.Helper()
	err := <-s.done
	if failed, ok := errors.AsType[refusal](err); !ok || failed.reason != reason {
		s.Errorf("it ended with %v, want %s", err, reason)
	}
}

// presented are the exchanges of codes so far. Each code has a verifier, and none comes twice.
func (r *redirecting) presented() (all []exchange) {
	r.Helper()
	var codes []string
	for _, e := range r.as.of(r.T, r.client) {
		if e.GrantType != "authorization_code" {
			continue
		}
		if e.Verifier == "" || slices.Contains(codes, e.Code) {
			r.Errorf("a code without a verifier, or one that was presented before: %+v", e)
		}
		codes = append(codes, e.Code)
		all = append(all, e)
	}
	return all
}

// A somebody is a browser with the person before it: name is what the notes API calls them.
type somebody struct {
	browser
	name string
}

// A site is where a story is told, and by whom.
type site struct {
	as     *provider
	meet   func(*testing.T) somebody
	script bool // meet starts Chromium
}

// sites returns those where every story is told.
func sites() map[string]site {
	return map[string]site{
		"oidc-provider":                {world.as, plainly, false},
		"oidc-provider, demanding PAR": {world.strict, plainly, false},
		"better-auth, in Chromium":     {world.better["plain"], asMember, true},
	}
}

// andChromium adds oidc-provider with Chromium, for stories in which cookies matter: at this one
// server they can be compared with those of a jar.
func andChromium(all map[string]site) map[string]site {
	all["oidc-provider, in Chromium"] = site{world.strict, inChromium, true}
	return all
}

// plainly returns somebody without script.
func plainly(*testing.T) somebody {
	p := newPerson("ada-" + strings.ToLower(rand.Text()[:8]))
	return somebody{p, p.name}
}

// inChromium returns somebody with Chromium, at oidc-provider.
func inChromium(t *testing.T) somebody {
	t.Helper()
	p := newPerson("ada-" + strings.ToLower(rand.Text()[:8]))
	return somebody{newSurfer(t, p, p.name, providerLook), p.name}
}

// asMember returns somebody with an account at better-auth, and Chromium.
func asMember(t *testing.T) somebody {
	t.Helper()
	return asMemberOf(t, world.better["plain"])
}

// asMemberOf returns one with an account at a tenant of it.
func asMemberOf(t *testing.T, as *provider) somebody {
	t.Helper()
	v, err := as.meet(t.Context(), as)
	if err != nil {
		t.Fatal(err)
	}
	return somebody{newSurfer(t, v.self(), v.(member).email, betterAuthLook), v.self().name}
}

// tellAt tells a story at several sites, at the same time.
func tellAt(t *testing.T, all map[string]site, tell func(t *testing.T, as *provider, meet func(*testing.T) somebody)) {
	t.Helper()
	t.Parallel()
	for name, of := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if of.script {
				seat(t)
			}
			tell(t, of.as, of.meet)
		})
	}
}
