package pending

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/records"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/schedule"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// Flights are those of which a store has records; nil: there is no store, and all are this process's alone. They are safe for concurrent use, as are
// several of one store, in as many processes.
type Flights struct {
	store   store.Store
	records *records.Records
	me      string // the name of this incarnation of the process, which no other has

	spent   atomic.Pointer[string]  // the id of the last flight that has ended and has a record which does not say so
	failure atomic.Pointer[failure] // of the store, as it was last looked at for somebody who is to be asked
	silence atomic.Pointer[failure] // likewise, for somebody who waits
	lives   atomic.Int64            // how long the last code lives, a time.Duration; zero: there was none
}

// A failure of the store is not looked for again until then.
type failure struct {
	err   error
	until time.Time
}

// beginWait is how long a person's prompt waits for the store, which is to be read and to be
// written.
const beginWait = 5 * time.Second

// fleetWait is what it waits where machines share the store: one may have died while it began a sign-in, and a
// second sign-in beside that one is what they share the store against.
const fleetWait = 35 * time.Second

func (f *Flights) beginWait() time.Duration {
	if store.IsFleet(f.store) {
		return fleetWait
	}
	return beginWait
}

// load reads a record for somebody who is about to be asked.
func (f *Flights) load(ctx context.Context, key string) ([]byte, error) {
	if was := f.failure.Load(); was != nil && time.Now().Before(was.until) {
		return nil, was.err
	}
	text, err := f.records.Within(beginWait).Load(ctx, key)
	if err != nil && ctx.Err() == nil {
		f.failure.Store(&failure{err, time.Now().Add(beginWait)})
	}
	return text, err
}

// New returns the flights in s.
func New(s store.Store) *Flights { return &Flights{store: s, records: records.New(s), me: rand.Text()} }

// isOff reports whether nothing is kept in the store: see [store.SuitsFrequentWrites].
func (f *Flights) isOff() bool { return f == nil || !store.SuitsFrequentWrites(f.store) }

// An Asked says what an authorization is begun for.
type Asked struct {
	Key    string        // of the record
	Server *oauth.Client // who asks
	Client *device.Client
	// Schedule has it polled for.
	Schedule *schedule.Schedule
	// Want returns the scopes to ask for. It is called if nothing is under way, and may take a moment.
	Want func(context.Context) scopes.Set
	// Joins is told that what is under way is for these scopes, and reports whether that will do;
	// if not, the authorization is this process's alone.
	Joins func(scopes.Set) bool
	// Settled is told that what is under way has come to its end, as Start says, perhaps once another process
	// has brought the token or has failed to: nobody need be shown the prompt.
	Settled func()
	// Brought reports whether the grant's record has one that was given then or later, or why that cannot be
	// told.
	Brought func(ctx context.Context, since time.Time) (bool, error)
	// Arrived reports whether the grant's record has come to have one that will do since it was looked at: the sign-in of
	// another process has ended, and its record says nothing any more. It is called while that is locked.
	Arrived func(context.Context) bool
	// Failed is told of a store that fails.
	Failed func(error)
	// Share is taken before anything is begun that no other process has, unless the store fails; nil: there is none.
	Share *Share
}

// Begin returns the authorization that is under way, or begins one. It blocks for two requests to
// the authorization server, and for a store that does not answer 5 s before each, or 35 s before the
// second where machines share it; where it joins, until it is known whether the person has decided.
//
// Errors: those of [device.Client.Authorize], that of a.Share, and [ErrElsewhere]. A store that fails is none: then the authorization
// is this process's alone.
func (f *Flights) Begin(ctx context.Context, a Asked) (*Authorization, error) {
	if f.isOff() {
		a.Share = nil
		return f.alone(ctx, a)
	}
	text, err := f.load(ctx, a.Key)
	if ctx.Err() != nil {
		return nil, oauth.Ended(ctx, "device authorization")
	}
	r, unread := decode(text)
	switch {
	case errors.Is(err, store.ErrDamaged): // and set aside
		a.Failed(err)
	case err != nil:
		a.Failed(err)
		a.Share = nil // it would wait for the same store
		return f.alone(ctx, a)
	case errors.Is(unread, errForeign):
		a.Failed(unread)
		return f.alone(ctx, a)
	case unread != nil:
		a.Failed(unread)
	case f.isLive(ctx, r, a):
		return f.join(ctx, r, a)
	}
	return f.begin(ctx, a)
}

// isLive reports whether the flight of r goes on, and who comes is to join it.
func (f *Flights) isLive(ctx context.Context, r *record, a Asked) bool {
	now := time.Now()
	switch {
	case r.ID == "" || r.Over != nil:
		return false
	case f.spent.Load() != nil && *f.spent.Load() == r.ID:
		return false
	case r.Grant != nil && r.By == f.me: // this process has had it, and could not bring it
		return false
	case r.Grant != nil:
		brought, _ := a.brought(ctx, r.Grant.Got) // who joins looks again
		return !brought
	}
	left := min(r.Code.Expires.Sub(now), r.Code.Life)
	return left > leastLeft || left > 0 && now.Before(r.takeover())
}

