package grants

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// A grant that comes from a store, or is in one, is used for as long as its record is there: another process
// that shares the store may end it. So what a call uses is looked at again. The fast path of a call is what
// it was: a timer sets a bit of Grant.state, which is zero there.
const (
	// lookAfter is when a grant in use is looked at again, in the background, and lookLimit for how long one that
	// was ended elsewhere is used at most: after that a call waits for the look. The documentation says "within
	// half a minute".
	lookAfter, lookLimit = 20 * time.Second, 30 * time.Second
	// lookWait bounds a look, and with it how long a call is held up by a store that does not answer.
	lookWait = 3 * time.Second
	// lookRetry is when it is looked for again after a look that failed.
	lookRetry = 5 * time.Second
	// absence is how long a grant is used on while the store does not say whether it is there: long enough for
	// one that restarts or fails over, and much shorter than most access tokens live. See watches.bounded.
	absence = 5 * time.Minute
)

// A watch is what is known of the record of a grant that is in use.
type watch struct {
	until atomic.Pointer[time.Time] // when nobody uses the grant without another look; nil: it is not watched

	// Guarded by Owner.mu.
	timer   *timer    // sets the bit
	seen    time.Time // when the record was known to be there
	failed  bool      // the last look did
	deafens func()    // ends the hints
}

// isOver reports whether the grant must not be used without another look.
func (w *watch) isOver() bool {
	until := w.until.Load()
	return until != nil && !time.Now().Before(*until)
}

func (w *watch) lasts(until time.Time) { w.until.Store(&until) }

// stop ends it; Owner.mu is held.
func (w *watch) stop() {
	w.timer.stop()
	if w.deafens != nil {
		w.deafens()
		w.deafens = nil
	}
}

// isStale reports whether g must not be used before its record was looked at.
// What the store does not have nobody can have ended there.
func (g *Grant) isStale() bool {
	return g != nil && g.state.Load()&unsure != 0 && g.stored.Load() && g.watch.isOver()
}

// watches says which grants are watched, and how.
type watches struct {
	// bounded says that no grant is used for longer than absence while the store does not answer. It is
	// where other machines end grants, and operators other people's. The local user's own files may be out
	// of reach for as long as their token lives.
	bounded bool
	key     string
	follow  func(key string, changed func()) (stop func(), err error) // nil: there are no hints
}

// watchesOf returns how o's grants are watched; false if nobody else writes the store, or looks there are not for
// free: keychains start programs, and some ask the person.
func watchesOf(o *Owner) (w watches, ok bool) {
	s := o.keeper.config.Store
	if s == nil || o.source != nil {
		return w, false
	}
	w.bounded, w.key = !o.who.IsLocal() || o.record.isFleets(), o.record.key
	for {
		if f, ok := s.(hinting); ok {
			w.follow = f.Follow
		}
		wraps, ok := s.(interface{ Unwrap() store.Store })
		if !ok {
			return w, store.SuitsFrequentWrites(s)
		}
		s = wraps.Unwrap()
	}
}

// A hinting store says what others may have written: see [store.Fleet].
type hinting interface {
	Follow(key string, changed func()) (stop func(), err error)
}

// watched begins the watch of g, which becomes o's grant and was had just now; o.mu is held.
func watched(o *Owner, g *Grant) {
	w, ok := watchesOf(o)
	if !ok || g.operators {
		return
	}
	if old := o.Grant(); old != nil && old.token.AccessToken == g.token.AccessToken && old.watch.until.Load() != nil {
		g.watch.seen = old.watch.seen // it is no news of the record
		g.watch.lasts(*old.watch.until.Load())
		g.state.Or(unsure)
	} else {
		sure(g, nil)
	}
	if w.follow == nil {
		return
	}
	stop, err := w.follow(w.key, func() { // the next call looks
		g.watch.lasts(time.Now())
		g.state.Or(unsure)
	})
	if err == nil {
		g.watch.deafens = stop
	}
}

// sure notes that the record of g is there, as it was looked for when the watch was to last until known; Owner.mu
// is held. Of what has been heard of since then it says nothing.
func sure(g *Grant, known *time.Time) {
	w := &g.watch
	w.seen, w.failed = time.Now(), false
	if until := w.seen.Add(lookLimit); w.until.CompareAndSwap(known, &until) {
		again(g, lookAfter)
	}
}

// again has g looked at after a while; Owner.mu is held.
func again(g *Grant, after time.Duration) {
	w := &g.watch
	g.state.And(^uint32(unsure))
	if w.isOver() { // a hint has come just now
		g.state.Or(unsure)
	}
	isUnsureNow := func() { g.state.Or(unsure) }
	if w.timer == nil {
		w.timer = afterFunc(after, isUnsureNow)
	} else {
		w.timer.reset(after, isUnsureNow)
	}
}

