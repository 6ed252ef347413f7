package interop_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// oidcClient is a client as it registers itself (RFC 7591). better-auth ignores
// the two lifetimes.
type oidcClient struct {
	ID             string `json:"client_id,omitempty"`
	Secret         string `json:"client_secret,omitempty"`
	Auth           string `json:"token_endpoint_auth_method"`
	Name           string `json:"client_name,omitempty"`
	DeviceCodeTTL  int    `json:"device_code_ttl,omitempty"`  // seconds, 0 is ten minutes
	AccessTokenTTL int    `json:"access_token_ttl,omitempty"` // seconds, 0 is an hour

	GrantTypes    []string `json:"grant_types"`
	ResponseTypes []string `json:"response_types"`

	ApplicationType string   `json:"application_type,omitempty"`
	RedirectURIs    []string `json:"redirect_uris,omitempty"`
}

// Kinds of clients, to be registered. A hasty one has device codes that live for twelve
// seconds, for which a busy machine may need some to bring a code to the person; a forgetful
// one has access tokens that live for ten, give or take the second that the provider rounds away. They have to be good for a call after the refresh that has brought them.
var (
	publicClient    = oidcClient{Auth: "none", Name: "Notes"}
	basicClient     = oidcClient{Auth: "client_secret_basic", Name: "Notes, basic"}
	postClient      = oidcClient{Auth: "client_secret_post", Name: "Notes, post"}
	hastyClient     = oidcClient{Auth: "none", Name: "Notes, hasty", DeviceCodeTTL: 12}
	forgetfulClient = oidcClient{Auth: "none", Name: "Notes, forgetful", AccessTokenTTL: 10}

	// A native one is sent back to this machine, on any port (RFC 8252 §7.3).
	nativeClient = oidcClient{
		Auth: "none", Name: "Notes, native", ApplicationType: "native", RedirectURIs: []string{"http://127.0.0.1/callback/notes"},
	}
)

// serverScopes are those that the tools of examples/stdio ask for.
var serverScopes = []string{"profile", "notes:read", "notes:write"}

// apiClient is who the notes API is when it asks about a token.
var apiClient = oidcClient{
	ID: "notes-api", Secret: rand.Text(), Auth: "client_secret_basic",
	GrantTypes: []string{}, ResponseTypes: []string{},
}

// A provider is an authorization server with the notes API that trusts it.
type provider struct {
	Issuer        string `json:"issuer"`
	Registration  string `json:"registration_endpoint"`
	Introspection string `json:"introspection_endpoint"`
	Revocation    string `json:"revocation_endpoint"`

	management string         // where its journal is
	clients    string         // where a client is deleted, before its escaped id
	userCode   *regexp.Regexp // how it writes one
	meet       func(context.Context, *provider) (visitor, error)
	api        *notesAPI
	past       []exchange // its journal before it was started anew
}

// How oidc-provider is started: forgetful and on any port, or with a folder in which it
// keeps what it knows.
type providerConfig struct {
	Scopes  []string     `json:"scopes"`
	Clients []oidcClient `json:"clients"`
	Folder  string       `json:"folder,omitempty"`
	Port    int          `json:"port,omitempty"`
	Key     string       `json:"key,omitempty"`    // of its cookies
	Host    string       `json:"host,omitempty"`   // its name; "" is 127.0.0.1
	PAR     string       `json:"par,omitempty"`    // "off" or "required"; "" is neither
	Strict  bool         `json:"strict,omitempty"` // PKCE in the device flow

	Pairwise bool `json:"pairwise,omitempty"` // subjects; everybody has an employee_id as well

	AccessTokenTTL int `json:"access_token_ttl,omitempty"` // of clients without one; seconds, 0 is an hour
}

// launch starts the process of oidc-provider, and returns where it is. The caller must
// end it.
func launch(ctx context.Context, config providerConfig) (c *child, issuer, management string, err error) {
	c, err = startChild(ctx, "oidc-provider", "node", "oidc-provider/provider.mjs")
	if err != nil {
		return nil, "", "", err
	}
	config.Scopes, config.Clients = serverScopes, []oidcClient{apiClient}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	var ready struct{ Issuer, Management string }
	if err := errors.Join(c.send(config), c.receive(ctx, &ready)); err != nil {
		_ = c.end()
		return nil, "", "", err
	}
	return c, ready.Issuer, ready.Management, nil
}

// startProvider starts oidc-provider. The caller must call end.
func startProvider(ctx context.Context, config providerConfig) (p *provider, end func() error, err error) {
	c, issuer, management, err := launch(ctx, config)
	if err != nil {
		return nil, nil, err
	}
	p, err = newProvider(ctx, issuer, management)
	if err != nil {
		_ = c.end()
		return nil, nil, err
	}
	return p, func() error { p.api.Close(); return c.end() }, nil
}

// newProvider returns the oidc-provider that runs there, with an API. The caller must
// close that.
func newProvider(ctx context.Context, issuer, management string) (*provider, error) {
	p := &provider{
		management: management, clients: management + "/clients/",
		userCode: regexp.MustCompile(`\b[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}\b`),
		meet: func(context.Context, *provider) (visitor, error) {
			return newPerson("ada-" + strings.ToLower(rand.Text()[:8])), nil
		},
	}
	if err := get(ctx, issuer+"/.well-known/oauth-authorization-server", p); err != nil {
		return nil, err
	}
	p.api = startNotes(p)
	return p, nil
}