// leastLeft is how long a code must be good, for which nobody polls any more: a person has to get to
// it.
const leastLeft = 30 * time.Second

// join returns the authorization of r, or one of this process's alone where that is another
// client's, or for something else.
func (f *Flights) join(ctx context.Context, r *record, a Asked) (*Authorization, error) {
	auth, err := a.resume(r)
	if err != nil {
		return f.alone(ctx, a)
	}
	joined := newAuthorization(auth, a, &common{flights: f, id: r.ID, by: r.By})
	a.Share.joins(r.Place)
	if joined.settle(ctx) && a.Settled != nil {
		a.Settled()
	}
	return joined, nil
}

// brought is a.Brought; false of nil.
func (a *Asked) brought(ctx context.Context, since time.Time) (bool, error) {
	if a.Brought == nil {
		return false, nil
	}
	return a.Brought(ctx, since)
}

var errAnother = errors.New("lazyauth: it is not this process's to join")

// resume returns the authorization of a record's flight, if it is one that a can join.
func (a *Asked) resume(r *record) (*device.Authorization, error) {
	if r.Asker != askerOf(a.Server) {
		return nil, errAnother
	}
	auth, err := a.Client.Resume(*r.Code)
	if err == nil && a.Joins != nil && !a.Joins(r.Code.Scopes) {
		err = errAnother
	}
	return auth, err
}

// MayAsk returns why a person must not be asked through the program that calls itself so: a
// [*Declined] or a [*Vain]. What they declined or approved before forgiven counts no more. A store that
// cannot be read does not say.
func (f *Flights) MayAsk(ctx context.Context, key, program string, forgiven time.Time) error {
	if f.isOff() {
		return nil
	}
	text, err := f.load(ctx, key)
	if err != nil {
		return nil //nolint:nilerr // who begins will hear of it
	}
	r, err := decode(text)
	if err != nil {
		return nil //nolint:nilerr // likewise
	}
	now, hash := time.Now(), programHash(program)
	for _, d := range r.Declines {
		if d.Program == hash && d.holds(now) && d.At.After(forgiven) {
			return &Declined{d.At.Add(CoolDown).Sub(now)}
		}
	}
	if o := r.Over; o != nil && o.isVain(now) && o.At.After(forgiven) {
		return &Vain{o.err(), o.At.Add(CoolDown).Sub(now)}
	}
	return nil
}

// Decline notes that the person has declined, for all processes in which the program calls itself so. It
// forgets that after a minute, if ctx lasts so long.
func (f *Flights) Decline(ctx context.Context, key, program string) error {
	if f.isOff() {
		return nil
	}
	now, hash := time.Now(), programHash(program)
	_, err := f.records.Quickly(ctx, key, func(text []byte) records.Decision {
		r, err := decode(text)
		if err != nil {
			return records.Decision{}
		}
		r.Declines = slices.DeleteFunc(r.Declines, func(d decline) bool { return d.Program == hash || !d.holds(now) })
		if extra := len(r.Declines) - maxDeclines + 1; extra > 0 {
			r.Declines = slices.Delete(r.Declines, 0, extra)
		}
		r.Declines = append(r.Declines, decline{hash, now.Round(0)})
		return records.Put(r.encode())
	})
	if err != nil || !oauth.Sleep(ctx, CoolDown) {
		return err
	}
	return f.tidy(ctx, key)
}

// tidy deletes a record that says nothing any more.
func (f *Flights) tidy(ctx context.Context, key string) error {
	_, err := f.records.Quickly(ctx, key, func(text []byte) records.Decision {
		r, err := decode(text)
		now := time.Now()
		switch {
		case text == nil || err != nil:
		case r.ID == "" || r.Over != nil && !r.Over.holds(now):
			return decided(r.without(now))
		}
		return records.Decision{}
	})
	return err
}

// decided puts r in the place of its record, or removes that if r says nothing.
func decided(r *record) records.Decision {
	if text := r.encode(); text != nil {
		return records.Put(text)
	}
	return records.Remove
}

// Forget deletes the record: who waits for its flight learns that it has ended, and its place is given back to what s is a
// share of. It returns the token that was on its way; nil if there was none.
func (f *Flights) Forget(ctx context.Context, key string, s *Share) (token *oauth.Token, err error) {
	if f.isOff() {
		return nil, nil //nolint:nilnil // there is none
	}
	var places []string
	// Not by looking first: one may be about to be written.
	_, err = f.records.Quickly(ctx, key, func(text []byte) records.Decision {
		r, err := decode(text)
		switch {
		case text == nil, errors.Is(err, errForeign):
			return records.Decision{}
		case err == nil:
			places = r.places()
			if r.Grant != nil {
				token = r.Grant.token()
			}
		}
		return records.Remove
	})
	for _, place := range places {
		s.Give(ctx, place)
	}
	return token, err
}
