package fakeas_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// send sends a form to an operation and authenticates as a client in one way.
func (p *peer) send(op fakeas.Operation, method fakeas.AuthMethod, id, secret string, pairs ...string) string {
	p.t.Helper()
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	if method != fakeas.BasicAuth {
		values.Set("client_id", id)
	}
	if method == fakeas.PostAuth {
		values.Set("client_secret", secret)
	}
	req := p.request(http.MethodPost, p.as.URL(op), "application/x-www-form-urlencoded", values.Encode())
	if method == fakeas.BasicAuth {
		req.SetBasicAuth(id, secret)
	}
	a := p.must(req)
	if a.text("device_code") != "" {
		return a.text("device_code")
	}
	return outcome(a)
}

func TestClientAuth_ListedMethods(t *testing.T) {
	for _, test := range []struct {
		clients []fakeas.Client
		want    []string
	}{
		{nil, []string{"none"}},
		{[]fakeas.Client{{ID: "a", Secret: "s"}}, []string{"client_secret_basic"}},
		{[]fakeas.Client{{ID: "a", Secret: "s", Auth: fakeas.PostAuth}}, []string{"client_secret_post"}},
		{[]fakeas.Client{{ID: "a", Secret: "s", Auth: fakeas.EitherAuth}, {ID: "b"}}, []string{"client_secret_basic", "client_secret_post", "none"}},
	} {
		p := newPeer(t, &fakeas.Options{Clients: test.clients})
		var doc struct {
			Methods []string `json:"token_endpoint_auth_methods_supported"`
		}
		body := p.must(p.request(http.MethodGet, p.as.URL(fakeas.Metadata), "", "")).body
		if err := json.Unmarshal([]byte(body), &doc); err != nil || !slices.Equal(doc.Methods, test.want) {
			t.Errorf("methods %q, %v, want %q", doc.Methods, err, test.want)
		}
	}
}

func TestClientAuth_Either(t *testing.T) {
	p := newPeer(t, &fakeas.Options{Clients: []fakeas.Client{{ID: "c", Secret: "s", Auth: fakeas.EitherAuth}}})
	for method, secret := range map[fakeas.AuthMethod]string{fakeas.BasicAuth: "s", fakeas.PostAuth: "s"} {
		if got := p.send(fakeas.Refresh, method, "c", secret, "grant_type", "refresh_token", "refresh_token", "x"); got != "invalid_grant" {
			t.Errorf("%s: %s", method, got)
		}
		if got := p.send(fakeas.Refresh, method, "c", "wrong", "grant_type", "refresh_token", "refresh_token", "x"); got != "invalid_client" {
			t.Errorf("%s with a wrong secret: %s", method, got)
		}
	}
	p.flawless()
	if got := p.send(fakeas.Refresh, fakeas.NoAuth, "c", "", "grant_type", "refresh_token", "refresh_token", "x"); got != "invalid_client" {
		t.Errorf("without a secret: %s", got)
	}
	if !slices.Equal(p.broke(), []fakeas.Rule{fakeas.WrongAuthentication}) {
		t.Errorf("broke %v", p.broke())
	}
}

// A header that is form-encoded, as it has to be, is refused by a server that does not
// decode it, and only there.
func TestClientAuth_RawBasic(t *testing.T) {
	const secret = "a/b+c="
	p := newPeer(t, &fakeas.Options{RawBasic: true, Clients: []fakeas.Client{{ID: "c", Secret: secret, Auth: fakeas.EitherAuth}}})
	for _, test := range []struct {
		method fakeas.AuthMethod
		secret string
		want   string
	}{
		{fakeas.BasicAuth, url.QueryEscape(secret), "invalid_client"},
		{fakeas.BasicAuth, secret, "invalid_grant"},
		{fakeas.PostAuth, secret, "invalid_grant"},
	} {
		if got := p.send(fakeas.Refresh, test.method, "c", test.secret, "grant_type", "refresh_token", "refresh_token", "x"); got != test.want {
			t.Errorf("%s %s: %s, want %s", test.method, test.secret, got, test.want)
		}
	}
	p.flawless()
}

// Who is let in at the device endpoint is judged by the token endpoint. A client that
// then polls again in the other way does nothing wrong; one that repeats itself does.
func TestClientAuth_OpenDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, &fakeas.Options{OpenDevice: true, Clients: []fakeas.Client{{ID: "c", Secret: "s", Auth: fakeas.PostAuth}}})
		poll := func(method fakeas.AuthMethod, code string) string {
			time.Sleep(5 * time.Second)
			return p.send(fakeas.Poll, method, "c", "s", "grant_type", deviceGrant, "device_code", code)
		}
		if got := p.send(fakeas.DeviceAuthorization, fakeas.NoAuth, "stranger", ""); got != "invalid_client" {
			t.Errorf("an unknown client: %s", got)
		}
		code := p.send(fakeas.DeviceAuthorization, fakeas.BasicAuth, "c", "whatever")
		wantOutcomes(t, []string{poll(fakeas.BasicAuth, code), poll(fakeas.PostAuth, code), poll(fakeas.PostAuth, code)},
			"invalid_client", "authorization_pending", "authorization_pending")
		if !slices.Equal(p.broke(), []fakeas.Rule{fakeas.WrongAuthentication}) {
			t.Errorf("broke %v", p.broke())
		}
		code = p.send(fakeas.DeviceAuthorization, fakeas.NoAuth, "c", "")
		poll(fakeas.BasicAuth, code)
		poll(fakeas.BasicAuth, code)
		if !slices.Contains(p.broke(), fakeas.PolledAfterEnd) {
			t.Errorf("polling on in the same way broke %v", p.broke())
		}
	})
}
