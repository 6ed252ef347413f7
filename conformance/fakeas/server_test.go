package fakeas_test

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

func TestMetadata(t *testing.T) {
	for _, test := range []struct {
		name      string
		opts      fakeas.Options
		served    []string
		notServed []string
	}{
		{"default", fakeas.Options{},
			[]string{"https://as.example.test/.well-known/oauth-authorization-server"},
			[]string{"https://as.example.test/.well-known/openid-configuration"}},
		{"with a path", fakeas.Options{Issuer: "https://id.example.test/tenant", OpenID: true},
			[]string{
				"https://id.example.test/.well-known/oauth-authorization-server/tenant",
				"https://id.example.test/tenant/.well-known/openid-configuration",
			},
			[]string{"https://id.example.test/.well-known/oauth-authorization-server"}},
		{"OpenID inserted only", fakeas.Options{Issuer: "https://id.example.test/tenant", OpenIDInserted: true, NoMetadata: true},
			[]string{"https://id.example.test/.well-known/openid-configuration/tenant"},
			[]string{
				"https://id.example.test/.well-known/oauth-authorization-server/tenant",
				"https://id.example.test/tenant/.well-known/openid-configuration",
			}},
		{"OpenID inserted, no path", fakeas.Options{OpenIDInserted: true},
			[]string{
				"https://as.example.test/.well-known/oauth-authorization-server",
				"https://as.example.test/.well-known/openid-configuration",
			}, nil},
		{"OpenID only, trailing slash", fakeas.Options{Issuer: "https://id.example.test/", OpenID: true, NoMetadata: true},
			[]string{"https://id.example.test/.well-known/openid-configuration"},
			[]string{"https://id.example.test/.well-known/oauth-authorization-server"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPeer(t, &test.opts)
			for _, address := range test.served {
				a := p.must(p.request(http.MethodGet, address, "", ""))
				if a.status != http.StatusOK || a.text("issuer") != p.as.Issuer() ||
					a.text("device_authorization_endpoint") != p.as.URL(fakeas.DeviceAuthorization) ||
					a.text("token_endpoint") != p.as.URL(fakeas.Exchange) ||
					a.text("revocation_endpoint") != p.as.URL(fakeas.Revocation) {
					t.Errorf("%s: %d %s", address, a.status, a.body)
				}
			}
			for _, address := range test.notServed {
				if a := p.must(p.request(http.MethodGet, address, "", "")); a.status != http.StatusNotFound {
					t.Errorf("%s: %d", address, a.status)
				}
			}
			if !test.opts.NoMetadata && p.as.URL(fakeas.Metadata) != test.served[0] {
				t.Errorf("URL(Metadata) = %s", p.as.URL(fakeas.Metadata))
			}
			p.login("profile")
			p.flawless()
		})
	}
}

