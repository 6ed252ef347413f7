package lazyauth

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2"
)

// identify learns whose grant g is. Whatever goes wrong, the grant is good.
func (i *keeper) identify(ctx context.Context, o *owner, g *grant) {
	ask := i.options.Identify
	if ask == nil {
		if i.service.UserInfo == "" {
			return
		}
		ask = func(ctx context.Context, token *oauth2.Token) (Identity, error) { return i.userInfo(ctx, token, g) }
	}
	ctx, cancel := context.WithTimeout(ctx, identifyWait)
	defer cancel()
	id, err := ask(ctx, g.token)
	if err == nil {
		err = id.check()
	}
	if err != nil {
		i.emit(onUnidentified, Event{Principal: o.principal, Err: err})
		return
	}
	g.identity = id
}

// userInfo asks the service's UserInfo endpoint. GitHub's says in a header which scopes a
// token has, which is the only way to learn them of one that the operator gave.
func (i *keeper) userInfo(ctx context.Context, token *oauth2.Token, g *grant) (Identity, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, i.service.UserInfo, nil)
	if err != nil {
		return Identity{}, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", cmp.Or(i.service.UserAgent, device.DefaultUserAgent()))
	token.SetAuthHeader(req)
	res, err := i.options.Transport.RoundTrip(req) // directly: it follows no redirect
	if err != nil {
		return Identity{}, errors.New("lazyauth: the UserInfo endpoint did not answer")
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return Identity{}, fmt.Errorf("lazyauth: the UserInfo endpoint answered with status %d", res.StatusCode)
	}
	if told := res.Header.Values("X-Oauth-Scopes"); g.configured && len(told) > 0 {
		if held, err := scopes.Parse(strings.Join(told, ",")); err == nil {
			g.scopes, g.held, g.told = held, i.service.Hierarchy.Expand(held), true
		}
	}
	var claims struct {
		Sub      string `json:"sub"`
		ID       any    `json:"id"` // GitHub's is a number
		Username string `json:"preferred_username"`
		Login    string `json:"login"`
		Email    string `json:"email"`
		Name     string `json:"name"`
	}
	claimed := json.NewDecoder(io.LimitReader(res.Body, identifySize))
	claimed.UseNumber()
	if err := claimed.Decode(&claims); err != nil {
		return Identity{}, errors.New("lazyauth: the UserInfo endpoint did not answer with the claims of a person")
	}
	id := Identity{Subject: claims.Sub}
	if id.Subject == "" {
		switch subject := claims.ID.(type) {
		case string:
			id.Subject = subject
		case json.Number:
			id.Subject = subject.String()
		}
	}
	for _, name := range []string{claims.Username, claims.Login, claims.Email, claims.Name, id.Subject} {
		if name != "" {
			id.Name = name
			break
		}
	}
	if id.IsZero() {
		return id, errors.New("lazyauth: the UserInfo endpoint names nobody")
	}
	return id, nil
}

// identifyWait bounds the time to learn who signed in, and identifySize what the answer
// may have.
const (
	identifyWait = 10 * time.Second
	identifySize = 64 << 10
)
