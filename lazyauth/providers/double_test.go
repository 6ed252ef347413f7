package providers_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/internal/engines"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// A double is a provider: its endpoints at its addresses, with a fakeas behind them, and what else
// it serves. It is reached as an http.RoundTripper, without sockets. What it does differently from
// the RFCs stands in each test, with the address and date of the document that says so.
type double struct {
	options fakeas.Options
	as      *fakeas.Server // another one for each sign-in
	// endpoints are those of the authorization server, by their addresses.
	endpoints map[string]fakeas.Operation
	// metadata are documents, by their addresses.
	metadata map[string]map[string]any
	// authorize turns the parameters of an authorization request into the RFC's. Its error is that of
	// a page that sends nobody back.
	authorize func(url.Values) error
	// iss is what the authorization response names as its issuer (RFC 9207).
	iss string
	// api answers what none of these do. Nil: 404.
	api http.HandlerFunc
}

const clientID, clientSecret = "notes-mcp", "s3cr3t-of-the-app"

// app is the application that is registered, as a public client with these redirect URIs.
func app(redirectURIs ...string) fakeas.Client {
	return fakeas.Client{ID: clientID, Name: "Notes", RedirectURIs: append([]string{}, redirectURIs...)}
}

// confidential is app with a secret, which it gives in this way.
func confidential(auth fakeas.AuthMethod, redirectURIs ...string) fakeas.Client {
	c := app(redirectURIs...)
	c.Secret, c.Auth = clientSecret, auth
	return c
}

// newDouble has an authorization server that does nothing that these providers do not: no metadata
// of its own, and no iss (RFC 9207).
func newDouble(o fakeas.Options, client fakeas.Client, known string, endpoints map[string]fakeas.Operation) *double {
	o.NoMetadata, o.NoIss, o.Clients, o.Scopes = true, true, []fakeas.Client{client}, strings.Fields(known)
	o.Interval = time.Second
	return &double{options: o, endpoints: endpoints}
}

// RoundTrip implements [http.RoundTripper].
func (d *double) RoundTrip(r *http.Request) (*http.Response, error) {
	address := r.URL.Scheme + "://" + r.URL.Host + r.URL.Path
	if op, ok := d.endpoints[address]; ok && op != fakeas.Authorization {
		to, err := url.Parse(d.as.URL(op))
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.URL, r.Host = to, ""
		return d.as.Transport().RoundTrip(r)
	}
	w := httptest.NewRecorder()
	switch document, ok := d.metadata[address]; {
	case ok:
		answer(w, document)
	case d.api != nil:
		d.api(w, r)
	default:
		http.NotFound(w, r)
	}
	res := w.Result()
	res.Request = r
	return res, nil
}

// answer writes JSON.
func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

