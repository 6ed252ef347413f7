package storetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// A SharedSubject is what [RunShared] tests: a place without rows.
type SharedSubject struct {
	// Open returns a store of the place, as another machine would open it: what it returns
	// shares the rows with what it returned before, and nothing else. What has to be closed is
	// closed by the test that made the subject.
	Open func() (store.Shared, error)

	// ReadOnly makes the place one that can be read and not written, until restore is called.
	// Nil leaves out the check.
	ReadOnly func() (restore func(), err error)

	// Silence makes the place give no answer, until restore is called, as a stopped database
	// does. Nil leaves out the check.
	Silence func() (restore func(), err error)
}

// RunShared checks a store that machines share, each part of its contract with a new subject:
//
//	func TestShared(t *testing.T) {
//		storetest.RunShared(t, func(t *testing.T) storetest.SharedSubject {
//			schema := newSchema(t) // empty, and gone after the test
//			return storetest.SharedSubject{Open: func() (store.Shared, error) { return postgres.Open(schema) }}
//		})
//	}
//
// What passes it is one that [store.NewFleet] can use. It finds out nothing about lost writes:
// kill the engine for that.
func RunShared(t *testing.T, subject func(t *testing.T) SharedSubject) {
	t.Helper()
	for _, c := range sharedChecks {
		t.Run(c.name, func(t *testing.T) {
			s := subject(t)
			if s.Open == nil {
				t.Fatal("SharedSubject.Open is nil")
			}
			if c.needs != nil && !c.needs(s) {
				t.Skip("the subject has no way to do that")
			}
			c.run(&sharedRun{t, s})
		})
	}
}

type sharedCheck struct {
	name  string
	run   func(*sharedRun)
	needs func(SharedSubject) bool // nil needs nothing
}

var sharedChecks = []sharedCheck{
	{"life of a row", lifeOfARow, nil},
	{"fence", fences, nil},
	{"generation", generations, nil},
	{"lease", leases, nil},
	{"lease ends", leaseEnds, nil},
	{"insert", inserts, nil},
	{"one wins", oneWins, nil},
	{"one step at a time", oneStepAtATime, nil},
	{"due", dueRows, nil},
	{"begin if due", beginIfDue, nil},
	{"keep", keeps, nil},
	{"as it was", asItWas, nil},
	{"rows end", rowsEnd, nil},
	{"made again", madeAgain, nil},
	{"of a person", ofPerson, nil},
	{"not sealed by", notSealedBy, nil},
	{"contents", contents, nil},
	{"what is none", whatIsNone, nil},
	{"watch", watches, nil},
	{"clock", clock, nil},
	{"context has ended", sharedContextHasEnded, nil},
	{"name", sharedName, nil},
	{"unwritable", sharedUnwritable, func(s SharedSubject) bool { return s.ReadOnly != nil }},
	{"silent", sharedSilent, func(s SharedSubject) bool { return s.Silence != nil }},
}

// A sharedRun is one check of one subject.
type sharedRun struct {
	reporter
	subject SharedSubject
}

// Short is a lease that a check waits for the end of, and long one that does not end before the
// check does. Nothing here depends on how fast a machine is, but that it is faster than patience.
const (
	short    = 50 * time.Millisecond
	long     = time.Hour
	patience = time.Minute
)

func (r *sharedRun) open() store.Shared {
	r.Helper()
	s, err := r.subject.Open()
	if err != nil || s == nil {
		r.Fatalf("Open: %v, %v", s, err)
	}
	return s
}

// grant is the id of a row by a number.
func grant(n int) store.ID { return store.ID{Kind: "grant", Key: hash("key", n)} }

func hash(what string, n int) (h store.Hash) {
	copy(h[:], what+" "+strconv.Itoa(n)+strings.Repeat("\x00\xff%", store.HashSize))
	return h
}

func (r *sharedRun) read(s store.Shared, id store.ID) *store.Row {
	r.Helper()
	row, err := s.Read(r.Context(), id)
	if err != nil {
		r.Fatalf("Read: %v", err)
	}
	return row
}