// notSure notes that it could not be told whether the record of g is there, and reports whether that is new;
// o.mu is held. g is used on for a while.
func notSure(o *Owner, g *Grant) (isNew bool) {
	w := &g.watch
	isNew, w.failed = !w.failed, true
	until := time.Now().Add(lookAfter)
	if how, _ := watchesOf(o); how.bounded {
		if last := w.seen.Add(absence); last.Before(until) {
			until = last
		}
	}
	w.lasts(until)
	if time.Now().Before(until) {
		again(g, lookRetry)
	}
	return isNew
}

// lookAhead has the record of g looked at in the background.
//
//go:noinline
func lookAhead(o *Owner, g *Grant) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.renewal == nil && o.Grant() == g && g.stored.Load() {
		// An error means that the keeper is closed.
		_, _ = o.start(context.Background(), looking, func(ctx context.Context) error { return restore(ctx, o) })
	}
}

// lookFirst returns the renewal that has to say whether g, which is o's, may be used, or why it must not be; neither
// if nothing speaks against it; o.mu is held.
//
//go:noinline
func lookFirst(ctx context.Context, o *Owner, g *Grant, tried renewalKind) (s step, err error) {
	switch {
	case !g.Alive() || !g.isStale():
	case tried&looking != 0 && !g.watch.failed: // it was there a moment ago, and has been written since then
	case tried&looking != 0:
		return s, ErrUnseen
	case o.renewal != nil: // a refresh looks, too
		return step{renewal: o.renewal, tried: o.renewal.kind.asJoined()}, nil
	default:
		s.tried = looking
		s.renewal, err = o.start(ctx, looking, func(ctx context.Context) error { return restore(ctx, o) })
	}
	return s, err
}

// restore takes over what the store has, if that is any better than what is at hand: another process may have
// signed in, refreshed or stepped up. It gives up what is at hand if the store has had it, and has it no more. A
// store that fails is no reason not to ask the person.
func restore(ctx context.Context, o *Owner) error {
	o.mu.Lock()
	logouts, g := o.logouts, o.Grant()
	o.mu.Unlock()
	known := (*time.Time)(nil) // before it is looked at: a hint that comes meanwhile is of something later
	if g.Alive() && g.stored.Load() {
		known = g.watch.until.Load()
	}
	looks := known != nil
	loading, cancel := ctx, context.CancelFunc(func() {})
	if looks {
		loading, cancel = context.WithTimeoutCause(ctx, lookWait, errStoreSlow{o.record.store.String()})
	}
	defer cancel()
	found, err := o.record.load(loading)
	if err != nil && (!looks || !errors.Is(err, errForeign)) { // another version's is there, too
		o.mu.Lock()
		tell := true
		if looks && o.Grant() == g {
			tell = notSure(o, g)
		}
		o.mu.Unlock()
		if tell && ctx.Err() == nil {
			o.storeFailed(ctx, err)
		}
		return nil
	}
	if found != nil && (g == nil || g.token.AccessToken != found.token.AccessToken) {
		if err := o.record.admits(ctx, found); err != nil {
			if looks {
				replaced(o, g)
			}
			return err
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.Grant()
	switch {
	case o.logouts != logouts:
	case now != nil && now != g: // it has come since then
	case found == nil && err == nil:
		switch {
		case !looks:
		case len(o.record.storing) > 0: // it may be being written
			notSure(o, g)
		default:
			giveUp(o, g)
		}
		return nil
	case found == nil, found.token.AccessToken == o.rejected, found.token.AccessToken == o.outdated:
	case now == nil, takesThePlace(found, now):
		o.adopt(found)
		return nil
	}
	if looks && now == g {
		sure(g, known)
	}
	return nil
}

// takesThePlace reports whether what the store has replaces what is at hand. It does if it is no worse, and if it is
// of a later sign-in: that has taken the place of what is at hand in the store already, which may have been ended before.
func takesThePlace(found, now *Grant) bool {
	switch {
	case found.token.AccessToken == now.token.AccessToken:
		return false
	case !now.Alive():
		return true
	case found.id != now.id && now.stored.Load() && found.since.After(now.since):
		return true
	}
	return found.Alive() && found.Holds(now.Known())
}

// giveUp gives up g, which another process has ended; o.mu is held. Nothing that comes of it is used.
func giveUp(o *Owner, g *Grant) {
	o.rejected = g.token.AccessToken
	o.grant.Swap(nil)
	o.lost = scopes.Set{}
	g.end()
	o.changed()
}

// replaced gives up g, in the place of which the store has one that must not be used.
func replaced(o *Owner, g *Grant) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.Grant() == g {
		o.lose()
	}
}
