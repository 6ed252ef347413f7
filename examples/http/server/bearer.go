package server

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"go.uber.org/zap"
	"golang.org/x/oauth2"
)

// asking is the client for questions about tokens. It follows no redirects,
// which would take the token elsewhere.
var asking = &http.Client{
	Timeout:       10 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// verifier returns what tells whose a bearer token is. lazyauth takes the person
// from UserID and Extra["iss"]; the SDK lets nobody else into their session.
func verifier(cfg *Config, audience []string) auth.TokenVerifier {
	if len(cfg.DemoUsers) > 0 {
		return demo(cfg.Issuer, cfg.DemoUsers)
	}
	i := &introspection{
		url: cfg.IntrospectionURL, id: cfg.IntrospectionID, secret: cfg.IntrospectionSecret,
		issuer: cfg.Issuer, audience: audience, log: cfg.Log.Named("introspection"),
		known: newMemory(), try: cfg.Limiter.Try,
	}
	return i.verify
}

// demo takes names for tokens. It is for trying out, on loopback.
func demo(issuer string, users []string) auth.TokenVerifier {
	return func(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
		if !slices.Contains(users, token) {
			return nil, auth.ErrInvalidToken
		}
		return &auth.TokenInfo{
			UserID: token, Extra: map[string]any{"iss": issuer}, Expiration: time.Now().Add(time.Hour),
		}, nil
	}
}

// An introspection asks the authorization server about bearer tokens (RFC 7662). What it learns
// is remembered for a while: a revoked token is good here for up to a minute more, and the
// server is not asked once for each request, or for each that brings a token of nobody's.
type introspection struct {
	url, id, secret string
	issuer          string
	audience        []string // a token must be for one of these
	log             *zap.Logger
	known           *lru.Cache[[sha256.Size]byte, verdict] // by the token's hash
	// try takes one of the tries of who sends a request; see [httplimit.Limiter.Try].
	try func(*http.Request) (forgive func(), ok bool)
}

const (
	rememberGood = time.Minute // and no longer than the token is good
	rememberBad  = 10 * time.Second
	remembered   = 10_000 // tokens
)

// A verdict is what a token was found to be.
type verdict struct {
	info  *auth.TokenInfo // nil: an invalid one
	until time.Time
}

func newMemory() *lru.Cache[[sha256.Size]byte, verdict] {
	memory, err := lru.New[[sha256.Size]byte, verdict](remembered)
	if err != nil {
		panic(err) // the size is a constant
	}
	return memory
}

// errUnchecked is all that a caller learns of a fault behind this server.
var errUnchecked = errors.New("the token could not be checked: try again later")

// verify is an [auth.TokenVerifier].
func (i *introspection) verify(ctx context.Context, token string, r *http.Request) (*auth.TokenInfo, error) {
	hash := sha256.Sum256([]byte(token))
	v, ok := i.known.Get(hash)
	if !ok || !time.Now().Before(v.until) {
		forgive := func() {}
		if v.info == nil { // nobody's, as far as it is known: strangers must not ask for ever
			if forgive, ok = i.try(r); !ok {
				return nil, errUnchecked
			}
		}
		var err error
		if v, err = i.judge(ctx, token); err != nil { // which says nothing of the token
			return nil, err
		}
		if v.info != nil {
			forgive()
		}
		i.known.Add(hash, v)
	}
	if v.info == nil {
		return nil, auth.ErrInvalidToken
	}
	info := *v.info
	return &info, nil
}

// judge asks whose a token is.
func (i *introspection) judge(ctx context.Context, token string) (verdict, error) {
	about, err := i.ask(ctx, token)
	if err != nil {
		if ctx.Err() == nil {
			i.log.Warn("the authorization server did not tell about a token", zap.Error(err))
		}
		return verdict{}, errUnchecked
	}
	info, err := about.info(i.issuer, i.audience)
	switch until := time.Now().Add(rememberGood); {
	case err != nil:
		return verdict{until: time.Now().Add(rememberBad)}, nil //nolint:nilerr // that is the verdict
	case info.Expiration.Before(until):
		return verdict{info, info.Expiration}, nil
	default:
		return verdict{info, until}, nil
	}
}

// ask sends the introspection request (RFC 7662 §2.1). The form and the error
// of a client that cannot send it have no token in them.
func (i *introspection) ask(ctx context.Context, token string) (*introspected, error) {
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, i.url, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.SetBasicAuth(url.QueryEscape(i.id), url.QueryEscape(i.secret)) // RFC 6749 §2.3.1
	about := new(introspected)
	return about, decode(req, about)
}

// introspected is an introspection response (RFC 7662 §2.2).
type introspected struct {
	Active   bool     `json:"active"`
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience audience `json:"aud"`
	Client   string   `json:"client_id"`
	Scope    string   `json:"scope"`
	Expires  int64    `json:"exp"`
}

// info returns what is known of an active token that was issued to a person, by
// this issuer, for one of these audiences; of any other token it is an
// [auth.ErrInvalidToken]. A token that the same issuer made out for another
// server must not be taken: that server could use the person's access here (MCP
// basic/authorization, token audience validation).
func (a *introspected) info(issuer string, audience []string) (*auth.TokenInfo, error) {
	ours := func(name string) bool { return slices.Contains(audience, name) }
	if !a.Active || a.Subject == "" || a.Issuer != "" && a.Issuer != issuer || !slices.ContainsFunc(a.Audience, ours) {
		return nil, auth.ErrInvalidToken
	}
	info := &auth.TokenInfo{
		UserID: a.Subject,
		Extra:  map[string]any{"iss": issuer, "client_id": a.Client}, // of which the connect page tells
		Scopes: strings.Fields(a.Scope),
	}
	if a.Expires > 0 { // the SDK refuses tokens that last for ever
		info.Expiration = time.Unix(a.Expires, 0)
	}
	return info, nil
}

// An audience is written as one string or as several.
type audience []string

// UnmarshalJSON implements [json.Unmarshaler].
func (a *audience) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(a))
}

// VerifyUser returns an Options.VerifyUser that asks the API whose token a new
// grant is. Somebody else may have approved the code: a caller who sends it
// to a victim would otherwise act with the victim's grant (RFC 8628 §5.4).
//
// The API's subjects can be compared with those of bearer tokens because one
// issuer names both. Where two do, compare what links the accounts, and nothing
// that people can choose for themselves, such as a name or an unverified e-mail
// address.
func VerifyUser(api string) func(context.Context, lazyauth.Principal, *oauth2.Token) error {
	return func(ctx context.Context, who lazyauth.Principal, token *oauth2.Token) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, api+"/me", nil)
		if err != nil {
			return err
		}
		token.SetAuthHeader(req)
		var me person
		if err := decode(req, &me); err != nil {
			return err
		}
		if me.Subject != who.Subject {
			return errors.New("somebody else has approved")
		}
		return nil
	}
}

// decode sends a request and decodes the answer, which is bounded. Its errors
// repeat nothing of that.
func decode(req *http.Request, out any) error {
	resp, err := asking.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered with HTTP status %d", req.URL.Host, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil || json.Unmarshal(body, out) != nil { // whole: nothing may follow what is believed
		return fmt.Errorf("%s sent an answer that is not understood", req.URL.Host)
	}
	return nil
}