// wantRow returns the row of this content; none for a tombstone.
func (r *sharedRun) wantRow(s store.Shared, id store.ID, content string) *store.Row {
	r.Helper()
	row := r.read(s, id)
	switch {
	case row == nil:
		r.Fatalf("there is no row; want one with %.40q", content)
	case row.ID != id:
		r.Errorf("the row is %v; want %v", row.ID, id)
	case (row.Content == nil) != (content == none) || row.Content != nil && string(row.Content) != content:
		r.Fatalf("the content is %.40q (nil: %t); want %.40q", row.Content, row.Content == nil, content)
	}
	return row
}

// begin begins an attempt with a long lease.
func (r *sharedRun) begin(s store.Shared, id store.ID, owner string) (before *store.Row, fence uint64) {
	r.Helper()
	return r.attempt(s, id, store.Attempt{Owner: owner, Lease: long})
}

func (r *sharedRun) attempt(s store.Shared, id store.ID, a store.Attempt) (before *store.Row, fence uint64) {
	r.Helper()
	before, fence, err := s.Begin(r.Context(), id, a)
	if err != nil {
		r.Fatalf("Begin: %v", err)
	}
	return before, fence
}

// write expects that a change is written, or is not.
func (r *sharedRun) write(s store.Shared, id store.ID, fence, generation uint64, c store.Change, want bool) {
	r.Helper()
	if c.Generation == 0 && !c.Keep {
		c.Generation = generation + 1
	}
	written, err := s.Write(r.Context(), id, fence, generation, c)
	if err != nil || written != want {
		r.Fatalf("Write by fence %d and generation %d: %t, %v; want %t", fence, generation, written, err, want)
	}
}

func (r *sharedRun) insert(s store.Shared, id store.ID, c store.Change, want bool) {
	r.Helper()
	c.Generation = 1
	inserted, err := s.Insert(r.Context(), id, c)
	if err != nil || inserted != want {
		r.Fatalf("Insert: %t, %v; want %t", inserted, err, want)
	}
}

// of is a change to this content.
func of(content string) store.Change {
	return store.Change{Content: []byte(content), SealedBy: "k1", Release: true}
}

// next is a change to this content, in the place of a generation.
func next(generation uint64, content string) store.Change {
	c := of(content)
	c.Generation = generation + 1
	return c
}

// until waits for what has to become true.
func (r *sharedRun) until(what string, f func() bool) {
	r.Helper()
	for began := time.Now(); !f(); {
		if time.Since(began) > patience {
			r.Fatalf("%s: not after %v", what, patience)
		}
		time.Sleep(short / 10)
	}
}

// ends calls f, which has to return soon.
func (r *sharedRun) ends(what string, f func() error) error {
	r.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		r.Fatalf("%s does not return", what)
		return nil
	}
}

// A row is made by the first attempt, written, and ended.
func lifeOfARow(r *sharedRun) {
	s, another := r.open(), r.open()
	id := grant(1)
	if row := r.read(s, id); row != nil {
		r.Fatalf("there is a row: %+v", row)
	}
	before, fence := r.attempt(s, id, store.Attempt{Person: hash("alice", 1), Owner: "one", Lease: long, Ends: long})
	if before != nil || fence == 0 {
		r.Fatalf("Begin: %+v, fence %d; want no row, and a fence", before, fence)
	}
	row := r.wantRow(another, id, none)
	if row.Person != hash("alice", 1) || row.Generation != 0 || row.Fence != fence || row.Owner != "one" || row.Until.IsZero() || !row.Due.IsZero() || row.Ends.IsZero() || row.SealedBy != "" {
		r.Errorf("begun: %+v", row)
	}
	content := secret + "\x00\xff"
	r.write(s, id, fence, 0, store.Change{Person: hash("bob", 2), Content: []byte(content), SealedBy: "k1", Release: true}, true)
	row = r.wantRow(another, id, content)
	if row.Person != hash("bob", 2) || row.Generation != 1 || row.Fence != fence || row.Owner != "" || !row.Until.IsZero() || !row.Due.IsZero() || !row.Ends.IsZero() || row.SealedBy != "k1" {
		r.Errorf("written: %+v", row)
	}
	before, next := r.begin(another, id, "two")
	if before == nil || string(before.Content) != content || before.Owner != "" || before.Fence != fence || before.Generation != row.Generation || next <= fence {
		r.Fatalf("begun again: fence %d after %d, %+v", next, fence, before)
	}
	r.write(another, id, next, row.Generation, store.Change{Ends: long, Release: true}, true)
	ended := r.wantRow(s, id, none)
	if ended.Generation != row.Generation+1 || ended.SealedBy != "" || ended.Ends.IsZero() || ended.Person != (store.Hash{}) {
		r.Errorf("ended: %+v after generation %d", ended, row.Generation)
	}
	if r.read(s, grant(2)) != nil || r.read(s, store.ID{Kind: "flight", Key: id.Key}) != nil {
		r.Errorf("there are rows that nobody made")
	}
	if err := s.Delete(r.Context(), id); err != nil {
		r.Errorf("Delete: %v", err)
	}
	if row := r.read(another, id); row != nil {
		r.Errorf("after Delete: %+v", row)
	}
	if err := s.Delete(r.Context(), id); err != nil {
		r.Errorf("Delete of what is not there: %v", err)
	}
}

