package oauth

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Params are parameters that an author adds to requests, each kind of request by itself,
// since servers refuse at one what they need at another: audience, for example, or resource
// (RFC 8707). They cannot replace what the protocol itself sends there, in upper or lower
// case.
//
// Those of token requests and refreshes go to the server alone, and may be secret: no Detail shows their
// values, should the server repeat one. Those of authorization requests cannot be, since they stand in
// links that people are shown.
type Params struct {
	// Authorization are those of each request that asks a person for authorization,
	// whichever flow sends it. They are no secrets. What identifies the person (login_hint) does not belong
	// here where the person's client sees the address that is opened.
	Authorization url.Values `json:"-"`

	// Token are those of a request that exchanges for a token what the person has
	// approved: a device code, or an authorization code. It may name scopes.
	Token url.Values `json:"-"`

	// Refresh are those of a refresh. If it names scopes, these are asked for each time,
	// also where others are wanted by name ([Client.RefreshFor]).
	Refresh url.Values `json:"-"`
}

var (
	// clientParams authenticate the client, which nothing else may do.
	clientParams = []string{"client_id", "client_secret", "client_assertion", "client_assertion_type"}

	// authorizationParams are the protocol's in an authorization request, or would change
	// what comes of one: how the response comes back (response_mode), or all of the request
	// (RFC 9101).
	authorizationParams = []string{
		"scope", "grant_type", "device_code", "response_type", "response_mode", "redirect_uri", "state",
		"code_challenge", "code_challenge_method", "request", "request_uri",
	}

	// tokenParams are the protocol's at the token endpoint.
	tokenParams = []string{"grant_type", "device_code", "code", "redirect_uri", "code_verifier", "refresh_token"}
)

// check says which parameter cannot be given, if any. It quotes no value.
func (p Params) check() error {
	for _, request := range []struct {
		name     string
		params   url.Values
		reserved []string
	}{
		{"authorization", p.Authorization, authorizationParams},
		{"token", p.Token, tokenParams},
		{"refresh", p.Refresh, tokenParams},
	} {
		for name := range request.params {
			switch plain := strings.ToLower(strings.TrimSpace(name)); {
			case plain == "" || !isPrintable(name):
				return errors.New("the name of a parameter is empty, or not printable ASCII")
			case slices.Contains(clientParams, plain), slices.Contains(request.reserved, plain):
				return fmt.Errorf("the parameter %s cannot be added to %s requests: the protocol sets it", plain, request.name)
			}
		}
	}
	return nil
}

// asking are parameters that say what is asked for (RFC 6749 §3.3, RFC 8707, RFC 8693): no secret, and what an
// operator has to read of a refusal.
var asking = []string{"scope", "resource", "audience"}

// leastSecret is how many bytes a secret has at least. Less stands in any text by chance.
const leastSecret = 4

// secrets returns the values that may be secret.
func (p Params) secrets() []string {
	shown := slices.Concat(slices.Collect(maps.Values(p.Authorization))...)
	var list []string
	for _, params := range []url.Values{p.Token, p.Refresh} {
		for name, values := range params {
			if slices.Contains(asking, strings.ToLower(strings.TrimSpace(name))) {
				continue
			}
			for _, value := range values {
				if len(value) >= leastSecret && !slices.Contains(shown, value) {
					list = append(list, value)
				}
			}
		}
	}
	// The longer ones first: one may be the beginning of another.
	slices.SortFunc(list, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b)) })
	return slices.Compact(list)
}

func (p Params) clone() Params {
	return Params{cloneValues(p.Authorization), cloneValues(p.Token), cloneValues(p.Refresh)}
}

// Format writes the names of no parameter, and no value.
func (p Params) Format(s fmt.State, _ rune) {
	fmt.Fprintf(s, "oauth.Params{%d, %d, %d}", len(p.Authorization), len(p.Token), len(p.Refresh))
}

// AuthorizationForm returns what the author has added to authorization requests. The flow
// adds the rest.
func (c *Client) AuthorizationForm() url.Values { return cloneValues(c.config.Params.Authorization) }

// TokenForm returns a token request for a grant of this type (RFC 6749 §4), with what the
// author has added. The flow adds the rest.
func (c *Client) TokenForm(grantType string) url.Values {
	form := cloneValues(c.config.Params.Token)
	form.Set("grant_type", grantType)
	return form
}

func cloneValues(values url.Values) url.Values {
	clone := make(url.Values, len(values))
	for name, list := range values {
		clone[name] = slices.Clone(list)
	}
	return clone
}