// register adds a client of a kind: every story has its own, which makes its
// exchanges tell apart from those of the others.
func (p *provider) register(t *testing.T, kind oidcClient) oidcClient {
	t.Helper()
	client, err := p.tryRegister(t, kind)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func (p *provider) tryRegister(t *testing.T, kind oidcClient) (client oidcClient, err error) {
	t.Helper()
	if kind.GrantTypes == nil {
		kind.GrantTypes = []string{"urn:ietf:params:oauth:grant-type:device_code", "refresh_token"}
	}
	kind.ResponseTypes = []string{}
	if len(kind.RedirectURIs) > 0 {
		kind.GrantTypes, kind.ResponseTypes = append(kind.GrantTypes, "authorization_code"), []string{"code"}
	}
	body, err := json.Marshal(kind)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.Registration, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	err = decode(req, http.StatusCreated, &client)
	return client, err
}

// An exchange is one request of a client and what it was given for it. Times are
// milliseconds on the provider's clock, which does not go back while it runs.
type exchange struct {
	Path         string  `json:"path"`
	Start        float64 `json:"start"`
	End          float64 `json:"end"`
	Status       int     `json:"status"`
	ClientID     string  `json:"client_id"`
	Grant        string  `json:"grant"` // which of the grants it keeps, if it says so
	GrantType    string  `json:"grant_type"`
	DeviceCode   string  `json:"device_code"`
	UserCode     string  `json:"user_code"`
	Interval     float64 `json:"interval"` // seconds, 0 if it stated none
	AccessToken  string  `json:"access_token"`
	RefreshToken string  `json:"refresh_token"`
	Presented    string  `json:"presented"` // a refresh token, by the client; oidc-provider says so
	Scope        string  `json:"scope"`
	Error        string  `json:"error"`

	// Of redirects.
	Code       string `json:"code"` // presented by the client
	Verifier   string `json:"verifier"`
	Challenge  string `json:"challenge"`
	State      string `json:"state"`
	LoginHint  string `json:"login_hint"`
	RequestURI string `json:"request_uri"` // of a pushed request, given or presented
	ClientName string `json:"client_name"` // as it registered
}

// journal returns every exchange so far, oldest first.
func (p *provider) journal(t *testing.T) []exchange {
	t.Helper()
	var all []exchange
	getJSON(t, p.management, &all)
	return slices.Concat(p.past, all)
}

// of returns the exchanges of one client, oldest first.
func (p *provider) of(t *testing.T, client oidcClient) []exchange {
	t.Helper()
	return slices.DeleteFunc(p.journal(t), func(e exchange) bool { return e.ClientID != client.ID || p.at(e, p.Registration) })
}

// at reports whether an exchange took place at an endpoint.
func (p *provider) at(e exchange, endpoint string) bool {
	u, err := url.Parse(endpoint)
	return err == nil && u.Path == e.Path
}

// forget makes the authorization server forget a client.
func (p *provider) forget(t *testing.T, client oidcClient) {
	t.Helper()
	send(t, http.MethodDelete, p.clients+url.PathEscape(client.ID), nil, "Accept", "application/json").Body.Close()
}

// Endpoints as the metadata has them (RFC 8414).
type endpoints struct {
	Authorization string `json:"authorization_endpoint"`
	Token         string `json:"token_endpoint"`
	Device        string `json:"device_authorization_endpoint"`
	PAR           string `json:"pushed_authorization_request_endpoint"`
}

// endpoints returns the provider's metadata.
func (p *provider) endpoints(t *testing.T) (e endpoints) {
	t.Helper()
	getJSON(t, p.metadata(), &e)
	return e
}

// metadata is where RFC 8414 §3.1 wants the metadata of the issuer to be.
func (p *provider) metadata() string {
	u, err := url.Parse(p.Issuer)
	if err != nil {
		panic(err) // it has been used by now
	}
	u.Path = "/.well-known/oauth-authorization-server" + u.Path
	return u.String()
}

func getJSON(t *testing.T, url string, v any) {
	t.Helper()
	if err := get(t.Context(), url, v); err != nil {
		t.Fatal(err)
	}
}

func get(ctx context.Context, url string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	return decode(req, http.StatusOK, v)
}

// direct opens a connection for each request. Node closes idle ones after some
// seconds, and a form or a registration that goes out on one just then cannot be
// sent again. What the library makes of that, its own connections show.
var direct = &http.Transport{DisableKeepAlives: true}

// decode sends a request and decodes the JSON answer, which has to have a status.
func decode(req *http.Request, status int, v any) error {
	return decodeWith(&http.Client{Transport: direct}, req, status, v)
}

func decodeWith(client *http.Client, req *http.Request, status int, v any) error {
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err
	}
	if res.StatusCode != status {
		return fmt.Errorf("%s %s: %s: %s", req.Method, req.URL.Path, res.Status, text)
	}
	return json.Unmarshal(text, v)
}

// installed reports what is missing of a folder's Node packages, by comparing
// what was installed with what the lock file pins.
func installed(folder string) error {
	advice := fmt.Errorf("run `npm ci` in conformance/interop/%s", folder)
	type lock struct {
		Packages map[string]struct {
			Version  string `json:"version"`
			Optional bool   `json:"optional"` // left out on other systems than its own
		} `json:"packages"`
	}
	var want, have lock
	for name, into := range map[string]*lock{
		folder + "/package-lock.json":               &want,
		folder + "/node_modules/.package-lock.json": &have,
	} {
		text, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("%w; %w", err, advice)
		}
		if err := json.Unmarshal(text, into); err != nil {
			return fmt.Errorf("%s: %w; %w", name, err, advice)
		}
	}
	for name, pinned := range want.Packages {
		installed, ok := have.Packages[name]
		if name == "" || !ok && pinned.Optional {
			continue
		}
		if installed.Version != pinned.Version {
			return fmt.Errorf("%s is %q, pinned is %q; %w", name, installed.Version, pinned.Version, advice)
		}
	}
	return nil
}
