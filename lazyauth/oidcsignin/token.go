package oidcsignin

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

const (
	skew       = time.Minute // between the issuer's clock and ours
	maxIDToken = 32 << 10    // bytes
)

// verify returns the claims of the ID token of a token response, once all is as OpenID Connect Core 1.0 §3.1.3.7 has
// it: the issuer's signature, by an asymmetric algorithm that its metadata lists; issuer, audience, authorized party,
// times and nonce. The claim "iss" is the issuer as it is configured.
func (s *SignIn) verify(ctx context.Context, p *provider, response *oauth2.Token, nonce string) (Claims, error) {
	raw, _ := response.Extra("id_token").(string)
	switch {
	case raw == "":
		return nil, errors.New("the token response has no ID token")
	case len(raw) > maxIDToken:
		return nil, errors.New("the ID token is too long")
	case strings.Count(raw, ".") != 2:
		return nil, errors.New("the ID token is no JWS in compact form")
	}
	token, err := p.verifier.Verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	if token.AccessTokenHash != "" {
		if err := token.VerifyAccessToken(response.AccessToken); err != nil {
			return nil, err
		}
	}
	var payload json.RawMessage
	if err := token.Claims(&payload); err != nil {
		return nil, err
	}
	claims, err := decodeClaims(payload)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(nonce)) != 1 {
		return nil, errors.New("the nonce of the ID token is another one: it was not made for this sign-in")
	}
	if err := s.checkClaims(claims, token.Audience, token.IssuedAt); err != nil {
		return nil, err
	}
	claims["iss"] = s.options.Issuer // Google leaves out the scheme
	return claims, nil
}

// checkClaims checks what go-oidc does not.
func (s *SignIn) checkClaims(claims Claims, audience []string, issued time.Time) error {
	now := time.Now()
	party, named := claims["azp"]
	switch {
	case claims.Text("sub") == "":
		return errors.New("the ID token has no subject, or one of more than 255 bytes")
	case named && party != s.options.ClientID:
		return errors.New("the authorized party (azp) of the ID token is another client")
	case !named && len(audience) > 1:
		return errors.New("the ID token is for several audiences, and does not say which of them it was issued to (azp)")
	case issued.Unix() <= 0 || issued.After(now.Add(skew)):
		return errors.New("the ID token was issued at no time, or in the future (iat)")
	case s.options.MaxAge == 0:
		return nil
	}
	number, _ := claims["auth_time"].(json.Number)
	seconds, err := number.Float64()
	if err != nil || seconds <= 0 || seconds > float64(now.Add(skew).Unix()) {
		return errors.New("the ID token does not say when its person signed in (auth_time), which MaxAge needs")
	}
	if now.Add(-s.options.MaxAge-skew).Unix() > int64(seconds) {
		return errors.New("the person signed in longer ago than MaxAge allows")
	}
	return nil
}

// mostName is how many bytes the page is given of a name.
const mostName = 128

// isOwnName reports whether nobody else could have this name, of a claim that the author has not named: an address that
// the issuer has verified, or a user name that cannot be taken for somebody's address. Entra's are addresses, which
// tenants give (Microsoft, "ID token claims reference").
func isOwnName(claim, name string, claims Claims) bool {
	if claim == "email" {
		return claims["email_verified"] == true
	}
	issuer, err := url.Parse(claims.Text("iss"))
	return !strings.Contains(name, "@") || err == nil && slices.Contains(entraHosts, issuer.Host)
}

// name returns what the page calls whoever these claims are of; empty for their subject.
func (s *SignIn) name(claims Claims) string {
	names := s.options.NameClaims
	if len(names) == 0 {
		names = []string{"email", "preferred_username"}
	}
	for _, claim := range names {
		if name := claims.Text(claim); name != "" && (len(s.options.NameClaims) > 0 || isOwnName(claim, name, claims)) {
			if len(name) > mostName {
				name = strings.ToValidUTF8(name[:mostName], "") + "…"
			}
			return name
		}
	}
	return ""
}
