package main

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/oidcsignin"
	"github.com/modelcontextprotocol/go-sdk/auth"
)

// asking asks the issuer. It follows no redirect.
var asking = &http.Client{
	Timeout:       10 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// errUnchecked is all that a caller learns of a fault behind this server: it does not send them to sign in anew.
var errUnchecked = errors.New("the token could not be checked: try again later")

// verifier returns what tells whose a bearer token is: one that the issuer signed, for this server (aud). A token that
// the same issuer made out for another server must not be taken: that server could use the person's access here (MCP
// basic/authorization, token audience validation). The person is whom the connect page knows by the same claims.
func verifier(ctx context.Context, cfg *config, signIn *oidcsignin.SignIn) (auth.TokenVerifier, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, asking), cfg.issuer)
	if err != nil {
		return nil, err
	}
	keys := &keys{base: http.DefaultTransport}
	verify := provider.VerifierContext(oidc.ClientContext(context.WithoutCancel(ctx), &http.Client{Transport: keys, Timeout: asking.Timeout}),
		&oidc.Config{ClientID: cfg.publicURL + mcpPath})
	return func(ctx context.Context, raw string, _ *http.Request) (*auth.TokenInfo, error) {
		if len(raw) > 16<<10 {
			return nil, auth.ErrInvalidToken
		}
		token, err := verify.Verify(ctx, raw)
		switch {
		case err != nil && keys.failing():
			return nil, errUnchecked
		case err != nil:
			return nil, auth.ErrInvalidToken
		}
		claims := oidcsignin.Claims{}
		if err := token.Claims(&claims); err != nil {
			return nil, auth.ErrInvalidToken
		}
		who, err := signIn.Principal(claims)
		if err != nil {
			return nil, errors.Join(auth.ErrInvalidToken, err)
		}
		client := cmp.Or(claims.Text("client_id"), claims.Text("azp")) // of which the connect page tells
		return &auth.TokenInfo{UserID: who.Subject, Extra: map[string]any{"iss": who.Issuer, "client_id": client}, Expiration: token.Expiry}, nil
	}, nil
}
