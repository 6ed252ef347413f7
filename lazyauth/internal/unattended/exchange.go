package unattended

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// Types of tokens (RFC 8693 §3, draft-ietf-oauth-identity-assertion-authz-grant-04 §9).
const (
	AccessToken  = "urn:ietf:params:oauth:token-type:access_token"
	RefreshToken = "urn:ietf:params:oauth:token-type:refresh_token"
	IDToken      = "urn:ietf:params:oauth:token-type:id_token"
	SAML2        = "urn:ietf:params:oauth:token-type:saml2"
	JWT          = "urn:ietf:params:oauth:token-type:jwt"
	IDJAG        = "urn:ietf:params:oauth:token-type:id-jag"
)

const grantTypeExchange = "urn:ietf:params:oauth:grant-type:token-exchange"

// A Target says what a token is to be good for.
type Target struct {
	Audience, Resource []string // RFC 8693 §2.1, RFC 8707
	Params             url.Values
}

// reserved are the protocol's own parameters, in any of the requests here.
var reserved = []string{
	"grant_type", "scope", "audience", "resource", "client_id", "client_secret", "client_assertion", "client_assertion_type",
	"subject_token", "subject_token_type", "requested_token_type", "assertion", "refresh_token", "code", "code_verifier", "device_code",
}

// Check says what of a target cannot be sent. It quotes no value.
func (t Target) Check() error {
	for name := range t.Params {
		switch plain := strings.ToLower(strings.TrimSpace(name)); {
		case plain == "" || plain != name:
			return errors.New("the name of a parameter is empty, or not in lower case")
		case slices.Contains(reserved, plain):
			return fmt.Errorf("the parameter %s cannot be added: it is the protocol's own, or has a field", plain)
		}
	}
	for _, resource := range t.Resource {
		if u, err := url.Parse(resource); err != nil || !u.IsAbs() || u.Fragment != "" || strings.HasSuffix(resource, "#") {
			return errors.New("a resource must be an absolute URL without a fragment (RFC 8707 §2)")
		}
	}
	if slices.Contains(t.Audience, "") {
		return errors.New("an audience is empty")
	}
	return nil
}

// form returns a token request of this type for what is wanted.
func (t Target) form(grantType string, want scopes.Set) url.Values {
	form := make(url.Values)
	for name, values := range t.Params {
		form[name] = slices.Clone(values)
	}
	if len(t.Audience) > 0 {
		form["audience"] = slices.Clone(t.Audience)
	}
	if len(t.Resource) > 0 {
		form["resource"] = slices.Clone(t.Resource)
	}
	form.Set("grant_type", grantType)
	if !want.IsEmpty() {
		form.Set("scope", want.String())
	}
	return form
}

// secrets are the parameters that may be secret, with what else was sent.
func (t Target) secrets(sent ...string) []string {
	for _, values := range t.Params {
		for _, value := range values {
			if len(value) >= 4 { // less stands in any text by chance
				sent = append(sent, value)
			}
		}
	}
	return sent
}

// A Subject is the token that is exchanged: somebody's whom the client acts for.
type Subject struct {
	Token string `json:"-"`
	Type  string // such as AccessToken
}

// Format writes no token, whatever the verb.
func (s Subject) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "unattended.Subject{%s}", s.Type) }

// Exchange gets an access token for the person of a subject token (RFC 8693): good for this
// target, and for these scopes or fewer. It blocks for two requests at most.
func Exchange(ctx context.Context, c *oauth.Client, s Subject, t Target, want scopes.Set) (*oauth.Token, error) {
	const op = "token exchange"
	a, sent, hidden, err := exchange(ctx, c, op, s, AccessToken, t, want)
	if err != nil {
		return nil, err
	}
	switch a.Text("issued_token_type") {
	case AccessToken, JWT: // of which the second says more of the first
	case "":
		return nil, c.Invalid(op, "the issued_token_type is missing", a, hidden...)
	default:
		return nil, c.Invalid(op, "the issued_token_type is not that of an access token", a, hidden...)
	}
	return read(c, op, a, sent, want, hidden)
}

// exchange asks for a token of this type, and returns an answer that is a success, with what
// was sent that no log may have.
func exchange(ctx context.Context, c *oauth.Client, op string, s Subject, requested string, t Target, want scopes.Set) (*oauth.Answer, time.Time, []string, error) {
	form := t.form(grantTypeExchange, want)
	form.Set("requested_token_type", requested)
	form.Set("subject_token", s.Token)
	form.Set("subject_token_type", s.Type)
	hidden := t.secrets(s.Token)
	a, sent, err := post(ctx, c, op, form, hidden)
	return a, sent, hidden, err
}

// post sends a token request, and returns an answer that is a success.
func post(ctx context.Context, c *oauth.Client, op string, form url.Values, hidden []string) (*oauth.Answer, time.Time, error) {
	a, sent := c.PostAgain(ctx, c.Endpoints().Token, form)
	if err := c.Check(ctx, op, a, hidden...); err != nil {
		return nil, sent, err
	}
	return a, sent, nil
}

// read returns the access token of an answer, alone. An answer without scopes has those that
// were asked for (RFC 6749 §5.1, RFC 8693 §2.2.1).
func read(c *oauth.Client, op string, a *oauth.Answer, sent time.Time, want scopes.Set, hidden []string) (*oauth.Token, error) {
	if a.Text("token_type") == "" {
		return nil, c.Invalid(op, "the token_type is missing", a, hidden...)
	}
	token, err := c.ReadToken(op, a, sent, want, hidden...)
	if err != nil {
		return nil, err
	}
	token.Refresh = "" // not asked for, and not kept
	return token, nil
}
