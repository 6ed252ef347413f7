package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// FleetOptions are those of [NewFleet].
type FleetOptions struct {
	// Classify says of a key what kind of record it is that of (1 to 16 letters from a to z), and
	// whose: the same text for all that a person has, and for nobody else's. Nil, and an empty
	// kind: "record"; an empty person: nobody's.
	Classify func(key string) (kind, person string)

	// Bound is how long what change asks of others may take; zero: 16 s, which is more than
	// lazyauth waits for an authorization server. Change is not called if less of its lease is left.
	Bound time.Duration
	// Lease is how long one machine alone works on a record, and so how long a record of
	// one that has died waits; zero: Bound and 14 s more. It is at least Bound and 5 s more, for the store's answer and
	// for [ClockStep].
	Lease time.Duration
	// Ended is how long it is remembered that a record was ended; zero: 24 h. It is more than the
	// lease and the longest life of an access token: what was issued just before must find it.
	Ended time.Duration
	// Wait bounds each answer of the store; zero: 10 s.
	Wait time.Duration

	// Format is that of the contents that this machine writes: [Format1], [Format2]. It opens all of them, and leaves alone what
	// is in a later one ([ErrFormat]). Zero is the format that the release before this one writes, so that machines of both work side by side. Set it
	// once all machines run a release that opens it: docs/scale.md, "Restart", has the steps, and those back.
	Format int

	// Trace is told what happens.
	Trace FleetTrace
}

// ClockStep is how far the clock of a store may step, at most, when it is set or fails over to
// another machine, without two machines working on one record at once.
const ClockStep = 2 * time.Second

// A Fleet is a [Store] whose records many machines share: as a [Shared] store keeps them, sealed.
// Its Update is a protocol of three steps, which holds no lock while change is called: see
// fleetupdate.go. It is made by [NewFleet].
type Fleet struct {
	shared      Shared
	sealer      rowSealer
	o           FleetOptions
	incarnation string

	turns  turns
	seen   seen
	kept   unwritten
	events fleetEvents
	hints  hints
	clock  storeClock

	settings atomic.Pointer[map[string]string] // hashed, as they were compared last; nil: they were not
}

// NewFleet returns a store of the records that are in s. It does not ask s for anything.
//
// names is the key of the names that stand for keys and persons in s, [KeySize] random bytes. It
// must be the same on all machines and for ever: another one finds nothing of what there is. It
// gives nobody a record, but who has it can tell whose a row is, if they can guess that.
//
// The sealing keys have [KeySize] random bytes each, which are kept somewhere else than the rows:
// the first seals, all of them open. To replace one, first give the new one to all machines behind the old one, then before it, have
// [Fleet.Rotate] seal anew what is left of the old one, and take that away.
func NewFleet(s Shared, names []byte, keys [][]byte, o *FleetOptions) (*Fleet, error) {
	if s == nil {
		return nil, errors.New("store: there is nothing to share")
	}
	f := &Fleet{shared: s, incarnation: rand.Text()}
	if o != nil {
		f.o = *o
	}
	var err error
	if f.sealer, err = newRowSealer(names, keys, f.o.Format); err != nil {
		return nil, err
	}
	for _, d := range []struct {
		what *time.Duration
		zero time.Duration
	}{{&f.o.Bound, 16 * time.Second}, {&f.o.Lease, 0}, {&f.o.Ended, 24 * time.Hour}, {&f.o.Wait, 10 * time.Second}} {
		if *d.what < 0 {
			return nil, errNegative
		}
		if *d.what == 0 {
			*d.what = d.zero
		}
	}
	const slack = 5 * time.Second
	if f.o.Lease == 0 {
		f.o.Lease = f.o.Bound + 14*time.Second
	}
	if least := f.o.Bound + slack; f.o.Lease < least {
		return nil, fmt.Errorf("store: a lease of %v: for calls that take %v it needs %v", f.o.Lease, f.o.Bound, least)
	}
	if f.o.Ended < seenFor+f.o.Lease { // what is in flight, and what is remembered, end before it
		return nil, fmt.Errorf("store: that a record was ended has to be remembered for longer than %v", seenFor+f.o.Lease)
	}
	f.events.trace = f.o.Trace
	return f, nil
}

// Incarnation names this process among all that ever shared the store, by random text.
func (f *Fleet) Incarnation() string { return f.incarnation }

// Counts returns what has happened since the process began.
func (f *Fleet) Counts() FleetCounts { return f.events.counts() }

// String implements [Store].
func (f *Fleet) String() string { return "encrypted " + f.shared.String() }

// GoString keeps records and keys out of %#v.
func (f *Fleet) GoString() string { return "store.Fleet(" + f.String() + ")" }

// kindRecord is that of records that [FleetOptions].Classify says nothing of. The others are the fleet's
// own.
const (
	kindRecord   = "record"
	kindMark     = "mark"
	kindSettings = "settings"
	kindReady    = "ready"
	kindDamaged  = "damaged"
	kindAddress  = "address"
	kindPlace    = "place"
)

// isOwn reports whether rows of a kind are the fleet's own, and no records.
func isOwn(kind string) bool {
	switch kind {
	case kindMark, kindSettings, kindReady, kindDamaged, kindAddress, kindPlace:
		return true
	}
	return false
}

