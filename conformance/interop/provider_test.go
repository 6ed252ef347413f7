package interop_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"
)

// oidcClient is a client as oidc-provider registers it (RFC 7591).
type oidcClient struct {
	ID             string `json:"client_id,omitempty"`
	Secret         string `json:"client_secret,omitempty"`
	Auth           string `json:"token_endpoint_auth_method"`
	Name           string `json:"client_name,omitempty"`
	DeviceCodeTTL  int    `json:"device_code_ttl,omitempty"`  // seconds, 0 is ten minutes
	AccessTokenTTL int    `json:"access_token_ttl,omitempty"` // seconds, 0 is an hour

	GrantTypes    []string `json:"grant_types"`
	ResponseTypes []string `json:"response_types"`
	RedirectURIs  []string `json:"redirect_uris"`
}

// Kinds of clients, to be registered. A hasty one has device codes that expire
// before the polling interval that is assumed where none is stated, five
// seconds, has passed; a forgetful one has access tokens that live for ten,
// give or take the second that the provider rounds away.
var (
	publicClient    = oidcClient{Auth: "none", Name: "Notes"}
	basicClient     = oidcClient{Auth: "client_secret_basic", Name: "Notes, basic"}
	postClient      = oidcClient{Auth: "client_secret_post", Name: "Notes, post"}
	hastyClient     = oidcClient{Auth: "none", Name: "Notes, hasty", DeviceCodeTTL: 3}
	forgetfulClient = oidcClient{Auth: "none", Name: "Notes, forgetful", AccessTokenTTL: 10}
)

// apiClient is who the notes API is when it asks about a token.
var apiClient = oidcClient{
	ID: "notes-api", Secret: rand.Text(), Auth: "client_secret_basic",
	GrantTypes: []string{}, ResponseTypes: []string{}, RedirectURIs: []string{},
}

// A provider is a running oidc-provider.
type provider struct {
	*child
	Issuer     string `json:"issuer"`
	Management string `json:"management"`
}

// startProvider starts the authorization server. The caller must call end.
func startProvider(ctx context.Context) (*provider, error) {
	c, err := startChild(ctx, "oidc-provider", "node", "oidc-provider/provider.mjs")
	if err != nil {
		return nil, err
	}
	p := &provider{child: c}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err = c.send(map[string]any{
		"scopes":  []string{"profile", "notes:read", "notes:write"},
		"clients": []oidcClient{apiClient},
	})
	if err == nil {
		err = c.receive(ctx, p)
	}
	if err != nil {
		_ = c.end()
		return nil, err
	}
	return p, nil
}

// register adds a client of a kind: every story has its own, which makes its
// exchanges tell apart from those of the others.
func (p *provider) register(t *testing.T, kind oidcClient) oidcClient {
	t.Helper()
	kind.GrantTypes = []string{"urn:ietf:params:oauth:grant-type:device_code", "refresh_token"}
	kind.ResponseTypes, kind.RedirectURIs = []string{}, []string{}
	body, err := json.Marshal(kind)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.Issuer+"/reg", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	var client oidcClient
	if err := decode(req, http.StatusCreated, &client); err != nil {
		t.Fatal(err)
	}
	return client
}

// An exchange is one request of a client and what it was given for it. Times are
// milliseconds on the provider's monotonic clock.
type exchange struct {
	Path         string  `json:"path"`
	Start        float64 `json:"start"`
	End          float64 `json:"end"`
	Status       int     `json:"status"`
	ClientID     string  `json:"client_id"`
	GrantType    string  `json:"grant_type"`
	DeviceCode   string  `json:"device_code"`
	UserCode     string  `json:"user_code"`
	AccessToken  string  `json:"access_token"`
	RefreshToken string  `json:"refresh_token"`
	Scope        string  `json:"scope"`
	Error        string  `json:"error"`
}

// journal returns every exchange so far, oldest first.
func (p *provider) journal(t *testing.T) []exchange {
	t.Helper()
	var all []exchange
	getJSON(t, p.Management, &all)
	return all
}

// of returns the exchanges of one client, oldest first.
func (p *provider) of(t *testing.T, client oidcClient) []exchange {
	t.Helper()
	return slices.DeleteFunc(p.journal(t), func(e exchange) bool { return e.ClientID != client.ID || e.Path == "/reg" })
}

// endpoints returns the provider's metadata (RFC 8414).
func (p *provider) endpoints(t *testing.T) (device, token string) {
	t.Helper()
	var meta struct {
		Device string `json:"device_authorization_endpoint"`
		Token  string `json:"token_endpoint"`
	}
	getJSON(t, p.Issuer+"/.well-known/oauth-authorization-server", &meta)
	return meta.Device, meta.Token
}

func getJSON(t *testing.T, url string, v any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := decode(req, http.StatusOK, v); err != nil {
		t.Fatal(err)
	}
}

// direct opens a connection for each request. Node closes idle ones after some
// seconds, and a form or a registration that goes out on one just then cannot be
// sent again. What the library makes of that, its own connections show.
var direct = &http.Transport{DisableKeepAlives: true}

// decode sends a request and decodes the JSON answer, which has to have a status.
func decode(req *http.Request, status int, v any) error {
	res, err := (&http.Client{Transport: direct}).Do(req)
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
		Packages map[string]struct{ Version string } `json:"packages"`
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
		if name != "" && have.Packages[name].Version != pinned.Version {
			return fmt.Errorf("%s is %q, pinned is %q; %w", name, have.Packages[name].Version, pinned.Version, advice)
		}
	}
	return nil
}