// whoever answers a request to this address with these claims, if its token has this scope, or any if that
// is empty.
func (d *double) whoever(address, scope string, claims map[string]any) {
	d.api = func(w http.ResponseWriter, r *http.Request) {
		access, ok := d.as.Introspect(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		switch {
		case "https://"+r.URL.Host+r.URL.Path != address && "http://"+r.URL.Host+r.URL.Path != address:
			http.NotFound(w, r)
		case !ok:
			w.WriteHeader(http.StatusUnauthorized)
		case scope != "" && !scopes.Of(access.Scopes...).Covers(scopes.Of(scope)):
			w.WriteHeader(http.StatusForbidden)
		default:
			answer(w, claims)
		}
	}
}

// errPage is that the person's browser shows an error, and is not sent back.
var errPage = errors.New("the provider shows an error page")

// approve is a browser in which a person opens an address of the provider's, and approves.
func (d *double) approve(ctx context.Context, address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	if d.endpoints[u.Scheme+"://"+u.Host+u.Path] != fakeas.Authorization {
		return "", fmt.Errorf("%w: there is no page at %s", errPage, u.Host+u.Path)
	}
	params := u.Query()
	if d.authorize != nil {
		if err := d.authorize(params); err != nil {
			return "", fmt.Errorf("%w: %w", errPage, err)
		}
	}
	location, err := d.as.ApproveURL(ctx, d.as.URL(fakeas.Authorization)+"?"+params.Encode())
	if err != nil {
		return "", fmt.Errorf("%w: %w", errPage, err)
	}
	return location, nil
}

// browse opens the link of a prompt on this machine, and comes back.
func (d *double) browse(ctx context.Context, link string) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	client := http.Client{
		Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 2 * time.Minute,
		CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			if d.endpoints[r.URL.Scheme+"://"+r.URL.Host+r.URL.Path] == fakeas.Authorization || r.URL.Scheme == "https" {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
	load := func(address string) (location, page string, err error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return "", "", err
		}
		res, err := client.Do(r)
		if err != nil {
			return "", "", err
		}
		text, err := io.ReadAll(res.Body)
		return res.Header.Get("Location"), string(text), errors.Join(err, res.Body.Close())
	}
	away, _, err := load(link)
	if err != nil {
		return err
	}
	back, err := d.approve(ctx, away)
	if err != nil {
		return err
	}
	_, page, err := load(back)
	switch {
	case strings.Contains(page, `data-page="again"`):
		return errAgain
	case strings.Contains(page, `data-page="mixed-up"`):
		return errMixedUp
	}
	return err
}

// What the person reads in the end: to begin again, since what came of the code was of no use; or that
// somebody else's answer came.
var (
	errAgain   = errors.New("the last page asks to begin again")
	errMixedUp = errors.New("the last page says that the answer is of another issuer")
)

// signIn has the local user sign in for need, and returns who that was. Where people sign in by the
// device flow alone it is in virtual time.
func (d *double) signIn(t *testing.T, service lazyauth.Service, need scopes.Requirement) (status lazyauth.Status, err error) {
	t.Helper()
	run := func(t *testing.T) {
		d.as = fakeas.New(&d.options) // in the bubble
		if d.iss != "" {
			d.as.Script(fakeas.Response, fakeas.WithIss(d.iss).Times(-1))
		}
		auth, failed := lazyauth.New(service, &lazyauth.Options{Transport: d, Trace: new(lazyauth.Trace)})
		if failed != nil {
			t.Fatal(failed)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
		defer cancel()
		who := lazyauth.LocalUser
		if service.ConnectPage != nil {
			who = ada
		}
		err = auth.Authorize(ctx, who, need, func(ctx context.Context, p elicit.Prompt) error {
			switch {
			case p.UserCode != "":
				return d.as.Approve(p.UserCode)
			case service.ConnectPage != nil:
				return d.connect(ctx, service.ConnectPage, p.VerificationURI)
			}
			return d.browse(ctx, p.VerificationURI)
		})
		if err == nil {
			known, failed := auth.Status(ctx, who)
			if failed != nil {
				t.Fatalf("Status: %v", failed)
			}
			status = *known
		}
		if failed := auth.Close(); failed != nil {
			t.Errorf("Close: %v", failed)
		}
	}
	if service.Flows == nil {
		synctest.Test(t, run)
	} else {
		run(t)
	}
	return status, err
}

// passes demands that the preset signs in, without a violation, and that the account is called this; empty
// means that it is not known.
func (d *double) passes(t *testing.T, service lazyauth.Service, need scopes.Requirement, account string) lazyauth.Status {
	t.Helper()
	status, err := d.signIn(t, service, need)
	if err != nil {
		t.Fatalf("with the preset: %v", err)
	}
	if status.Identity.Name != account {
		t.Errorf("the account is called %q, want %q", status.Identity.Name, account)
	}
	for _, v := range d.as.Violations() {
		t.Errorf("violation: %v", v)
	}
	return status
}

// refuses demands that a client without the preset fails, for this reason or with this in its error.
func (d *double) refuses(t *testing.T, service lazyauth.Service, need scopes.Requirement, reason lazyauth.Reason, part string) {
	t.Helper()
	service.Name = "Naive"
	if service.ClientID == "" {
		service.ClientID = clientID
	}
	_, err := d.signIn(t, service, need)
	if err == nil {
		t.Fatalf("the double is a double of nothing: a client without the preset signs in")
	}
	text, got := err.Error(), lazyauth.Reason("")
	if e, ok := errors.AsType[*lazyauth.Error](err); ok {
		text, got = fmt.Sprintf("%+v", e), e.Reason // which has the cause
	}
	if got != reason || !strings.Contains(text, part) {
		t.Errorf("without the preset: %s, want %q with %q", text, reason, part)
	}
}

// only has people sign in by these flows, where the preset allows others too.
func only(service lazyauth.Service, flows ...lazyauth.Flow) lazyauth.Service {
	service.Flows = flows
	if flows == nil {
		service.RedirectURI, service.InsecureAssumePKCE = "", false
	}
	return service
}

// preset returns what a function of the package returned, and fails the test if that is an error.
func preset(t *testing.T) func(lazyauth.Service, error) lazyauth.Service {
	return func(s lazyauth.Service, err error) lazyauth.Service {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

// fixedURI returns a redirect URI at a port that nobody else is given, for providers that compare it.
func fixedURI(t *testing.T, host string) string {
	t.Helper()
	port, err := engines.NewPort()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = port.Close() })
	return "http://" + host + ":" + strconv.Itoa(port.Number()) + "/callback"
}

// newIDP is a server with metadata in OpenID Connect's place below its issuer, and its endpoints below base.
// What metadata has beside them, or instead of them, is more.
func newIDP(o fakeas.Options, client fakeas.Client, known, issuer, base string, more map[string]any) *double {
	d := newDouble(o, client, known, map[string]fakeas.Operation{
		base + "/authorize": fakeas.Authorization, base + "/device/authorize": fakeas.DeviceAuthorization, base + "/token": fakeas.Poll,
	})
	document := map[string]any{
		"issuer": issuer, "authorization_endpoint": base + "/authorize", "device_authorization_endpoint": base + "/device/authorize",
		"token_endpoint": base + "/token", "response_types_supported": []string{"code"}, "code_challenge_methods_supported": []string{"S256"},
	}
	maps.Copy(document, more)
	d.metadata = map[string]map[string]any{strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration": document}
	return d
}

// withoutRefresh leaves the refresh token out of what is granted without offline_access, as OpenID
// Connect Core §11 has it.
func withoutRefresh(_ *http.Request, a *fakeas.Answer) {
	if scope, ok := a.Members["scope"].(string); ok && !strings.Contains(" "+scope+" ", " offline_access ") {
		delete(a.Members, "refresh_token")
	}
}
