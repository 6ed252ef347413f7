package lazyauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

// MetaAccount is the key in a tool result's _meta that says whose access to the service
// was used, by the name that the service knows them by: a person who approved with the
// wrong account notices. It is there only if the name was learnt: see
// [Service.UserInfo].
const MetaAccount = "io.github.lazyauth/account"

// An Identity is who signed in, as the service says.
type Identity struct {
	// Subject identifies the person to the service, such as OpenID Connect's "sub".
	Subject string `json:"subject,omitempty"`
	// Name is what people know the account by, such as a login name or an address.
	Name string `json:"name,omitempty"`
}

// maxIdentity is the length of the longest subject or name.
const maxIdentity = 256

// IsZero reports whether nothing is known.
func (id Identity) IsZero() bool { return id == Identity{} }

func (id Identity) check() error {
	for _, text := range []string{id.Subject, id.Name} {
		if len(text) > maxIdentity || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return fmt.Errorf("lazyauth: an identity must be at most %d bytes of printable text", maxIdentity)
		}
	}
	return nil
}

// identifyWait bounds the time to learn who signed in, and identifySize what the answer
// may have.
const (
	identifyWait = 10 * time.Second
	identifySize = 64 << 10
)

// identify learns whose grant g is. Whatever goes wrong, the grant is good.
func (i *Interceptor) identify(ctx context.Context, o *owner, g *grant) {
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
func (i *Interceptor) userInfo(ctx context.Context, token *oauth2.Token, g *grant) (Identity, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, i.service.UserInfo, nil)
	if err != nil {
		return Identity{}, err
	}
	req.Header.Set("Accept", "application/json")
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

// named adds to a result whose grant was used, if that is known.
func (o *owner) named(result *mcp.CallToolResult) *mcp.CallToolResult {
	g := o.grant.Load()
	if g == nil || g.identity.Name == "" {
		return result
	}
	if result == nil {
		result = new(mcp.CallToolResult)
	}
	if result.InputRequests != nil || result.IsError {
		return result
	}
	meta := mcp.Meta{MetaAccount: g.identity.Name}
	maps.Copy(meta, result.Meta)
	named := *result // the handler's may be everybody's
	named.Meta = meta
	return &named
}

// A Status is what is known of somebody's access to the service. It holds no token.
type Status struct {
	// Principal is whose it is, their account included.
	Principal Principal
	// Identity is who signed in, if that was learnt.
	Identity Identity
	// Scopes is what was granted; empty for an operator's token of which the service
	// does not tell.
	Scopes scopes.Set
	// Expires is when the access token ends; zero if it does not, or does not say.
	Expires time.Time
	// Renewable is whether there is a refresh token, so that nobody is asked at the
	// end.
	Renewable bool
	// Configured is whether it is the operator's token: see Options.Token.
	Configured bool
}

// Status returns what access who has, in this process or in the store; nil if none. It
// asks nobody, and refreshes nothing.
func (i *Interceptor) Status(ctx context.Context, who Principal) (*Status, error) {
	o := i.ownerOf(who)
	g := o.grant.Load()
	if g == nil && o.static() {
		if err := o.configure(ctx); err != nil {
			return nil, err
		}
		g = o.grant.Load()
	}
	if g == nil && i.options.Store != nil {
		record, err := i.options.Store.Load(ctx, o.key)
		if err != nil {
			return nil, err
		}
		if record != nil {
			if g, err = i.decode(record); err != nil {
				return nil, err
			}
			g.timers.stop()
		}
	}
	if g == nil {
		return nil, nil //nolint:nilnil // there is none, and that is no error
	}
	return &Status{
		Principal: who, Identity: g.identity, Scopes: g.scopes, Expires: g.token.Expiry,
		Renewable: g.refresh != "", Configured: g.configured,
	}, nil
}
