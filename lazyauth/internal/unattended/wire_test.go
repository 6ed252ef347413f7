package unattended_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/oauth2"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth/scripted"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/unattended"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

const bearer = "bearer-s3cr3t-0123456789"

func client(t testing.TB, as *scripted.Server) *oauth.Client {
	t.Helper()
	c, err := oauth.New(oauth.Config{
		Endpoints:   oauth.Endpoints{Token: "https://as.example.test/token"},
		Credentials: oauth.Credentials{ID: "mcp", Secret: scripted.ClientSecret, AuthStyle: oauth2.AuthStyleInParams}, Transport: as,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func answer(status int, text string) scripted.Reply {
	return scripted.Answer(status, "application/json", text)
}

// What is sent is what the texts have, and no more.
func TestWire(t *testing.T) {
	const (
		issued = `{"access_token":"` + scripted.AccessToken + `","token_type":"Bearer","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","refresh_token":"` + scripted.RefreshToken + `","expires_in":60}`
		idJAG  = `{"access_token":"aaaa.bbbb.cccc","token_type":"n_a","issued_token_type":"urn:ietf:params:oauth:token-type:id-jag","expires_in":60}`
	)
	target := unattended.Target{Audience: []string{"api"}, Resource: []string{"https://api.example.test/a", "https://api.example.test/b"}, Params: url.Values{"hint": {"x"}}}
	subject := unattended.Subject{Token: bearer, Type: unattended.AccessToken}
	for name, test := range map[string]struct {
		answer string
		ask    func(context.Context, *oauth.Client) error
		want   url.Values
	}{
		"exchange": {issued, func(ctx context.Context, c *oauth.Client) error {
			token, err := unattended.Exchange(ctx, c, subject, target, scopes.Of("a", "b"))
			if err == nil && (token.Refresh != "" || token.Access != scripted.AccessToken || token.Scopes.String() != "a b") {
				t.Errorf("the token is %v", token)
			}
			return err
		}, url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {bearer}, "subject_token_type": {unattended.AccessToken},
			"requested_token_type": {unattended.AccessToken}, "scope": {"a b"}, "audience": {"api"},
			"resource": {"https://api.example.test/a", "https://api.example.test/b"}, "hint": {"x"},
		}},
		"ID-JAG": {idJAG, func(ctx context.Context, c *oauth.Client) error {
			assertion, err := unattended.ExchangeForIDJAG(ctx, c, unattended.Subject{Token: bearer, Type: unattended.IDToken}, unattended.Target{Audience: []string{"https://rs.example.test"}}, scopes.Set{})
			if assertion != "aaaa.bbbb.cccc" {
				t.Errorf("the assertion is %q", assertion)
			}
			return err
		}, url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {bearer}, "subject_token_type": {unattended.IDToken},
			"requested_token_type": {unattended.IDJAG}, "audience": {"https://rs.example.test"},
		}},
		"assertion": {issued, func(ctx context.Context, c *oauth.Client) error {
			_, err := unattended.Assert(ctx, c, "aaaa.bbbb.cccc", unattended.Target{}, scopes.Of("a"))
			return err
		}, url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {"aaaa.bbbb.cccc"}, "scope": {"a"}}},
		"client credentials": {issued, func(ctx context.Context, c *oauth.Client) error {
			_, err := unattended.Credentials(ctx, c, unattended.Target{}, scopes.Of("a"))
			return err
		}, url.Values{"grant_type": {"client_credentials"}, "scope": {"a"}}},
	} {
		t.Run(name, func(t *testing.T) {
			as := new(scripted.Server).On("/token", answer(http.StatusOK, test.answer))
			if err := test.ask(t.Context(), client(t, as)); err != nil {
				t.Fatal(err)
			}
			test.want.Set("client_id", "mcp")
			test.want.Set("client_secret", scripted.ClientSecret)
			if got := as.Requests[0].Body; got != test.want.Encode() || as.Requests[0].Header.Get("Authorization") != "" {
				t.Errorf("sent %s, want %s", got, test.want.Encode())
			}
			as.CheckClosed(t)
		})
	}
}

// Errors tell nothing that was sent, though the server repeats it, and an assertion is sent once.
func TestWire_Refused(t *testing.T) {
	as := new(scripted.Server).On("/token", answer(http.StatusBadRequest, `{"error":"invalid_request","error_description":"`+bearer+` of `+scripted.ClientSecret+`"}`))
	_, err := unattended.Exchange(t.Context(), client(t, as), unattended.Subject{Token: bearer, Type: unattended.AccessToken}, unattended.Target{}, scopes.Of("a"))
	scripted.WantError(t, err, oauth.ErrRefused)
	scripted.CheckNoSecret(t, unattended.Subject{Token: bearer})
	as = new(scripted.Server).On("/token", answer(http.StatusServiceUnavailable, ""))
	_, err = unattended.Assert(t.Context(), client(t, as), "aaaa.bbbb.s3cr3t", unattended.Target{}, scopes.Of("a"))
	scripted.WantError(t, err, oauth.ErrUnavailable)
	if len(as.Requests) != 1 {
		t.Errorf("the assertion was sent %d times", len(as.Requests))
	}
}

func TestTarget_Check(t *testing.T) {
	for want, target := range map[string]unattended.Target{
		"protocol's own": {Params: url.Values{"client_assertion": {"x"}}}, "lower case": {Params: url.Values{"Scope": {"x"}}},
		"without a fragment": {Resource: []string{"https://api.example.test/#x"}}, "absolute": {Resource: []string{"/x"}}, "empty": {Audience: []string{""}},
	} {
		if err := target.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", target, err)
		}
	}
	if err := (unattended.Target{Audience: []string{"api"}, Resource: []string{"urn:x:y"}, Params: url.Values{"hint": {"x"}}}).Check(); err != nil {
		t.Error(err)
	}
}

// Whatever a server answers, there is a token that can be used, or an error that can be shown.
func FuzzExchange(f *testing.F) {
	f.Add(200, "application/json", `{"access_token":"a.b.c","token_type":"N_A","issued_token_type":"urn:ietf:params:oauth:token-type:id-jag"}`)
	f.Add(200, "application/json", `{"access_token":"a","token_type":"Bearer","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","refresh_token":"r"}`)
	for _, seen := range scripted.Seen {
		f.Add(seen.Status, seen.ContentType, seen.Text)
	}
	f.Fuzz(func(t *testing.T, status int, contentType, text string) {
		if status < 100 || status > 999 {
			t.Skip("not HTTP")
		}
		synctest.Test(t, func(t *testing.T) {
			c := client(t, new(scripted.Server).On("/token", scripted.Answer(status, contentType, text)))
			token, err := unattended.Exchange(t.Context(), c, unattended.Subject{Token: bearer, Type: unattended.AccessToken}, unattended.Target{}, scopes.Of("a"))
			switch {
			case err != nil:
				scripted.CheckFuzzed(t, err)
			case token.Check() != nil || token.Refresh != "":
				t.Errorf("a token that cannot be used: %v", token)
			}
			assertion, err := unattended.ExchangeForIDJAG(t.Context(), c, unattended.Subject{Token: bearer, Type: unattended.IDToken}, unattended.Target{Audience: []string{"x"}}, scopes.Set{})
			switch {
			case err != nil:
				scripted.CheckFuzzed(t, err)
			case strings.Count(assertion, ".") < 2:
				t.Errorf("an assertion %q", assertion)
			}
		})
	})
}
