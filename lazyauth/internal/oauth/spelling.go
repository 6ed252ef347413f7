package oauth

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// A Spelling is how a server that departs from RFC 6749 writes what everybody else writes in
// its words. The zero value is the RFC's. It concerns the grants that a person gives, and
// nothing of what the server says of itself.
type Spelling struct {
	// ScopeParam is the parameter by which authorization requests and refreshes name scopes, in
	// place of "scope" (RFC 6749 §3.3): Slack's "user_scope".
	ScopeParam string

	// ScopeSeparator stands between scopes there, in place of a blank: Slack's and Linear's
	// comma. Nothing but a comma and a blank can.
	ScopeSeparator string

	// TokenMember is the member of the answer to a token request that is an object with the
	// members of RFC 6749 §5.1 in it, in place of the answer itself: Slack's "authed_user". An answer
	// whose object has no access_token is read as anybody's, but for the scopes, if it names them
	// there alone.
	TokenMember string
}

// check says what is wrong with the spelling, or with parameters beside it. It quotes no value.
func (s Spelling) check(p Params) error {
	switch {
	case s.ScopeParam != "" && (!isMemberName(s.ScopeParam) || s.ScopeParam != "scope" && isReserved(s.ScopeParam)):
		return errors.New("Spelling.ScopeParam is not the name of a parameter, or that of one with another meaning")
	case s.ScopeSeparator != "" && s.ScopeSeparator != " " && s.ScopeSeparator != ",":
		return errors.New("Spelling.ScopeSeparator is neither a blank nor a comma")
	case s.TokenMember != "" && !isMemberName(s.TokenMember):
		return errors.New("Spelling.TokenMember is not the name of a member")
	case s.ScopeParam == "":
		return nil
	}
	for _, params := range []url.Values{p.Authorization, p.Refresh} {
		for name := range params {
			if strings.EqualFold(strings.TrimSpace(name), s.ScopeParam) {
				return errors.New("the parameter that Spelling.ScopeParam names cannot be added to requests: it has the scopes")
			}
		}
	}
	return nil
}

// isReserved reports whether a parameter of some request is the protocol's.
func isReserved(name string) bool {
	plain := strings.ToLower(name)
	return slices.Contains(clientParams, plain) || slices.Contains(authorizationParams, plain) || slices.Contains(tokenParams, plain)
}

// SetScopes names scopes in an authorization request, or in a refresh. Of none it says nothing.
func (c *Client) SetScopes(form url.Values, asked scopes.Set) {
	if asked.IsEmpty() {
		return
	}
	spelling, text := c.config.Spelling, asked.String()
	if spelling.ScopeSeparator == "," {
		text = strings.ReplaceAll(text, " ", ",") // no scope has either (package scopes)
	}
	name := "scope"
	if spelling.ScopeParam != "" {
		name = spelling.ScopeParam
	}
	form.Set(name, text)
}

// lift puts the members of the object that has the token into the place of the answer's. What
// the answer itself says of another token must not be said of this one.
func (a *Answer) lift(member string) {
	if member == "" || a.fields == nil {
		return
	}
	inner := readJSON([]byte(a.fields[member].other))
	switch {
	case inner.text("access_token") != "":
		for _, name := range []string{"access_token", "token_type", "expires_in", "refresh_token", "scope"} {
			delete(a.fields, name)
			if f, ok := inner[name]; ok {
				a.fields[name] = f
			}
		}
	case inner.has("scope") && !a.fields.has("scope") && a.fields.text("access_token") != "":
		a.fields["scope"] = inner["scope"]
	}
}
