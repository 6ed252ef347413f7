package oidcsignin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"

	"golang.org/x/oauth2"
)

// complete adds what an ID token does not tell of its person, and the UserInfo endpoint does (OpenID Connect Core 1.0
// §5.3): many issuers put no more than the subject into an ID token that comes with an access token (§5.4). It is
// asked only for what is missing. What the ID token says stands. The error is for claims that say who it is; where a
// name alone is missing there is none.
func (s *SignIn) complete(ctx context.Context, p *provider, response *oauth2.Token, claims Claims) error {
	_, unknown := s.options.Identity.Of(claims)
	lacks, ok := errors.AsType[*errClaims](unknown)
	if !ok && s.name(claims) != "" || p.found.UserInfoEndpoint() == "" {
		return nil
	}
	more, err := userInfo(ctx, p, response, claims.Text("sub"))
	if err != nil {
		if ok {
			return errors.Join(lacks, err)
		}
		s.log().Info("oidcsignin: the issuer did not tell what to call somebody", "cause", quote(err.Error()))
		return nil
	}
	if address := claims.Text("email"); address != "" && address != more.Text("email") {
		delete(more, "email_verified") // which is about another address
	}
	for name, value := range more {
		if _, told := claims[name]; !told {
			claims[name] = value
		}
	}
	return nil
}

// userInfo asks the UserInfo endpoint about the person of an access token, which has to be the one of the ID token.
func userInfo(ctx context.Context, p *provider, response *oauth2.Token, subject string) (Claims, error) {
	info, err := p.found.UserInfo(ctx, oauth2.StaticTokenSource(response))
	if err != nil {
		return nil, err
	}
	if info.Subject != subject { // "MUST be verified to exactly match" (§5.3.2)
		return nil, errors.New("the UserInfo response is of another person than the ID token")
	}
	var payload json.RawMessage
	if err := info.Claims(&payload); err != nil {
		return nil, err
	}
	return decodeClaims(payload)
}

// decodeClaims reads a JSON object. Numbers stay as they are written.
func decodeClaims(payload json.RawMessage) (Claims, error) {
	claims := Claims{}
	in := json.NewDecoder(bytes.NewReader(payload))
	in.UseNumber()
	if err := in.Decode(&claims); err != nil {
		return nil, err
	}
	return claims, nil
}
