package lazyauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
)

// An errand gets an owner a grant without asking anybody, once for everybody who waits:
// from the store, by a refresh, or from where the operator put a token.
type errand struct {
	kind errandKind
	over chan struct{}
	err  error // once over: why callers cannot go on
}

type errandKind uint8

const (
	restoring  errandKind = 1 << iota // from the store
	refreshing                        // the grant (RFC 6749 §6)
	configured                        // the operator's token
)

// start sends for a grant, and returns the errand; o.mu is held.
func (o *owner) start(kind errandKind, run func(context.Context) error) (*errand, error) {
	e := &errand{kind: kind, over: make(chan struct{})}
	spawned := o.auth.spawn(func() {
		defer close(e.over)
		defer func() {
			o.mu.Lock()
			o.errand = nil
			o.mu.Unlock()
		}()
		e.err = run(o.auth.ctx)
	})
	if !spawned {
		return nil, o.auth.fail(Unavailable, errClosed)
	}
	o.errand = e
	return e, nil
}

// wait returns the errand's error, that of ctx, or errSlow when the patience is over.
func (e *errand) wait(ctx context.Context, patience time.Duration) error {
	timer := time.NewTimer(max(patience, promptWait))
	defer timer.Stop()
	select {
	case <-e.over:
		return e.err
	case <-timer.C:
		return errSlow
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// errSlow is why a call does not wait for an errand any longer.
var errSlow = errors.New("lazyauth: the store or the authorization server has not answered")

// restore takes over what the store has, if that is any better than what is at hand:
// another process may have signed in, refreshed or stepped up. A store that fails is no
// reason not to ask the person.
func (o *owner) restore(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, restoreWait)
	defer cancel()
	o.mu.Lock()
	logouts := o.logouts
	o.mu.Unlock()
	record, err := o.auth.options.Store.Load(ctx, o.key)
	var kept *grant
	if err == nil && record != nil {
		kept, err = o.auth.decode(record)
	}
	if err != nil {
		o.storeFailed(err)
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if kept == nil || kept.token.AccessToken == o.refused || kept.token.AccessToken == o.stale || o.logouts != logouts {
		kept.retire()
		return nil
	}
	now := o.grant.Load()
	if now != nil && (now.token.AccessToken == kept.token.AccessToken || now.alive() && !kept.holds(now.scopes)) {
		kept.retire()
		return nil
	}
	o.publish(kept)
	return nil
}

// refresh renews old. The refresh token is used by one request at a time, in this
// process and, with a store, in all: many servers rotate it, and take a second use for
// theft.
//
// Once it is over, callers look again: they find the new grant, or none, which makes
// them ask the person. A server that is out of reach is an error: it keeps the grant for
// a better time.
func (o *owner) refresh(ctx context.Context, old *grant) error {
	auth, began := o.auth, time.Now()
	var fresh *grant
	var err error
	if auth.options.Store == nil {
		fresh, err = o.exchange(ctx, old)
	} else {
		// Close gives it a moment: the server may have replaced the refresh token already.
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		defer context.AfterFunc(auth.ctx, func() { time.AfterFunc(refreshGrace, cancel) })()
		fresh, err = o.refreshStored(ctx, old)
	}
	gone := errors.Is(err, device.ErrRevoked)
	// Another refusal may be of the token, or of this client: the next sign-in will
	// tell. The grant is kept.
	ask := errors.Is(err, device.ErrRefused) || errors.Is(err, device.ErrUnexplained) || errors.Is(err, device.ErrInvalid)

	o.mu.Lock()
	if errors.Is(err, device.ErrUnreadable) {
		// It may have used the refresh token up: after one more try the person is asked.
		ask, o.unread = o.unread == old.refresh, old.refresh
	}
	if ask {
		o.doubted = old.refresh
	}
	switch {
	case err == nil:
		if o.grant.Load() == old {
			o.publish(fresh)
		} else { // a flight has brought a newer one
			fresh.retire()
		}
	case errors.Is(err, errSuperseded):
		o.mu.Unlock()
		return nil
	case !gone || auth.ctx.Err() != nil:
		if old.alive() { // it was renewed ahead of time: there is time for another try
			old.later()
		}
	case o.grant.Load() != old:
	case old.alive(): // good until it ends
		o.publish(old.withoutRefresh())
	default:
		o.grant.Swap(nil).retire()
	}
	o.mu.Unlock()

	event := Event{Principal: o.principal, Scopes: old.scopes, Took: time.Since(began)}
	if err == nil {
		event.Scopes = fresh.scopes
		auth.emit(onRefreshed, event)
		return nil
	}
	_, event.Err = causeOf(err)
	event.Reason = Unavailable
	if gone {
		event.Reason = Expired
	}
	auth.emit(onFailed, event)
	if gone || ask {
		return nil
	}
	return auth.fail(Unavailable, err)
}

// exchange is one use of a refresh token.
func (o *owner) exchange(ctx context.Context, old *grant) (*grant, error) {
	client, err := o.auth.server.client(ctx)
	if err != nil {
		return nil, err
	}
	token, err := client.Refresh(ctx, old.refresh, old.scopes)
	if err != nil {
		return nil, err
	}
	fresh := o.auth.newGrant(token, true)
	fresh.identity = old.identity
	return fresh, nil
}

// errSettled ends an update of the store that found nothing to write.
var errSettled = errors.New("lazyauth: nothing to write")

// refreshStored is exchange while no other process uses the store's refresh token. It
// looks first whether one has refreshed already, and uses what is stored and not what
// is at hand.
func (o *owner) refreshStored(ctx context.Context, old *grant) (*grant, error) {
	var fresh *grant
	var refused error // what the server said, which is not the store's failure
	var tried bool
	var found string // the access token of the record
	var damaged bool // what was there was set aside
	change := func(record []byte) ([]byte, error) {
		if !o.current(old) {
			return nil, errSuperseded
		}
		from, foreign := old, false
		if record != nil {
			kept, err := o.auth.decode(record)
			foreign = errors.Is(err, errForeign)
			if err == nil {
				kept.timers.stop()
				found = kept.token.AccessToken
				switch {
				case found == old.token.AccessToken, o.isStale(found):
				case kept.alive() && kept.holds(old.scopes):
					fresh = kept.restarted()
					return nil, errSettled
				case kept.refresh != "":
					from = kept
				}
			}
		}
		if record == nil && old.kept && !damaged {
			refused = fmt.Errorf("lazyauth: the grant was taken out of the store, by a logout elsewhere: %w", device.ErrRevoked)
			return nil, errSettled
		}
		tried = true
		if fresh, refused = o.exchange(ctx, from); refused == nil {
			if foreign {
				return nil, errForeign
			}
			fresh.kept = true
			return fresh.encode(), nil
		}
		if record != nil && !foreign && errors.Is(refused, device.ErrRevoked) {
			if old.alive() {
				return old.withoutRefresh().encode(), nil
			}
			return nil, nil // under the lock: it is nobody's newer one
		}
		return nil, errSettled
	}
	err := o.auth.options.Store.Update(ctx, o.key, change)
	if err != nil && !tried && !errors.Is(err, errSettled) && !errors.Is(err, errSuperseded) {
		// What was damaged may have been set aside.
		damaged = true
		err = o.auth.options.Store.Update(ctx, o.key, change)
	}
	switch {
	case errors.Is(err, errSuperseded):
		return nil, err
	case refused != nil:
		return nil, refused
	case err == nil:
		o.written("")
		return fresh, nil
	case errors.Is(err, errSettled):
		return fresh, nil
	}
	o.storeFailed(err)
	o.written(found)
	if !tried { // the store could not even be read: do without
		return o.exchange(ctx, old)
	}
	fresh.kept = false
	return fresh, nil // unwritten, and good
}

// current reports whether g is the owner's grant.
func (o *owner) current(g *grant) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.grant.Load() == g
}

func (o *owner) isStale(access string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return access != "" && access == o.stale
}

// written notes that the store has what is at hand, or else the record with this access
// token in its place.
func (o *owner) written(instead string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stale = instead
}

// errSuperseded is why a refresh that waited for the store is not done any more.
var errSuperseded = errors.New("lazyauth: the grant was replaced or given up meanwhile")

// keep writes a new grant to the store, unless what is there by now is better.
func (o *owner) keep(ctx context.Context, g *grant) {
	store := o.auth.options.Store
	if store == nil {
		return
	}
	var found string
	err := store.Update(ctx, o.key, func(record []byte) ([]byte, error) {
		if record != nil {
			kept, err := o.auth.decode(record)
			if errors.Is(err, errForeign) {
				return nil, err
			}
			if err == nil {
				kept.timers.stop()
				found = kept.token.AccessToken
				o.mu.Lock()
				bad := found == o.refused || found == o.stale
				now := o.grant.Load()
				bad = bad || now != nil && !now.alive() && now.token.AccessToken == found
				o.mu.Unlock()
				if kept.alive() && !bad && !g.holds(kept.scopes) && kept.holds(g.scopes) {
					return nil, errSettled // somebody has stepped up meanwhile
				}
			}
		}
		g.kept = true
		return g.encode(), nil
	})
	switch {
	case err == nil:
		o.written("")
	case !errors.Is(err, errSettled):
		g.kept = false
		o.written(found)
		o.storeFailed(err)
	}
}

// discard deletes g from the store, if it is what is there.
func (o *owner) discard(ctx context.Context, g *grant) error {
	store := o.auth.options.Store
	if store == nil {
		return nil
	}
	err := store.Update(ctx, o.key, func(record []byte) ([]byte, error) {
		if record == nil {
			return nil, errSettled
		}
		kept, err := o.auth.decode(record)
		if err != nil {
			return nil, err
		}
		kept.timers.stop()
		if g != nil && kept.token.AccessToken != g.token.AccessToken {
			return nil, errSettled
		}
		return nil, nil
	})
	if errors.Is(err, errSettled) {
		return nil
	}
	return err
}

// storeFailed says aloud that grants are not kept where they should be.
func (o *owner) storeFailed(err error) {
	o.auth.emit(onStoreFailed, Event{Principal: o.principal, Err: err})
}

// configure takes the operator's token, and learns of it what the service tells.
func (o *owner) configure(ctx context.Context) error {
	token, err := o.auth.options.Token.Token()
	if err == nil && (token == nil || token.AccessToken == "") {
		err = errors.New("the source returned no token")
	}
	if err != nil {
		e := o.auth.fail(Unavailable, errConfiguredToken{err})
		o.auth.emit(onFailed, Event{Principal: o.principal, Reason: Unavailable, Err: e.Cause})
		return e
	}
	g := o.auth.newGrant(&device.Token{Access: token.AccessToken, Expires: token.Expiry}, false)
	g.configured = true
	o.auth.identify(ctx, o, g)
	o.mu.Lock()
	o.publish(g)
	o.mu.Unlock()
	return nil
}

// reconfigure asks the operator's source again after the API has refused g, and reports
// whether it has another token.
func (o *owner) reconfigure(ctx context.Context, g *grant) bool {
	if o.grant.Load() != g {
		return true
	}
	if o.configure(ctx) != nil {
		return false
	}
	now := o.grant.Load()
	return now != nil && now.token.AccessToken != g.token.AccessToken
}

// promptWait is how long an asker whose patience is over still waits for the
// prompt to go out. A handler that works for longer than its patience, and then
// needs the person, would otherwise end before anybody was asked, each time.
const promptWait = 4 * time.Second

var errTokenRefused = errors.New("lazyauth: the API refused the operator's token")
