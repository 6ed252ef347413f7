package device

import (
	"context"
	"net/url"
	"time"

	"golang.org/x/oauth2"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// A proof is what a device request has bound the code to, which is shown again with each
// poll.
type proof struct {
	// verifier is that of PKCE (RFC 7636 §4.1), which RFC 8628 does not have. Keycloak and
	// Rauthy, which can be told to demand it of device requests too, take it as they do in
	// other flows. Empty if there is none.
	verifier string

	// clientID says that client_id goes into the body beside the Authorization header.
	clientID bool
}

// request sends a device request (RFC 8628 §3.1), and what it was bound to.
//
// It has a challenge where the metadata lists S256: parameters that a server does not know
// it has to ignore (RFC 6749 §3.1), as oidc-provider, Duende and GitHub do. And it has no
// client_id beside the header, since §3.1 asks for one only of clients that do not
// authenticate, and Okta takes it for a second authentication. A server that sees it
// otherwise, in either, says invalid_request; before anybody is asked there is time to
// try it the other way. What the server has said first is what counts if that does not
// help.
func (c *Client) request(ctx context.Context, asked scopes.Set) (*oauth.Answer, time.Time, proof) {
	endpoint := c.oauth.Endpoints().DeviceAuthorization
	form := c.oauth.AuthorizationForm()
	c.oauth.SetScopes(form, asked)
	var p proof
	if c.oauth.Endpoints().Features.S256 && !c.options.SkipPKCE {
		p.verifier = oauth2.GenerateVerifier()
		form.Set("code_challenge", oauth2.S256ChallengeFromVerifier(p.verifier))
		form.Set("code_challenge_method", "S256")
	}
	a, sent := c.oauth.PostAgain(ctx, endpoint, form)
	if a.Verdict != oauth.Known("invalid_request") {
		return a, sent, p
	}
	again := func(change func(url.Values)) bool {
		change(form)
		at := time.Now()
		b := c.oauth.Post(ctx, endpoint, form)
		if !b.Success() || b.Fault != "" || b.Verdict.Code != "" {
			return false
		}
		a, sent = b, at
		return true
	}
	if c.oauth.SendsHeader() {
		if again(func(form url.Values) { form.Set("client_id", c.oauth.ClientID()) }) {
			p.clientID = true
			return a, sent, p
		}
		form.Del("client_id")
	}
	if p.verifier != "" && again(func(form url.Values) { form.Del("code_challenge"); form.Del("code_challenge_method") }) {
		p.verifier = ""
	}
	return a, sent, p
}

// add puts the proof into a poll.
func (p proof) add(form url.Values, client *oauth.Client) {
	if p.verifier != "" {
		form.Set("code_verifier", p.verifier)
	}
	if p.clientID && client.SendsHeader() {
		form.Set("client_id", client.ClientID())
	}
}
