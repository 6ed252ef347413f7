package grants

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
	"unicode"
	"unicode/utf8"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2"
)

// An Identity is who signed in, as the service says: see lazyauth.Identity, which has the
// same fields.
type Identity struct {
	Subject string `json:"subject,omitempty"`
	Name    string `json:"name,omitempty"`
}

// maxIdentity is the length of the longest subject or name.
const maxIdentity = 256

// IsZero reports whether nothing is known.
func (id Identity) IsZero() bool { return id == Identity{} }

// Check returns what keeps id from being shown.
func (id Identity) Check() error {
	for _, text := range []string{id.Subject, id.Name} {
		if len(text) > maxIdentity || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return fmt.Errorf("lazyauth: an identity must be at most %d bytes of printable text", maxIdentity)
		}
	}
	return nil
}

// userInfoWait bounds the time to learn who signed in, and identifySize what the answer
// may have.
const (
	userInfoWait = 10 * time.Second
	identifySize = 64 << 10
)

// identify learns whose grant g is, before it is adopted. Whatever goes wrong, the grant is
// good.
func (o *Owner) identify(ctx context.Context, g *Grant) {
	config := &o.keeper.config
	ask := config.Identify
	if ask == nil {
		if config.UserInfo == "" {
			return
		}
		ask = func(ctx context.Context, token *oauth2.Token) (Identity, error) {
			return o.keeper.userInfo(ctx, token, g)
		}
	}
	id, err := ask(ctx, g.token)
	if err == nil {
		err = id.Check()
	}
	if err != nil {
		config.Observer.Unidentified(ctx, o, err)
		return
	}
	g.identity = id
}

// userInfo asks the service's UserInfo endpoint. GitHub's says in a header which scopes a
// token has, which is the only way to learn them of one that the operator gave.
func (k *Keeper) userInfo(ctx context.Context, token *oauth2.Token, g *Grant) (Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, userInfoWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.config.UserInfo, nil)
	if err != nil {
		return Identity{}, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", cmp.Or(k.config.UserAgent, device.DefaultUserAgent()))
	token.SetAuthHeader(req)
	res, err := k.config.Transport.RoundTrip(req) // directly: it follows no redirect
	if err != nil {
		return Identity{}, errors.New("lazyauth: the UserInfo endpoint did not answer")
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return Identity{}, fmt.Errorf("lazyauth: the UserInfo endpoint answered with status %d", res.StatusCode)
	}
	if told := res.Header.Values("X-Oauth-Scopes"); g.operators && len(told) > 0 {
		if held, err := scopes.Parse(strings.Join(told, ",")); err == nil {
			g.scopes, g.held, g.told = held, k.config.Hierarchy.Expand(held), true
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