// The metadata can be made to say anything, or to have moved.
func TestMetadata_Changed(t *testing.T) {
	p := newPeer(t, &fakeas.Options{OpenID: true, Metadata: func(members map[string]any) {
		members["issuer"] = "https://as.example.test/"
		members["device_authorization_endpoint"] = nil
		delete(members, "token_endpoint_auth_methods_supported")
	}})
	for _, address := range []string{p.as.URL(fakeas.Metadata), "https://as.example.test/.well-known/openid-configuration"} {
		a := p.must(p.request(http.MethodGet, address, "", ""))
		endpoint, named := a.members["device_authorization_endpoint"]
		_, listed := a.members["token_endpoint_auth_methods_supported"]
		if a.text("issuer") != "https://as.example.test/" || endpoint != nil || !named || listed {
			t.Errorf("%s: %s", address, a.body)
		}
	}
	p.as.Script(fakeas.Metadata, fakeas.Redirect(http.StatusMovedPermanently, "https://elsewhere.example.test/"))
	resp, err := p.as.Transport().RoundTrip(p.request(http.MethodGet, p.as.URL(fakeas.Metadata), "", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusMovedPermanently || resp.Header.Get("Location") != "https://elsewhere.example.test/" {
		t.Errorf("moved: %d to %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	p.login("profile") // the endpoints are where they were
	p.flawless()
}

// Without an issuer, a listener's URLs follow the request.
func TestListenerFollowsHost(t *testing.T) {
	as := fakeas.New(nil)
	ts := httptest.NewServer(as)
	defer ts.Close()
	p := &peer{t: t, as: as, client: ts.Client()}
	a := p.must(p.request(http.MethodGet, ts.URL+"/.well-known/oauth-authorization-server", "", ""))
	if a.text("issuer") != ts.URL || a.text("token_endpoint") != ts.URL+"/token" {
		t.Errorf("metadata: %s", a.body)
	}
	a = p.must(p.request(http.MethodPost, ts.URL+"/device_authorization", "application/x-www-form-urlencoded", "client_id=notes-cli"))
	if a.text("verification_uri") != ts.URL+"/device" {
		t.Errorf("device authorization: %s", a.body)
	}
	if r := as.Waiting(); len(r) != 1 || !slices.Equal(r[0].Scopes, []string{"profile"}) {
		t.Errorf("waiting: %+v", r)
	}
	if a := p.must(p.request(http.MethodGet, ts.URL+"/me", "", "")); a.status != http.StatusUnauthorized {
		t.Errorf("GET /me: %d", a.status)
	}
}

// Without an issuer too, a page that has rebound its name to this address is refused:
// what a listener is called is loopback, or the address that the connection came to.
func TestListener_RefusesReboundNames(t *testing.T) {
	as := fakeas.New(nil)
	ts := httptest.NewServer(as)
	defer ts.Close()
	p := &peer{t: t, as: as, client: ts.Client()}
	_, port, _ := net.SplitHostPort(ts.Listener.Addr().String())
	for host, want := range map[string]int{
		"rebound.example.net:" + port:         http.StatusMisdirectedRequest,
		"rebound.example.net":                 http.StatusMisdirectedRequest,
		"localhost.example.net:" + port:       http.StatusMisdirectedRequest,
		"127.0.0.1.example.net:" + port:       http.StatusMisdirectedRequest,
		"192.0.2.1:" + port:                   http.StatusMisdirectedRequest,
		"user@rebound.example.net:" + port:    http.StatusMisdirectedRequest,
		"127.0.0.1:" + port:                   http.StatusOK,
		"127.0.0.1:99999@rebound.example.net": http.StatusMisdirectedRequest,
		"localhost:" + port:                   http.StatusOK,
		"LOCALHOST:" + port:                   http.StatusOK,
		"[::1]:" + port:                       http.StatusOK,
		"127.0.0.1":                           http.StatusOK, // behind a forwarded port
	} {
		req := p.request(http.MethodGet, ts.URL+"/device", "", "")
		req.Host = host
		if a, err := p.do(req); err == nil && a.status != want || err != nil && want == http.StatusOK {
			t.Errorf("Host %s: status %d, %v, want %d", host, a.status, err, want)
		}
	}
	if n := as.Count(fakeas.Page, ""); n != 5 {
		t.Errorf("%d requests reached the page", n)
	}
}

// A listener on another address than loopback is called by that address.
func TestListener_KnowsItsOwnAddress(t *testing.T) {
	as := fakeas.New(nil)
	own := &net.TCPAddr{IP: net.ParseIP("192.0.2.7"), Port: 9070}
	for host, want := range map[string]int{"192.0.2.7:9070": 200, "192.0.2.8:9070": 421, "as.example.net:9070": 421} {
		req := httptest.NewRequestWithContext(context.WithValue(t.Context(), http.LocalAddrContextKey, own), http.MethodGet, "http://"+host+"/device", nil)
		w := httptest.NewRecorder()
		as.ServeHTTP(w, req)
		if w.Code != want {
			t.Errorf("Host %s: status %d, want %d", host, w.Code, want)
		}
	}
}

// With an issuer, a page that has rebound its name to loopback is refused.
func TestListenerRefusesOtherHosts(t *testing.T) {
	p := listen(t, fakeas.Options{})
	req := p.request(http.MethodGet, p.as.URL(fakeas.Page), "", "")
	req.Host = "rebound.example.net"
	if a := p.must(req); a.status != http.StatusMisdirectedRequest {
		t.Errorf("status %d", a.status)
	}
	p.login("profile")
	p.flawless()
}

func TestDialects(t *testing.T) {
	github := func(r *http.Request, a *fakeas.Answer) {
		fakeas.CommaScopes(r, a)
		fakeas.ErrorsUnder200(r, a)
		fakeas.FormUnlessJSON(r, a)
		if a.Interval > 0 {
			a.Members["interval"] = int(a.Interval / time.Second)
		}
	}
	p := newPeer(t, &fakeas.Options{Dialect: github})
	post := func(req *http.Request) url.Values {
		a := p.must(req)
		values, err := url.ParseQuery(a.body)
		if err != nil || a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), "application/x-www-form-urlencoded") {
			t.Errorf("answer: %d %s %s", a.status, a.header.Get("Content-Type"), a.body)
		}
		return values
	}
	d := post(p.form(fakeas.DeviceAuthorization, "scope", "profile notes:read"))
	if d.Get("interval") != "5" {
		t.Errorf("device authorization: %v", d)
	}
	if got := post(p.pollRequest(d.Get("device_code"))); got.Get("error") != "authorization_pending" {
		t.Errorf("poll: %v", got)
	}
	if got := post(p.pollRequest(d.Get("device_code"))); got.Get("error") != "slow_down" || got.Get("interval") != "10" {
		t.Errorf("poll: %v", got)
	}
	code := post(p.form(fakeas.DeviceAuthorization, "scope", "profile notes:read"))
	if err := p.as.Approve(code.Get("user_code")); err != nil {
		t.Fatal(err)
	}
	req := p.pollRequest(code.Get("device_code"))
	req.Header.Set("Accept", "application/json")
	if a := p.must(req); a.text("scope") != "profile,notes:read" {
		t.Errorf("token: %s", a.body)
	}
	if a := p.call(fakeas.Me, "x"); a.status != http.StatusUnauthorized {
		t.Errorf("the API speaks the dialect: %d", a.status)
	}
}

func TestImpossibleOptions(t *testing.T) {
	for name, opts := range map[string]fakeas.Options{
		"issuer without host": {Issuer: "https://"},
		"issuer with query":   {Issuer: "https://as.example.test/?a=b"},
		"API not http":        {API: "ftp://api.example.test"},
		"half an interval":    {Interval: 500 * time.Millisecond},
		"negative lifetime":   {TokenLifetime: -time.Second},
		"no scope":            {Scopes: []string{"two words"}},
		"client twice":        {Clients: []fakeas.Client{{ID: "a"}, {ID: "a"}}},
		"client without ID":   {Clients: []fakeas.Client{{}}},
		"secret left out":     {Clients: []fakeas.Client{{ID: "a", Auth: fakeas.PostAuth}}},
		"unknown method":      {Clients: []fakeas.Client{{ID: "a", Secret: "b", Auth: "private_key_jwt"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := opts.Validate(); err == nil || !strings.HasPrefix(err.Error(), "fakeas: ") {
				t.Errorf("Validate: %v", err)
			}
			defer func() {
				if recover() == nil {
					t.Error("New did not panic")
				}
			}()
			fakeas.New(&opts)
		})
	}
}

// Nothing that is secret reaches the log, the journal or the violations.
func TestLogHoldsNoSecrets(t *testing.T) {
	var log bytes.Buffer
	p := newPeer(t, &fakeas.Options{
		Logger:  slog.New(slog.NewJSONHandler(&log, nil)),
		Clients: []fakeas.Client{{ID: fakeas.DefaultClientID}, {ID: "other", Secret: "hush-hush"}},
	})
	secrets := map[string]bool{"hush-hush": true}
	d := p.authorize("profile")
	token := p.login("profile")
	for _, name := range []string{"device_code", "user_code", "access_token", "refresh_token"} {
		secrets[d.text(name)], secrets[token.text(name)] = true, true
	}
	delete(secrets, "")
	p.poll(d.text("device_code"))
	p.poll(d.text("device_code"))
	p.refresh(token.text("refresh_token"))
	p.refresh(token.text("refresh_token"))
	p.must(p.form(fakeas.Revocation, "token", d.text("device_code")))
	p.must(p.bearer(p.as.URL(fakeas.Me), token.text("refresh_token")))
	p.must(p.form(fakeas.DeviceAuthorization, "client_id", "other", "client_secret", "hush-hush"))
	p.must(p.request(http.MethodGet, p.as.URL(fakeas.Me)+"?access_token="+token.text("access_token"), "", ""))
	p.do(p.bearer("https://collector.example.net/", token.text("access_token"))) // no such host
	p.must(p.request(http.MethodGet, d.text("verification_uri_complete"), "", ""))

	var said strings.Builder
	said.WriteString(log.String())
	for _, e := range p.as.Journal() {
		said.WriteString(e.ClientID + e.Outcome)
	}
	for _, v := range p.as.Violations() {
		said.WriteString(v.String() + v.ClientID)
	}
	for _, secret := range slices.Sorted(maps.Keys(secrets)) {
		if strings.Contains(said.String(), secret) {
			t.Errorf("a secret was written down: %.3s…", secret)
		}
	}
	if !strings.Contains(log.String(), `"msg":"violation"`) || !strings.Contains(log.String(), `"outcome":"slow_down"`) {
		t.Errorf("the log says too little: %s", log.String())
	}
}
