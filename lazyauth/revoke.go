package lazyauth

import (
	"context"
	"errors"
	"sync"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
)

// Revoke logs who out: their grant is forgotten here and in the store, whatever comes
// then, and the authorization server is told to end its tokens (RFC 7009). Other
// accounts keep theirs. Calls under way may go on with a token they have in hand; what
// they ask for afterwards needs a new sign-in.
//
// What the server ends besides is its own choice: on some, all tokens that the person
// gave in the same browser session, those of other programs with this client identifier
// among them. A server without a revocation endpoint ends nothing, which is an error
// that wraps [ErrNotRevoked]; so does any other failure to end the tokens. ctx bounds
// the requests.
//
// Logging out somebody without a grant is no error.
func (i *Interceptor) Revoke(ctx context.Context, who Principal) error {
	o := i.ownerOf(who)
	g := o.drop()
	var stored *grant
	var err, unread error
	if i.options.Store != nil {
		// What is stored may be newer than what is at hand.
		err = i.options.Store.Update(ctx, o.key, func(record []byte) ([]byte, error) {
			if record == nil {
				return nil, errSettled
			}
			// One that cannot be read cannot be revoked either, but it can be forgotten.
			if kept, err := i.decode(record); err == nil {
				kept.timers.stop()
				stored = kept
			} else {
				unread = notRevoked{err}
			}
			return nil, nil
		})
		if errors.Is(err, errSettled) {
			err = nil
		}
		err = errors.Join(err, unread)
	}
	for _, old := range []*grant{g, stored} {
		if old == nil || old.configured || old == stored && g != nil && g.refresh == stored.refresh && g.token.AccessToken == stored.token.AccessToken {
			continue
		}
		err = errors.Join(err, i.revoke(ctx, old))
	}
	return err
}

// ErrNotRevoked means that tokens were forgotten here and may still be good elsewhere,
// until they expire.
var ErrNotRevoked = errors.New("lazyauth: the authorization server was not made to end the tokens")

type notRevoked struct{ cause error }

func (e notRevoked) Error() string { return ErrNotRevoked.Error() + ": " + e.cause.Error() }

func (e notRevoked) Unwrap() []error { return []error{ErrNotRevoked, e.cause} }

// revoke ends the tokens of g: the refresh token first, without which nothing can be
// renewed, then the access token, which outlives it on some servers.
func (i *Interceptor) revoke(ctx context.Context, g *grant) error {
	client, err := i.server.client(ctx)
	if err != nil {
		return notRevoked{err}
	}
	if g.refresh != "" {
		err = client.Revoke(ctx, g.refresh, device.RefreshToken)
	}
	if e := client.Revoke(ctx, g.token.AccessToken, device.AccessToken); err == nil || g.refresh == "" {
		// A server that revokes nothing but refresh tokens has done what it can.
		if refused, ok := errors.AsType[*device.Error](e); g.refresh == "" || !ok || refused.Code != "unsupported_token_type" {
			err = e
		}
	}
	if err != nil {
		return notRevoked{err}
	}
	return nil
}

// drop forgets o's grant, and returns it.
func (o *owner) drop() *grant {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.logouts++
	g := o.grant.Swap(nil)
	if g != nil {
		o.refused = g.token.AccessToken // which a store that fails now must not bring back
	}
	g.retire()
	return g
}

// revokeAll ends the tokens of these grants side by side, when the interceptor is
// closed, if that is wanted.
func (i *Interceptor) revokeAll(grants []*grant) error {
	if i.options.RevokeOnClose == 0 || len(grants) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), i.options.RevokeOnClose)
	defer cancel()
	errs := make([]error, len(grants))
	slots := make(chan struct{}, 16)
	var wg sync.WaitGroup
	for n, g := range grants {
		wg.Go(func() {
			slots <- struct{}{}
			errs[n] = i.revoke(ctx, g)
			<-slots
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