// A name says where the rows are, in a few words.
func sharedName(r *sharedRun) {
	s := r.open()
	if text := s.String(); text == "" || strings.ContainsAny(text, "\n\r") || len(text) > 300 {
		r.Errorf("its name is %.400q", text)
	}
}

// Contents may be anything, as long as the longest, and belong to who gave or got them.
func contents(r *sharedRun) {
	s := r.open()
	large := bytes.Repeat([]byte("012345\x00\xff"), store.MaxContent/8)
	for n, content := range [][]byte{{0}, []byte("\xff\xfe"), []byte("'; --"), large} {
		id := grant(n)
		given := bytes.Clone(content)
		r.insert(s, id, store.Change{Content: given, SealedBy: "k1"}, true)
		given[0]++
		got := r.wantRow(s, id, string(content)).Content
		got[0]++
		r.wantRow(s, id, string(content))
	}
	r.insert(s, grant(9), store.Change{Content: []byte("open to all")}, true)
	if row := r.wantRow(s, grant(9), "open to all"); row.SealedBy != "" {
		r.Errorf("sealed by %q, though it is not", row.SealedBy)
	}
	r.insert(s, grant(10), store.Change{Ends: long}, true)
	r.wantRow(s, grant(10), none)
}

// What an engine cannot keep it refuses, and keeps nothing of it.
func whatIsNone(r *sharedRun) {
	s := r.open()
	huge := bytes.Repeat([]byte("x"), store.MaxContent+1)
	for what, f := range map[string]func(store.ID) error{
		"too long": func(id store.ID) error {
			_, err := s.Insert(r.Context(), id, store.Change{Content: huge, Generation: 1})
			return err
		},
		"empty content": func(id store.ID) error {
			_, err := s.Insert(r.Context(), id, store.Change{Content: []byte{}, Generation: 1})
			return err
		},
		"no owner": func(id store.ID) error {
			_, _, err := s.Begin(r.Context(), id, store.Attempt{Lease: long})
			return err
		},
		"an owner of two lines": func(id store.ID) error {
			_, _, err := s.Begin(r.Context(), id, store.Attempt{Owner: "a\nb", Lease: long})
			return err
		},
		"no lease": func(id store.ID) error {
			_, _, err := s.Begin(r.Context(), id, store.Attempt{Owner: "one"})
			return err
		},
		"a generation of 0": func(id store.ID) error {
			_, err := s.Insert(r.Context(), id, store.Change{Content: []byte("x")})
			return err
		},
		"due before now": func(id store.ID) error {
			_, err := s.Insert(r.Context(), id, store.Change{Content: []byte("x"), Due: -1, Generation: 1})
			return err
		},
	} {
		if err := f(grant(1)); err == nil {
			r.Errorf("%s: taken", what)
		}
	}
	for _, kind := range []string{"", "Grant", "grant*", strings.Repeat("k", 17)} {
		if _, err := s.Insert(r.Context(), store.ID{Kind: kind, Key: grant(1).Key}, next(0, "x")); err == nil {
			r.Errorf("kind %q: taken", kind)
		}
	}
	if row := r.read(s, grant(1)); row != nil {
		r.Errorf("there is %+v", row)
	}
}

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
	all["Due"] = func(ctx context.Context) error { _, _, err := s.Due(ctx, row.Kind, 1); return err }
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

// same reports whether two lists have the same ids, in any order.
func sameIDs(a, b []store.ID) bool {
	if len(a) != len(b) {
		return false
	}
	for _, id := range a {
		if !slices.Contains(b, id) {
			return false
		}
	}
	return true
}
