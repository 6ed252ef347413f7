package fakeas_test

import (
	"net/http"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// breaches provoke each rule once: the rule, the outcome of the last request
// ("" for none: the answer does not tell), and what the client does.
var breaches = []struct {
	rule    fakeas.Rule
	outcome string
	breach  func(p *peer) *http.Request
}{
	{fakeas.PolledEarly, "slow_down", func(p *peer) *http.Request {
		code := p.authorize("profile").text("device_code")
		p.poll(code)
		time.Sleep(4 * time.Second)
		return p.pollRequest(code)
	}},
	{fakeas.PolledAfterEnd, "access_denied", func(p *peer) *http.Request {
		d := p.authorize("profile")
		p.decide(p.as.Deny(d.text("user_code")))
		p.poll(d.text("device_code"))
		time.Sleep(time.Minute)
		return p.pollRequest(d.text("device_code"))
	}},
	{fakeas.RetriedEarly, "authorization_pending", func(p *peer) *http.Request {
		code := p.authorize("profile").text("device_code")
		p.as.Script(fakeas.Poll, fakeas.Unavailable(http.StatusTooManyRequests, 30*time.Second))
		p.poll(code)
		time.Sleep(29 * time.Second)
		return p.pollRequest(code)
	}},
	{fakeas.NotBackedOff, "authorization_pending", func(p *peer) *http.Request {
		code := p.authorize("profile").text("device_code")
		p.as.Script(fakeas.Poll, fakeas.Stall())
		p.client.Timeout = 10 * time.Second
		if _, err := p.do(p.pollRequest(code)); err == nil {
			p.t.Error("the poll was answered")
		}
		time.Sleep(5 * time.Second)
		return p.pollRequest(code)
	}},
	{fakeas.WrongMethod, "", func(p *peer) *http.Request {
		return p.request(http.MethodGet, p.as.URL(fakeas.DeviceAuthorization), "", "")
	}},
	{fakeas.WrongContentType, "invalid_request", func(p *peer) *http.Request {
		return p.request(http.MethodPost, p.as.URL(fakeas.DeviceAuthorization), "application/json", `{"client_id":"notes-cli"}`)
	}},
	{fakeas.MalformedBody, "invalid_request", func(p *peer) *http.Request {
		return p.request(http.MethodPost, p.as.URL(fakeas.DeviceAuthorization), "application/x-www-form-urlencoded", "client_id=notes-cli&scope=%zz")
	}},
	{fakeas.MissingParameter, "invalid_request", func(p *peer) *http.Request {
		return p.form(fakeas.Poll, "grant_type", deviceGrant)
	}},
	{fakeas.RepeatedParameter, "invalid_request", func(p *peer) *http.Request {
		return p.request(http.MethodPost, p.as.URL(fakeas.DeviceAuthorization), "application/x-www-form-urlencoded", "client_id=notes-cli&scope=profile&scope=profile")
	}},
	{fakeas.UnexpectedParameter, "authorization_pending", func(p *peer) *http.Request {
		code := p.authorize("profile").text("device_code")
		return p.form(fakeas.Poll, "grant_type", deviceGrant, "device_code", code, "scope", "profile")
	}},
	{fakeas.WrongResponseType, "", func(p *peer) *http.Request {
		return p.request(http.MethodGet, p.authorizationURL("response_type", "token"), "", "")
	}},
	{fakeas.MissingChallenge, "", func(p *peer) *http.Request {
		return p.request(http.MethodGet, p.authorizationURL("code_challenge", "", "code_challenge_method", ""), "", "")
	}},
	{fakeas.WeakChallenge, "invalid_request", func(p *peer) *http.Request {
		return p.form(fakeas.DeviceAuthorization, "code_challenge", challenge, "code_challenge_method", "plain")
	}},
	{fakeas.MalformedChallenge, "invalid_request", func(p *peer) *http.Request {
		return p.form(fakeas.DeviceAuthorization, "code_challenge", verifier+"=", "code_challenge_method", "S256")
	}},
	{fakeas.NotPushed, "", func(p *peer) *http.Request {
		opts := strictOptions()
		opts.Push = fakeas.PushRequired
		*p = *newPeer(p.t, opts)
		return p.request(http.MethodGet, p.authorizationURL(), "", "")
	}},
	{fakeas.ChallengeReused, "", func(p *peer) *http.Request {
		sent := p.authorizationURL("code_challenge", challenge)
		p.must(p.request(http.MethodGet, sent, "", ""))
		p.must(p.request(http.MethodGet, sent, "", "")) // a page that is loaded again
		return p.request(http.MethodGet, p.authorizationURL("code_challenge", challenge), "", "")
	}},
	{fakeas.MissingState, "", func(p *peer) *http.Request {
		opts := strictOptions()
		opts.PKCE = fakeas.PKCEOptional
		*p = *newPeer(p.t, opts)
		return p.request(http.MethodGet, p.authorizationURL("state", "", "code_challenge", "", "code_challenge_method", ""), "", "")
	}},
	{fakeas.StateReused, "", func(p *peer) *http.Request {
		p.code("state", "constant")
		return p.request(http.MethodGet, p.authorizationURL("state", "constant"), "", "")
	}},
	{fakeas.MalformedVerifier, "invalid_request", func(p *peer) *http.Request {
		return p.exchangeRequest(p.code(), "code_verifier", "short")
	}},
	{fakeas.WrongVerifier, "invalid_grant", func(p *peer) *http.Request {
		d := p.must(p.form(fakeas.DeviceAuthorization, "code_challenge", challenge, "code_challenge_method", "S256"))
		p.decide(p.as.Approve(d.text("user_code")))
		return p.form(fakeas.Poll, "grant_type", deviceGrant, "device_code", d.text("device_code"), "code_verifier", otherVerifier)
	}},
	{fakeas.VerifierElsewhere, "", func(p *peer) *http.Request {
		return p.request(http.MethodGet, p.authorizationURL()+"&code_verifier="+verifier, "", "")
	}},
	{fakeas.RedirectMismatch, "invalid_grant", func(p *peer) *http.Request {
		return p.exchangeRequest(p.code(), "redirect_uri", "http://127.0.0.1/callback/x")
	}},
	{fakeas.CodeReused, "invalid_grant", func(p *peer) *http.Request {
		code := p.code()
		p.exchange(code)
		return p.exchangeRequest(code)
	}},
	{fakeas.AssertionReused, "invalid_grant", func(p *peer) *http.Request {
		assertion := vouch(p.t).text("access_token")
		p.must(p.form(fakeas.Assertion, "grant_type", jwtGrant, "assertion", assertion))
		return p.form(fakeas.Assertion, "grant_type", jwtGrant, "assertion", assertion)
	}},
	{fakeas.HintInURL, "", func(p *peer) *http.Request {
		return p.request(http.MethodGet, p.authorizationURL("login_hint", "ada"), "", "")
	}},
	{fakeas.MalformedScope, "invalid_scope", func(p *peer) *http.Request {
		return p.form(fakeas.DeviceAuthorization, "scope", "profile  notes:read")
	}},
	{fakeas.WrongGrantType, "unsupported_grant_type", func(p *peer) *http.Request {
		return p.form(fakeas.OtherTokenRequest, "grant_type", "device_code", "device_code", "x")
	}},
	{fakeas.SecretInQuery, "", func(p *peer) *http.Request {
		req := p.form(fakeas.DeviceAuthorization, "scope", "profile")
		req.URL.RawQuery = "client_secret=s3cret"
		return req
	}},
	{fakeas.TwoAuthentications, "invalid_request", func(p *peer) *http.Request {
		req := p.form(fakeas.DeviceAuthorization, "client_id", "basic", "client_secret", "s3cret")
		req.SetBasicAuth("basic", "s3cret")
		return req
	}},
	{fakeas.WrongAuthentication, "invalid_client", func(p *peer) *http.Request {
		return p.form(fakeas.DeviceAuthorization, "client_id", "basic", "client_secret", "s3cret")
	}},
	{fakeas.InsecureTransport, "", func(p *peer) *http.Request {
		return p.request(http.MethodGet, "http://as.example.test/.well-known/oauth-authorization-server", "", "")
	}},
	{fakeas.ForeignCode, "invalid_grant", func(p *peer) *http.Request {
		code := p.authorize("profile").text("device_code")
		return p.form(fakeas.Poll, "grant_type", deviceGrant, "device_code", code, "client_id", "other")
	}},
	{fakeas.ForeignToken, "invalid_grant", func(p *peer) *http.Request {
		return p.form(fakeas.Revocation, "client_id", "other", "token", p.login("profile").text("access_token"))
	}},
	{fakeas.ScopeRaised, "invalid_scope", func(p *peer) *http.Request {
		return p.form(fakeas.Refresh, "grant_type", "refresh_token", "refresh_token", p.login("profile").text("refresh_token"), "scope", "profile notes:read")
	}},
	{fakeas.RefreshTokenReused, "invalid_grant", func(p *peer) *http.Request {
		old := p.login("profile").text("refresh_token")
		p.refresh(old)
		return p.form(fakeas.Refresh, "grant_type", "refresh_token", "refresh_token", old)
	}},
	{fakeas.RevokedTokenUsed, "invalid_token", func(p *peer) *http.Request {
		token := p.login("profile").text("access_token")
		p.must(p.form(fakeas.Revocation, "token", token))
		time.Sleep(time.Second)
		return p.bearer(p.as.URL(fakeas.Me), token)
	}},
	{fakeas.BearerInQuery, "unauthorized", func(p *peer) *http.Request {
		return p.request(http.MethodGet, p.as.URL(fakeas.Me)+"?access_token="+p.login("profile").text("access_token"), "", "")
	}},
	{fakeas.BearerElsewhere, "", func(p *peer) *http.Request {
		return p.bearer("https://collector.example.net/me", p.login("profile").text("access_token"))
	}},
	{fakeas.DeviceCodeElsewhere, "", func(p *peer) *http.Request {
		return p.form(fakeas.Revocation, "token", p.authorize("profile").text("device_code"))
	}},
	{fakeas.RefreshTokenElsewhere, "invalid_token", func(p *peer) *http.Request {
		return p.bearer(p.as.URL(fakeas.Me), p.login("profile").text("refresh_token"))
	}},
	{fakeas.RegistrationElsewhere, "invalid_token", func(p *peer) *http.Request {
		return p.bearer(p.as.URL(fakeas.Me), p.register(native).text("registration_access_token"))
	}},
	{fakeas.SecretElsewhere, "unauthorized", func(p *peer) *http.Request {
		req := p.request(http.MethodGet, p.as.URL(fakeas.Me), "", "")
		req.SetBasicAuth("basic", "s3cret")
		return req
	}},
}

func (p *peer) decide(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) bearer(address, token string) *http.Request {
	p.t.Helper()
	req := p.request(http.MethodGet, address, "", "")
	req.Header.Set("Authorization", "Bearer "+token)
	return req
}

func strictOptions() *fakeas.Options {
	return &fakeas.Options{NoHintInURL: true, Registration: true, Unattended: trusting().Unattended, Clients: []fakeas.Client{
		{ID: fakeas.DefaultClientID},
		{ID: "other"},
		{ID: "basic", Secret: "s3cret"},
		{ID: "post", Secret: "s3cret", Auth: fakeas.PostAuth},
		{ID: "odd: id", Secret: "p%cent+plus", Auth: fakeas.BasicAuth},
		{ID: "odd", Secret: "p%cent+plus"},
	}}
}