// A place in the store, of one key.
type placed struct {
	id     ID
	person Hash
}

func (f *Fleet) place(key string) (p placed, err error) {
	kind, person := "", ""
	if f.o.Classify != nil {
		kind, person = f.o.Classify(key)
	}
	switch {
	case kind == "":
		kind = kindRecord
	case isOwn(kind):
		return p, fmt.Errorf("store: records of the kind %s are the fleet's own", kind)
	}
	p.id = ID{Kind: kind, Key: f.sealer.hash(kind, key)}
	if person != "" {
		p.person = f.sealer.person(person)
	}
	return p, nil
}

// answer bounds the wait for one answer of the store.
func (f *Fleet) answer(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, f.o.Wait, noAnswer{"it may be down, or out of reach", errSlow})
}

// ended adds to an error that ctx has ended, and why.
func ended(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil || errors.Is(err, context.Cause(ctx)) {
		return err
	}
	return fmt.Errorf("%w: %w", context.Cause(ctx), err)
}

var errSlow = errors.New("it has not answered for too long")

// named says in an error which store it is about.
func (f *Fleet) named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store: records %s: %w", f, err)
}

// Load implements [Store]. It may write, to set aside what is damaged, and to write back what the
// store has lost.
func (f *Fleet) Load(ctx context.Context, key string) ([]byte, error) {
	if err := check(ctx, key); err != nil {
		return nil, err
	}
	p, err := f.place(key)
	if err != nil {
		return nil, err
	}
	last := f.seen.of(p.id)
	row, err := f.read(ctx, p.id)
	if err != nil {
		return nil, f.named(err)
	}
	v, err := f.look(ctx, p, row, last)
	if err != nil {
		return nil, f.named(err)
	}
	return v.record, nil
}

func (f *Fleet) read(ctx context.Context, id ID) (*Row, error) {
	ctx, cancel := f.answer(ctx)
	defer cancel()
	row, err := f.shared.Read(ctx, id)
	return row, ended(ctx, err)
}

// page is how many ids are asked for at once.
const page = 500

// Keys implements [Store]: it opens each record, and so is for operators, and for small stores.
func (f *Fleet) Keys(ctx context.Context) ([]string, error) {
	return f.keys(ctx, func(ctx context.Context, after ID) ([]ID, error) {
		return f.shared.NotSealedBy(ctx, "", after, page)
	})
}

// PersonOf returns whose [FleetOptions].Classify says that a record is; empty if nobody's.
func (f *Fleet) PersonOf(key string) string {
	if f.o.Classify == nil {
		return ""
	}
	_, person := f.o.Classify(key)
	return person
}

// KeysOf lists the keys of the records that a person has, by what [FleetOptions].Classify says.
func (f *Fleet) KeysOf(ctx context.Context, person string) ([]string, error) {
	h := f.sealer.person(person)
	return f.keys(ctx, func(ctx context.Context, after ID) ([]ID, error) {
		return f.shared.OfPerson(ctx, h, after, page)
	})
}

// keys opens what is listed. Beside an error it returns those that could be read.
func (f *Fleet) keys(ctx context.Context, list func(context.Context, ID) ([]ID, error)) (keys []string, err error) {
	var failed []error
	for after := (ID{}); ; {
		if ctx.Err() != nil {
			return keys, errors.Join(append(failed, context.Cause(ctx))...)
		}
		limited, cancel := f.answer(ctx)
		ids, err := list(limited, after)
		cancel()
		if err != nil {
			return keys, errors.Join(append(failed, f.named(err))...)
		}
		for _, id := range ids {
			if isOwn(id.Kind) {
				continue
			}
			row, err := f.read(ctx, id)
			if err != nil {
				return keys, errors.Join(append(failed, f.named(err))...)
			}
			if row == nil || row.Content == nil {
				continue
			}
			e, err := f.sealer.open(row)
			if err != nil {
				if len(failed) < page {
					failed = append(failed, f.named(err))
				}
				continue
			}
			keys = append(keys, e.key)
		}
		if len(ids) < page {
			return keys, errors.Join(failed...)
		}
		after = ids[len(ids)-1]
	}
}

var _ Store = (*Fleet)(nil)

// storeClock knows the store's time from the last time that it was asked.
type storeClock struct {
	mu    sync.Mutex
	at    time.Time // here, when …
	shown time.Time // … the store's was this
}

// clockFor is how long a look at the store's clock is good for.
const clockFor = 10 * time.Second

// now is the store's time, roughly: for reports and waits, and no decision of the protocol.
func (f *Fleet) now(ctx context.Context) (time.Time, error) {
	f.clock.mu.Lock()
	at, shown := f.clock.at, f.clock.shown
	f.clock.mu.Unlock()
	if since := time.Since(at); !shown.IsZero() && since < clockFor {
		return shown.Add(since), nil
	}
	ctx, cancel := f.answer(ctx)
	defer cancel()
	shown, err := f.shared.Now(ctx)
	if err != nil {
		return shown, err
	}
	f.clock.mu.Lock()
	defer f.clock.mu.Unlock()
	f.clock.at, f.clock.shown = time.Now(), shown
	return shown, nil
}
