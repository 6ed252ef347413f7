package storetest

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// The clock is the store's, everywhere the same, and goes on.
func clock(r *sharedRun) {
	s, another := r.open(), r.open()
	at := func(s store.Shared) time.Time {
		now, err := s.Now(r.Context())
		if err != nil {
			r.Fatalf("Now: %v", err)
		}
		return now
	}
	first := at(s)
	if first.IsZero() {
		r.Fatalf("Now is zero")
	}
	_, _ = r.attempt(s, grant(1), store.Attempt{Owner: "one", Lease: long, Due: 2 * long, Ends: 3 * long})
	row := r.read(another, grant(1))
	last := at(another)
	for what, c := range map[string]struct {
		t time.Time
		d time.Duration
	}{"Until": {row.Until, long}, "Due": {row.Due, 2 * long}, "Ends": {row.Ends, 3 * long}} {
		const grain = time.Millisecond // that an engine may round by
		if c.t.Before(first.Add(c.d-grain)) || c.t.After(last.Add(c.d+grain)) {
			r.Errorf("%s is %v; want %v from a time between %v and %v", what, c.t, c.d, first, last)
		}
	}
	r.until("the clock goes on", func() bool { return at(another).After(first) })
}

// Who has stopped waiting gets nothing done.
func sharedContextHasEnded(r *sharedRun) {
	s := r.open()
	r.insert(s, grant(1), of("old"), true)
	row := r.read(s, grant(1))
	ctx, cancel := context.WithCancelCause(r.Context())
	cancel(errTired)
	for what, f := range methods(s, row) {
		err := r.ends(what+" after the end", func() error { return f(ctx) })
		if err == nil {
			r.Errorf("%s: no error", what)
		}
	}
	if now := r.wantRow(s, grant(1), "old"); now.Fence != row.Fence || now.Generation != row.Generation {
		r.Errorf("it was changed: %+v", now)
	}
	if r.read(s, grant(2)) != nil {
		r.Errorf("it was inserted")
	}
}

// methods are those that ask the store for something, about a row that is there.
func methods(s store.Shared, row *store.Row) map[string]func(context.Context) error {
	all := writing(s, row)
	all["Now"] = func(ctx context.Context) error { _, err := s.Now(ctx); return err }
	all["Read"] = func(ctx context.Context) error { _, err := s.Read(ctx, row.ID); return err }
	all["OfPerson"] = func(ctx context.Context) error { _, err := s.OfPerson(ctx, row.Person, store.ID{}, 1); return err }
	all["NotSealedBy"] = func(ctx context.Context) error { _, err := s.NotSealedBy(ctx, "k2", store.ID{}, 1); return err }
	all["Watch"] = func(ctx context.Context) error { return s.Watch(ctx, func(store.ID) {}) }
	return all
}

func writing(s store.Shared, row *store.Row) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Begin": func(ctx context.Context) error {
			_, _, err := s.Begin(ctx, row.ID, store.Attempt{Owner: "one", Lease: long})
			return err
		},
		"Write": func(ctx context.Context) error {
			_, err := s.Write(ctx, row.ID, row.Fence, row.Generation, next(row.Generation, "new"))
			return err
		},
		"Insert": func(ctx context.Context) error { _, err := s.Insert(ctx, grant(2), next(0, "new")); return err },
		"Delete": func(ctx context.Context) error { return s.Delete(ctx, row.ID) },
	}
}

// A store that cannot be written says so, and can be read.
func sharedUnwritable(r *sharedRun) {
	s := r.open()
	r.insert(s, grant(1), of(secret), true)
	row := r.read(s, grant(1))
	restore, err := r.subject.ReadOnly()
	if err != nil {
		r.Fatalf("ReadOnly: %v", err)
	}
	for what, f := range writing(s, row) {
		if err := f(r.Context()); !errors.Is(err, store.ErrUnwritable) || strings.Contains(err.Error(), secret) {
			r.Errorf("%s: %v; want an ErrUnwritable", what, err)
		}
	}
	r.wantRow(s, grant(1), secret)
	restore()
	r.until("it can be written again", func() bool {
		_, err := s.Write(r.Context(), row.ID, row.Fence, row.Generation, next(row.Generation, "new"))
		return err == nil
	})
	r.wantRow(s, grant(1), "new")
}

// Whatever a store waits for, its methods return when the context ends.
func sharedSilent(r *sharedRun) {
	s := r.open()
	r.insert(s, grant(1), of(secret), true)
	row := r.read(s, grant(1))
	restore, err := r.subject.Silence()
	if err != nil {
		r.Fatalf("Silence: %v", err)
	}
	for what, f := range methods(s, row) {
		ctx, cancel := context.WithTimeout(r.Context(), short)
		err := r.ends(what+" of a silent store", func() error { return f(ctx) })
		cancel()
		if err == nil || strings.Contains(err.Error(), secret) {
			r.Errorf("%s: %v", what, err)
		}
	}
	restore()
	r.until("it answers again", func() bool { _, err := s.Read(r.Context(), row.ID); return err == nil })
}
