package oidcsignin

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"golang.org/x/oauth2"
)

// attemptLife is for how long somebody may be at the issuer.
const attemptLife = 15 * time.Minute

// An attempt is one sign-in under way, as the cookie of its browser says it, sealed. Nothing is kept of it here.
type attempt struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
	Back     string `json:"b"`
	Ends     int64  `json:"e"`
}

// attempt reads the cookie of an attempt.
func (s *SignIn) attempt(name, value string) (a attempt, ok bool) {
	ok = s.sealer.open(value, &a, name) && time.Now().Unix() < a.Ends
	return a, ok
}

// Begin implements [lazyauth.BrowserSignIn]: it returns an authentication request (OpenID Connect Core 1.0 §3.1.2.1)
// with a state, a nonce and a code challenge of its own. Back has to be an address of the page.
func (s *SignIn) Begin(r *http.Request, back string, anew bool) (to string, set []*http.Cookie, err error) {
	if rest, ok := strings.CutPrefix(back, s.options.PublicURL); !ok || len(back) > 2*mostPublic || rest != "" && rest[0] != '/' && rest[0] != '?' {
		return "", nil, errors.New("oidcsignin: the browser is to come back to no address of the page")
	}
	p, err := s.provider(r.Context())
	if err != nil {
		s.log().Warn("oidcsignin: nobody can sign in", "cause", err.Error())
		return "", nil, fmt.Errorf("oidcsignin: %w", err)
	}
	id := newSecret()[:idLength]
	a := attempt{
		State: id + "." + newSecret(), Nonce: newSecret(), Verifier: oauth2.GenerateVerifier(), Back: back,
		Ends: time.Now().Add(attemptLife).Unix(),
	}
	name := s.cookies.attempt(id)
	value, err := s.sealer.seal(a, name)
	if err != nil {
		return "", nil, fmt.Errorf("oidcsignin: %w", err)
	}
	set = append(s.cookies.makeRoom(r, func(name, value string) (int64, bool) {
		a, ok := s.attempt(name, value)
		return a.Ends, ok
	}), s.cookies.set(name, value, attemptLife))
	parameters := s.parameters(a, anew)
	if p.push == "" {
		to, err = withQuery(p.config.Endpoint.AuthURL, parameters)
	} else if to, err = s.push(r.Context(), p, parameters); err != nil {
		s.log().Warn("oidcsignin: nobody can sign in", "cause", err.Error())
	}
	if err != nil {
		return "", nil, fmt.Errorf("oidcsignin: %w", err)
	}
	return to, set, nil
}

// parameters returns those of the request of an attempt.
func (s *SignIn) parameters(a attempt, anew bool) url.Values {
	values := url.Values{
		"response_type": {"code"}, "client_id": {s.options.ClientID}, "redirect_uri": {s.RedirectURI()},
		"scope": {strings.Join(append([]string{oidc.ScopeOpenID}, s.options.Scopes...), " ")}, "state": {a.State}, "nonce": {a.Nonce},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(a.Verifier)}, "code_challenge_method": {"S256"},
	}
	if s.options.MaxAge > 0 {
		values.Set("max_age", strconv.FormatInt(int64(s.options.MaxAge/time.Second), 10))
	}
	prompt := s.options.Prompt
	if anew && prompt != "select_account" {
		prompt = "login"
	}
	if prompt != "" {
		values.Set("prompt", prompt)
	}
	return values
}

// Finish implements [lazyauth.BrowserSignIn]. Before the issuer is asked anything the browser has shown, by its cookie,
// that it began this very sign-in, whose answer has not been taken, and that the answer comes from this issuer.
func (s *SignIn) Finish(r *http.Request) (back string, set []*http.Cookie, err error) {
	got, ok := readAnswer(r.URL.RawQuery)
	id, named := attemptOf(got.state)
	if !ok || !named {
		return "", nil, lazyauth.ErrSignInElsewhere
	}
	name := s.cookies.attempt(id)
	value, ok := s.cookies.one(r, name)
	if !ok {
		return "", nil, lazyauth.ErrSignInElsewhere
	}
	a, ok := s.attempt(name, value)
	if !ok || subtle.ConstantTimeCompare([]byte(a.State), []byte(got.state)) != 1 {
		return "", nil, lazyauth.ErrSignInElsewhere
	}
	if !s.attempts.spend(id, time.Unix(a.Ends, 0)) {
		return a.Back, []*http.Cookie{s.cookies.drop(name)}, lazyauth.ErrSignInElsewhere
	}
	set = []*http.Cookie{s.cookies.drop(name)}
	opened, err := s.exchange(r.Context(), got, a)
	if err != nil {
		s.log().Warn("oidcsignin: a sign-in came to nothing", "cause", err.Error())
		return a.Back, set, fmt.Errorf("oidcsignin: %w", err)
	}
	if before, err := s.current(r); err == nil { // which another sign-in replaces
		s.sessions.spend(before.ID, time.Unix(before.Ends, 0))
	}
	return a.Back, append(set, opened), nil
}

// exchange makes a session of an answer, or says why it does not.
func (s *SignIn) exchange(ctx context.Context, got answer, a attempt) (*http.Cookie, error) {
	ctx = oidc.ClientContext(ctx, s.client)
	p, err := s.provider(ctx)
	if err != nil {
		return nil, err
	}
	switch { // RFC 9207 §2.4, for errors, too
	case got.issuer == "" && p.namesItself:
		return nil, errors.New("the answer does not name its issuer, as the metadata promises (RFC 9207)")
	case got.issuer != "" && got.issuer != s.options.Issuer:
		return nil, errors.New("the answer names another issuer (RFC 9207): " + quote(got.issuer))
	case got.failure != "":
		return nil, fmt.Errorf("the issuer answered %s: %s", quote(got.failure), quote(got.description))
	}
	response, err := p.config.Exchange(ctx, got.code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return nil, exchangeError(err)
	}
	claims, err := s.verify(ctx, p, response, a.Nonce)
	if err != nil {
		return nil, fmt.Errorf("the ID token is not accepted: %s", quote(err.Error()))
	}
	if err := s.complete(ctx, p, response, claims); err != nil {
		return nil, fmt.Errorf("it is not known who the ID token is of, by %v: %s", s.options.Identity, quote(err.Error()))
	}
	who, err := s.options.Identity.Of(claims)
	if err != nil {
		return nil, fmt.Errorf("the ID token does not say who it is of, by %v: %s", s.options.Identity, quote(err.Error()))
	}
	return s.open(who, s.name(claims))
}

// exchangeError says what became of a code, without anything secret.
func exchangeError(err error) error {
	answered, ok := errors.AsType[*oauth2.RetrieveError](err)
	switch {
	case !ok:
		return fmt.Errorf("%w: the token endpoint: %s", lazyauth.ErrSignInUnreached, quote(err.Error()))
	case answered.ErrorCode != "":
		return fmt.Errorf("the token endpoint answered %s: %s", quote(answered.ErrorCode), quote(answered.ErrorDescription))
	case answered.Response != nil && (answered.Response.StatusCode >= http.StatusInternalServerError || answered.Response.StatusCode == http.StatusTooManyRequests):
		return fmt.Errorf("%w: the token endpoint answered with HTTP status %d", lazyauth.ErrSignInUnreached, answered.Response.StatusCode)
	}
	return errors.New("the token endpoint gave no token")
}
