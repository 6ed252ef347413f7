package oauth_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// What the protocol sets, nobody else does; scopes may be named where only the author can
// know that the server wants them.
func TestParams_WhatCanBeNamedWhere(t *testing.T) {
	const (
		authorization = 1 << iota
		token
		refresh
	)
	for name, allowed := range map[string]int{
		"resource": authorization | token | refresh, "audience": authorization | token | refresh, "scopes": authorization | token | refresh,
		"prompt": authorization | token | refresh, "tenant": authorization | token | refresh, "claims": authorization | token | refresh,
		"login_hint": authorization | token | refresh,

		"scope": token | refresh, "Scope": token | refresh,
		"state": token | refresh, "response_type": token | refresh, "response_mode": token | refresh,
		"code_challenge": token | refresh, "code_challenge_method": token | refresh, "request": token | refresh, "request_uri": token | refresh,
		"code": authorization, "code_verifier": authorization, "refresh_token": authorization,

		"client_id": 0, "Client_ID": 0, " client_id ": 0, "client_secret": 0, "client_assertion": 0, "client_assertion_type": 0,
		"grant_type": 0, "GRANT_TYPE": 0, "device_code": 0, "redirect_uri": 0, "": 0, " ": 0, "new\nline": 0, "höher": 0,
	} {
		values := url.Values{name: {"s3cr3t"}}
		for kind, params := range map[int]oauth.Params{authorization: {Authorization: values}, token: {Token: values}, refresh: {Refresh: values}} {
			_, err := oauth.New(oauth.Config{Endpoints: oauth.Endpoints{Token: "https://as.example/token"}, Params: params})
			if (err == nil) != (allowed&kind != 0) {
				t.Errorf("%q, %v: %v", name, params, err)
			}
			if err != nil {
				checkNoSecret(t, err)
			}
		}
	}
}

// Each request has its own parameters, as they were when the client was made.
func TestParams_OnTheWire(t *testing.T) {
	s := new(server).On("/token", ok(granted))
	params := oauth.Params{
		Token:   url.Values{"resource": {"https://api.example/a", "https://api.example/b"}, "scope": {"t"}},
		Refresh: url.Values{"audience": {"api"}},
	}
	c := client(t, s, func(config *oauth.Config) { config.Params = params })
	params.Token.Set("resource", "changed after New")
	params.Refresh.Set("scope", "changed after New")
	if _, err := c.Exchange(t.Context(), "code-1", "http://127.0.0.1:1/cb", "", held); err != nil {
		t.Fatal(err)
	}
	for _, refresh := range []func() (*oauth.Token, error){
		func() (*oauth.Token, error) { return c.Refresh(t.Context(), refreshToken, held) },
		func() (*oauth.Token, error) { return c.RefreshFor(t.Context(), refreshToken, held) },
	} {
		if _, err := refresh(); err != nil {
			t.Fatal(err)
		}
	}
	id := "client_id=notes-client"
	for i, want := range []string{
		id + "&code=code-1&grant_type=authorization_code&redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2Fcb&resource=https%3A%2F%2Fapi.example%2Fa&resource=https%3A%2F%2Fapi.example%2Fb&scope=t",
		"audience=api&" + id + "&grant_type=refresh_token&refresh_token=" + refreshToken,
		"audience=api&" + id + "&grant_type=refresh_token&refresh_token=" + refreshToken + "&scope=notes%3Aread+profile",
	} {
		if got := s.Requests[i].Body; got != want {
			t.Errorf("request %d:\n%s\nwant\n%s", i, got, want)
		}
	}
	// What is named for refreshes is asked for each time.
	s = new(server).On("/token", ok(granted))
	c = client(t, s, func(config *oauth.Config) { config.Params.Refresh = url.Values{"scope": {"api://x/.default"}} })
	for _, refresh := range []func() (*oauth.Token, error){
		func() (*oauth.Token, error) { return c.Refresh(t.Context(), refreshToken, scopes.Set{}) },
		func() (*oauth.Token, error) { return c.RefreshFor(t.Context(), refreshToken, held) },
	} {
		if _, err := refresh(); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range s.Requests {
		if !strings.HasSuffix(r.Body, "&scope=api%3A%2F%2Fx%2F.default") {
			t.Errorf("refreshed with %s", r.Body)
		}
	}
}
