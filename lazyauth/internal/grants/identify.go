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

	"github.com/lazyauth/mcp-lazyauth/internal/names"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
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

// Shown returns what of id can be shown, and an error if that is not all.
func (id Identity) Shown() (Identity, error) {
	var shown Identity
	if isShown(id.Subject) {
		shown.Subject = id.Subject
	}
	if isShown(id.Name) {
		shown.Name = id.Name
	}
	if shown != id {
		return shown, fmt.Errorf("lazyauth: an identity must be at most %d bytes of printable text", maxIdentity)
	}
	return shown, nil
}

func isShown(text string) bool { return len(text) <= maxIdentity && names.Check(text) }

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
			return userInfo{config.UserInfo, config.UserAgent, config.Transport, config.Hierarchy}.ask(ctx, token, g)
		}
	}
	id, err := ask(ctx, g.token)
	if err == nil {
		g.identity, err = id.Shown()
	}
	if err != nil {
		config.Observer.Unidentified(ctx, o, err)
	}
}

// A userInfo is the service's UserInfo endpoint.
type userInfo struct {
	url, agent string
	transport  http.RoundTripper
	order      *scopes.Hierarchy
}

// ask asks whose token it is. GitHub's endpoint says in a header which scopes a token has, which
// is the only way to learn them of one that the operator gave: they are noted in g.
func (u userInfo) ask(ctx context.Context, token *oauth2.Token, g *Grant) (Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, userInfoWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.url, nil)
	if err != nil {
		return Identity{}, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", cmp.Or(u.agent, oauth.DefaultUserAgent()))
	token.SetAuthHeader(req)
	res, err := u.transport.RoundTrip(req) // directly: it follows no redirect
	if err != nil {
		return Identity{}, errors.New("lazyauth: the UserInfo endpoint did not answer")
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return Identity{}, fmt.Errorf("lazyauth: the UserInfo endpoint answered with status %d", res.StatusCode)
	}
	if told := res.Header.Values("X-Oauth-Scopes"); g.operators && len(told) > 0 {
		if held, err := scopes.Parse(strings.Join(told, ",")); err == nil {
			g.scopes, g.held, g.told = held, u.order.Expand(held), true
		}
	}
	claims := make(map[string]any) // of whatever types: GitHub's id is a number, and some a sub
	claimed := json.NewDecoder(io.LimitReader(res.Body, identifySize))
	claimed.UseNumber()
	err = claimed.Decode(&claims)
	if _, after := claimed.Token(); err != nil || !errors.Is(after, io.EOF) { // nobody, or two
		return Identity{}, errors.New("lazyauth: the UserInfo endpoint did not answer with the claims of a person")
	}
	id := Identity{
		Subject: firstShown(claims, "sub", "id", "account_id", "user_id"),
		Name:    firstShown(claims, "preferred_username", "login", "username", "email", "name", "user"),
	}
	id.Name = cmp.Or(id.Name, id.Subject)
	if id.IsZero() {
		return id, errors.New("lazyauth: the UserInfo endpoint names nobody")
	}
	return id, nil
}

// firstShown returns the first of these claims that can be shown.
func firstShown(claims map[string]any, names ...string) string {
	for _, name := range names {
		var text string
		switch claim := claims[name].(type) {
		case string:
			text = claim
		case json.Number:
			text = claim.String()
		}
		if text != "" && isShown(text) {
			return text
		}
	}
	return ""
}
