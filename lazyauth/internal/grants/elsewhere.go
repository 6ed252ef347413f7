package grants

import (
	"context"
	"errors"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/ending"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/pending"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// asked says what f's authorizations are for; o.mu is held.
func asked(f *Flight, a Asker) Asked {
	o := f.owner
	return Asked{
		Want: f.gather, Who: o.who, Link: f.link, Client: a.ClientID(), Program: a.Program(), CallersClient: a.CallersClient(),
		Chosen:   func(c ClientChoice) { o.keeper.config.Observer.ClientChosen(f, c) },
		Joins:    func(asked scopes.Set) bool { return joins(f, asked) },
		Brought:  func(ctx context.Context, since time.Time) (bool, error) { return brought(ctx, o, since) },
		Arrived:  func(ctx context.Context) bool { return arrived(ctx, f) },
		Forgiven: o.setbacks.forgiven,
		Share:    shareOf(f.Context(), o),
	}
}

// shareOf returns a share of what o's person may have under way; nil of the local user, who could as well start another
// program, and where processes share nothing.
func shareOf(cause context.Context, o *Owner) *pending.Share {
	config := &o.keeper.config
	if o.who.IsLocal() || config.Places == nil {
		return nil
	}
	return pending.NewShare(config.Places, config.PlacesOf(o.who.Person()), maxAccounts, errManyElsewhere, func(err error) { config.Observer.StoreFailed(cause, o, err) })
}

// joins has f be for these scopes, for which another process has asked the person already; false if
// f has been shown, and is for others.
func joins(f *Flight, asked scopes.Set) bool {
	f.owner.mu.Lock()
	defer f.owner.mu.Unlock()
	if isClosed(f.ready) {
		return f.want == asked
	}
	settle(f, asked) // whoever needs more has the next flight
	return true
}

// settle ends the gathering of f, which is for these scopes; its owner's mu is held.
func settle(f *Flight, want scopes.Set) {
	o := f.owner
	f.want, f.gathering = want, false
	if g := o.Grant(); g.Alive() || g.isRenewable() && g.doubt < useless {
		f.given = g.Known()
	}
	for need := range o.waiting {
		if f.covers(*need) {
			delete(o.waiting, need)
		}
	}
}

// brought reports whether the store has a grant of o's that was given then or later, or why that cannot be told.
func brought(ctx context.Context, o *Owner, since time.Time) (bool, error) {
	found, err := o.record.load(ctx)
	return err == nil && found != nil && !found.since.Before(since), err
}

// arrived reports whether another process has stored a grant that will do since f's owner found none in the store: that it looked for
// a sign-in to join came after that one had ended, and nobody need be asked again. Then f is for what that grant has.
func arrived(ctx context.Context, f *Flight) bool {
	o := f.owner
	if f.saw == nil {
		return false
	}
	found, err := o.record.load(ctx)
	if err != nil || found == nil {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	access := found.token.AccessToken
	if f.anew || access == *f.saw || access == o.rejected || access == o.outdated || !found.Alive() || !found.Holds(f.need) {
		return false
	}
	if isClosed(f.ready) {
		return found.lacks(f.want).IsEmpty()
	}
	settle(f, found.Known()) // whoever needs more has the next flight
	return true
}

// takenOver returns the grant that another process has stored, by which a flight here has ended.
// The number is that of o's logouts before it was looked for.
func takenOver(ctx context.Context, o *Owner) (*Grant, int, error) {
	o.mu.Lock()
	logouts := o.logouts
	o.mu.Unlock()
	found, err := o.record.load(ctx)
	if err == nil {
		err = o.record.admits(ctx, found)
	}
	if err == nil && found == nil { // it was taken out of the store, and with it what was under way
		err = ErrLoggedOut
	}
	return found, logouts, err
}

// IsElsewhere reports whether f has ended with a grant that another process was given. It may be called when
// Result may.
func IsElsewhere(f *Flight) bool { return f.elsewhere }

// A Remembering way is not gone if the person has declined by the same program a while ago, or approved
// in vain, in another process that shares the store.
type Remembering struct {
	Way
	Flights *pending.Flights
	Key     func(Principal) string
}

// Begin implements [Way]. Its error may be a [*pending.Declined].
func (w Remembering) Begin(ctx context.Context, a Asked) (Authorization, error) {
	now, release := ending.During(ctx)
	err := w.Flights.MayAsk(now, w.Key(a.Who), a.Program, a.Forgiven)
	release()
	if vain, ok := errors.AsType[*pending.Vain](err); ok {
		err = &Setback{Err: vain.Err, Wait: vain.Wait, Asked: true}
	}
	if err != nil {
		return nil, err
	}
	return w.Way.Begin(ctx, a)
}
