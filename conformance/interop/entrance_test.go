package interop_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/oidcsignin"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

// An entrance is a server of MCP for many people, over HTTP, whose authorization server is the issuer of everything:
// of the bearer tokens that hosts call with, of the sign-in at the connect page, and of the service's own tokens.
type entrance struct {
	*testing.T
	ctx      context.Context // of the story
	as       *provider
	base     string
	signIn   *oidcsignin.SignIn
	hosts    oidcClient // who the hosts are
	log      lockedBuffer
	endpoint endpoints
}

// byRedirect is what clients do here: a host, the page, and the service's client. None has a device flow.
var byRedirect = []string{"authorization_code", "refresh_token"}

// hostClient is a host, where its person signs in to the MCP server.
var hostClient = oidcClient{
	Auth: "none", Name: "Host", ApplicationType: "native", RedirectURIs: []string{"http://127.0.0.1/callback"}, GrantTypes: byRedirect,
}

// newEntrance returns one where people are compared by this, if its sign-in can work at all.
func newEntrance(t *testing.T, as *provider, era era, identity oidcsignin.Identity) (*entrance, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	e := &entrance{T: t, ctx: ctx, as: as, endpoint: as.endpoints(t)}
	log := slog.New(slog.NewTextHandler(&e.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	mux := http.NewServeMux()
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	e.base = web.URL
	connect := web.URL + "/connect"
	e.hosts = as.register(t, hostClient)
	client := as.register(t, oidcClient{Auth: "client_secret_basic", Name: "Connect page", RedirectURIs: []string{connect + "/signed-in"}, GrantTypes: byRedirect})
	var err error
	e.signIn, err = oidcsignin.New(oidcsignin.Options{
		Issuer: as.Issuer, ClientID: client.ID, ClientSecret: client.Secret, PublicURL: connect, Identity: identity, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.signIn.Check(ctx); err != nil {
		return nil, err
	}
	page, err := lazyauth.NewConnectPage(lazyauth.ConnectOptions{PublicURL: connect, SignIn: e.signIn})
	if err != nil {
		t.Fatal(err)
	}
	mux.Handle("/connect", page)
	mux.Handle("/connect/", page)

	service := lazyauth.Service{
		Name: "Notes", Issuer: as.Issuer, APIOrigins: []string{as.api.URL}, Flows: []lazyauth.Flow{lazyauth.FlowRedirect}, ConnectPage: page,
	}
	notes := as.register(t, oidcClient{Auth: "none", Name: "Notes", RedirectURIs: []string{page.RedirectURI(service)}, GrantTypes: byRedirect})
	service.ClientID = notes.ID
	server, interceptor, err := newServer(service, &lazyauth.Options{Trace: lazyauth.SlogTrace(log)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := interceptor.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the log:\n%s", e.log.String())
		}
		var all []exchange
		if err := get(context.WithoutCancel(ctx), as.management, &all); err != nil {
			t.Fatal(err)
		}
		text := e.log.String()
		for _, x := range append(all, exchange{ClientID: client.ID, Code: client.Secret, State: url.QueryEscape(client.Secret)}) {
			for _, secret := range []string{x.Code, x.Verifier, x.State, x.AccessToken} {
				if x.ClientID == client.ID && secret != "" && strings.Contains(text, secret) {
					t.Errorf("a secret of the sign-in is in the log: %+v", x)
				}
			}
		}
	})
	mux.Handle("/mcp", auth.RequireBearerToken(e.verify, nil)(mcp.NewStreamableHTTPHandler(
		func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: era == modern})))
	return e, nil
}

// verify asks the authorization server whose a bearer token is, and makes the person of that whom the page knows.
// What it is for (aud) it does not look at, as a server must that is not for tests.
func (e *entrance) verify(ctx context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.as.Introspection, strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(apiClient.ID), url.QueryEscape(apiClient.Secret))
	claims := oidcsignin.Claims{}
	if err := decode(req, http.StatusOK, &claims); err != nil {
		return nil, err
	}
	who, err := e.signIn.Principal(claims)
	if claims["active"] != true || err != nil {
		return nil, errors.Join(auth.ErrInvalidToken, err)
	}
	return &auth.TokenInfo{UserID: who.Subject, Extra: map[string]any{"iss": who.Issuer}, Expiration: time.Now().Add(time.Hour)}, nil
}

// A caller is a person's host that calls, with the bearer token that they have got it.
type caller struct {
	*entrance
	link string
	done chan error
}

// calls has a person sign in for their host, at the authorization server's own pages, and that call a tool. It returns
// when they are shown a link.
func (e *entrance) calls(p *person, era era) *caller {
	e.Helper()
	return e.callsWith(e.bearer(p, "openid profile"), era)
}

// bearer has a person sign in for their host, and returns the token that it gets.
func (e *entrance) bearer(p *person, scope string, more ...oauth2.AuthCodeOption) *oauth2.Token {
	e.Helper()
	if e.as == world.strict { // which golang.org/x/oauth2 does not know how to ask
		asked := e.as.redirectTo(e.T, hostClient.RedirectURIs[0], e.hosts, scope, true)
		back, err := p.walk(e.ctx, asked.address, approves)
		code := e.as.sentBack(e.T, asked, back, err, "code")
		return &oauth2.Token{AccessToken: e.as.exchange(e.T, e.hosts, asked, code).AccessToken}
	}
	config := oauth2.Config{
		ClientID: e.hosts.ID, RedirectURL: "http://127.0.0.1/callback", Scopes: []string{scope},
		Endpoint: oauth2.Endpoint{AuthURL: e.endpoint.Authorization, TokenURL: e.endpoint.Token, AuthStyle: oauth2.AuthStyleInParams},
	}
	verifier := oauth2.GenerateVerifier()
	back, err := p.walk(e.ctx, config.AuthCodeURL("of-the-host", append(more, oauth2.S256ChallengeOption(verifier))...), approves)
	if err != nil {
		e.Fatal(err)
	}
	token, err := config.Exchange(e.ctx, back.Query().Get("code"), append(more, oauth2.VerifierOption(verifier))...)
	if err != nil {
		e.Fatal(err)
	}
	return token
}

// callsWith has a host call with this token.
func (e *entrance) callsWith(token *oauth2.Token, era era) *caller {
	e.Helper()
	c, links := &caller{entrance: e, done: make(chan error, 1)}, make(chan string, 1)
	host := mcp.NewClient(&mcp.Implementation{Name: "interop", Version: "1.0.0"}, &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
		ElicitationHandler: func(_ context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			links <- req.Params.URL
			return &mcp.ElicitResult{Action: "accept"}, nil
		},
	})
	session, err := host.Connect(e.ctx, &mcp.StreamableClientTransport{
		Endpoint: e.base + "/mcp", HTTPClient: oauth2.NewClient(context.WithValue(e.ctx, oauth2.HTTPClient, &http.Client{Transport: direct}), oauth2.StaticTokenSource(token)),
	}, &mcp.ClientSessionOptions{ProtocolVersion: string(era)})
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() { session.Close() })
	go func() {
		result, err := session.CallTool(e.ctx, &mcp.CallToolParams{Name: "whoami"})
		if err == nil && result.IsError {
			err = errors.New(text0(result))
		}
		c.done <- err
	}()
	select {
	case c.link = <-links:
	case err := <-c.done:
		e.Fatalf("nobody is asked: %v", err)
	}
	return c
}

// text0 returns the first text of a result.
func text0(result *mcp.CallToolResult) string {
	for _, content := range result.Content {
		if text, ok := content.(*mcp.TextContent); ok {
			return text.Text
		}
	}
	return ""
}

// waits demands that the call was not answered.
func (c *caller) waits() {
	c.Helper()
	select {
	case err := <-c.done:
		c.Fatalf("the call was answered: %v", err)
	default:
	}
}

// succeeds demands that it is.
func (c *caller) succeeds() {
	c.Helper()
	if err := <-c.done; err != nil {
		c.Error(err)
	}
}
