package storetest

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// An attempt that is for what is due begins not before, and puts off when it is due next.
func beginIfDue(r *sharedRun) {
	s, another := r.open(), r.open()
	poll := store.Attempt{Owner: "one", Lease: long, Due: 2 * long, IfDue: true}
	if before, fence := r.attempt(s, grant(9), poll); before != nil || fence != 0 || r.read(s, grant(9)) != nil {
		r.Errorf("begun on no row: fence %d, %+v", fence, before)
	}
	r.insert(s, grant(1), store.Change{Content: []byte("later"), Due: long}, true)
	r.insert(s, grant(2), store.Change{Content: []byte("never")}, true)
	for n := range 2 {
		if before, fence := r.attempt(s, grant(n+1), poll); before == nil || fence != 0 {
			r.Errorf("begun before it was due: fence %d, %+v", fence, before)
		}
		if row := r.read(s, grant(n+1)); row.Owner != "" {
			r.Errorf("not due, and yet of %q", row.Owner)
		}
	}
	r.insert(s, grant(3), store.Change{Content: []byte("soon"), Due: short}, true)
	var fence uint64
	r.until("it is due", func() bool { _, fence = r.attempt(another, grant(3), poll); return fence != 0 })
	row := r.read(s, grant(3))
	if now, err := s.Now(r.Context()); err != nil || row.Due.Before(now.Add(long)) {
		r.Errorf("once begun it is due at %v; it is %v, %v", row.Due, now, err)
	}
	_, fence = r.begin(another, grant(3), "one") // not for what is due, and so it leaves when that is
	if now := r.read(s, grant(3)); now.Due.Sub(row.Due).Abs() > 0 {
		r.Errorf("due at %v, before at %v", now.Due, row.Due)
	}
	r.write(another, grant(3), fence, row.Generation, of("done"), true)
	if row := r.read(s, grant(3)); !row.Due.IsZero() {
		r.Errorf("written as never due: %v", row.Due)
	}
}

// Keep changes when a row is due, and gives up the lease.
func keeps(r *sharedRun) {
	s := r.open()
	r.insert(s, grant(1), store.Change{Person: hash("alice", 1), Content: []byte("kept"), SealedBy: "k1", Ends: long}, true)
	before, fence := r.begin(s, grant(1), "one")
	r.write(s, grant(1), fence, before.Generation+1, store.Change{Keep: true, Due: long}, false)
	r.write(s, grant(1), fence, before.Generation, store.Change{Keep: true, Due: long}, true)
	row := r.wantRow(s, grant(1), "kept")
	if row.Generation != before.Generation || row.Person != before.Person || row.SealedBy != "k1" || !row.Ends.Equal(before.Ends) || row.Owner != "" || !row.Until.IsZero() || row.Due.IsZero() {
		r.Errorf("kept: %+v; before it was %+v", row, before)
	}
	r.write(s, grant(1), fence, before.Generation, store.Change{Keep: true}, true)
	if row := r.wantRow(s, grant(1), "kept"); !row.Due.IsZero() {
		r.Errorf("due at %v; want never", row.Due)
	}
}

// A change may leave when a row is due, and when it ends, as they were.
func asItWas(r *sharedRun) {
	s := r.open()
	r.insert(s, grant(1), store.Change{Content: []byte("first"), Due: long, Ends: 2 * long}, true)
	first, fence := r.begin(s, grant(1), "one")
	same := func(what string) {
		row := r.read(s, grant(1))
		if row == nil || !row.Due.Equal(first.Due) || !row.Ends.Equal(first.Ends) {
			r.Errorf("after %s: %+v; want it due at %v and ended at %v", what, row, first.Due, first.Ends)
		}
	}
	same("an attempt")
	r.write(s, grant(1), fence, 1, store.Change{Content: []byte("second"), Due: -1, Ends: -1}, true)
	same("a content")
	r.write(s, grant(1), fence, 2, store.Change{Keep: true, Due: -1}, true)
	same("a release")
	r.wantRow(s, grant(1), "second")
	_, fence = r.attempt(s, grant(2), store.Attempt{Owner: "one", Lease: long, Ends: long})
	made := r.read(s, grant(2))
	r.write(s, grant(2), fence, 0, store.Change{Content: []byte("first"), Due: -1, Ends: -1}, true)
	if row := r.read(s, grant(2)); row == nil || !row.Due.IsZero() || !row.Ends.Equal(made.Ends) {
		r.Errorf("a first content: %+v after %+v", row, made)
	}
}

// A row that has ended is not there, for anybody or anything.
func rowsEnd(r *sharedRun) {
	s := r.open()
	alice := hash("alice", 1)
	r.insert(s, grant(1), store.Change{Person: alice, Content: []byte("short"), SealedBy: "k1", Due: 1, Ends: short}, true)
	first := r.read(s, grant(1))
	r.attempt(s, grant(2), store.Attempt{Person: alice, Owner: "one", Lease: long, Ends: short})
	r.until("rows end", func() bool { return r.read(s, grant(1)) == nil && r.read(s, grant(2)) == nil })
	if before, fence := r.attempt(s, grant(1), store.Attempt{Owner: "one", Lease: long, IfDue: true}); before != nil || fence != 0 {
		r.Errorf("due: fence %d, %+v", fence, before)
	}
	if ids, err := s.OfPerson(r.Context(), alice, store.ID{}, 10); err != nil || len(ids) != 0 {
		r.Errorf("of a person: %v, %v", ids, err)
	}
	if ids, err := s.NotSealedBy(r.Context(), "k2", store.ID{}, 10); err != nil || len(ids) != 0 {
		r.Errorf("sealed by another: %v, %v", ids, err)
	}
	if first != nil {
		r.write(s, grant(1), first.Fence, first.Generation, of("late"), false)
	}
	r.insert(s, grant(1), of("another"), true)
	if before, fence := r.begin(s, grant(2), "two"); before != nil || fence == 0 {
		r.Errorf("begun in the place of one that has ended: fence %d, %+v", fence, before)
	}
	if row := r.read(s, grant(2)); row == nil || !row.Ends.IsZero() || row.Person == alice {
		r.Errorf("it has something of the one that has ended: %+v", row)
	}
}

// What was begun on a row, or seen of it, fits none that is made in its place.
func madeAgain(r *sharedRun) {
	s := r.open()
	remove := func(id store.ID) {
		if err := s.Delete(r.Context(), id); err != nil {
			r.Fatalf("Delete: %v", err)
		}
	}
	_, old := r.begin(s, grant(1), "one")
	remove(grant(1))
	r.write(s, grant(1), old, 0, of("on nothing"), false)
	if _, fence := r.begin(s, grant(1), "two"); fence <= old {
		r.Errorf("fence %d after %d", fence, old)
	}
	r.write(s, grant(1), old, 0, of("of another row"), false)
	r.insert(s, grant(2), of("first"), true)
	first := r.read(s, grant(2))
	remove(grant(2))
	r.write(s, grant(2), first.Fence, first.Generation, of("on nothing"), false)
	r.insert(s, grant(2), of("second"), true)
	if second := r.read(s, grant(2)); second.Fence <= first.Fence {
		r.Errorf("inserted: fence %d after %d", second.Fence, first.Fence)
	}
	r.write(s, grant(2), first.Fence, first.Generation, of("of another row"), false)
}

func compareIDs(a, b store.ID) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), bytes.Compare(a.Key[:], b.Key[:]))
}

// wantPages checks a list that is read in pages of any size.
func (r *sharedRun) wantPages(what string, list func(after store.ID, limit int) ([]store.ID, error), want ...store.ID) {
	r.Helper()
	slices.SortFunc(want, compareIDs)
	for _, limit := range []int{1, 3, 1000} {
		var got []store.ID
		for after := (store.ID{}); ; {
			page, err := list(after, limit)
			if err != nil || len(page) > limit {
				r.Fatalf("%s: %d of %d, %v", what, len(page), limit, err)
			}
			if got = append(got, page...); len(page) < limit || len(got) > 2*len(want) {
				break
			}
			after = page[len(page)-1]
		}
		if !slices.Equal(got, want) {
			r.Errorf("%s, by %d: %v; want %v", what, limit, got, want)
		}
	}
}

// What there is of a person is listed, whatever the kind, ends too, and nothing of others.
func ofPerson(r *sharedRun) {
	s := r.open()
	alice, bob := hash("alice", 1), hash("bob", 2)
	var hers []store.ID
	for n := range 8 {
		id := grant(n)
		if n%2 == 1 {
			id.Kind = "flight"
		}
		hers = append(hers, id)
		r.insert(s, id, store.Change{Person: alice, Content: []byte("hers")}, true)
		r.insert(s, grant(100+n), store.Change{Person: bob, Content: []byte("his")}, true)
	}
	list := func(p store.Hash) func(store.ID, int) ([]store.ID, error) {
		return func(after store.ID, limit int) ([]store.ID, error) {
			return s.OfPerson(r.Context(), p, after, limit)
		}
	}
	r.wantPages("hers", list(alice), hers...)
	r.wantPages("nobody's", list(hash("carol", 3)))
	_, fence := r.begin(s, grant(0), "one")
	r.write(s, grant(0), fence, r.read(s, grant(0)).Generation, store.Change{Person: alice, Ends: long, Release: true}, true)
	r.wantPages("hers with an end", list(alice), hers...)
	row := r.read(s, grant(2))
	r.write(s, grant(2), row.Fence, row.Generation, store.Change{Person: bob, Content: []byte("his now")}, true)
	r.wantPages("hers without one", list(alice), slices.DeleteFunc(hers, func(id store.ID) bool { return id == grant(2) })...)
}

// What is sealed by another key is listed; ends and what is not sealed are not.
func notSealedBy(r *sharedRun) {
	s := r.open()
	var old, all []store.ID
	for n := range 5 {
		old = append(old, grant(n))
		r.insert(s, grant(n), store.Change{Content: []byte("old"), SealedBy: "k1"}, true)
		all = append(all, grant(10+n))
		r.insert(s, grant(10+n), store.Change{Content: []byte("new"), SealedBy: "k2"}, true)
	}
	r.insert(s, grant(20), store.Change{Content: []byte("not sealed")}, true)
	r.insert(s, grant(21), store.Change{Ends: long}, true)
	r.begin(s, grant(22), "one")
	list := func(key string) func(store.ID, int) ([]store.ID, error) {
		return func(after store.ID, limit int) ([]store.ID, error) {
			return s.NotSealedBy(r.Context(), key, after, limit)
		}
	}
	r.wantPages("sealed by another", list("k2"), slices.Clone(old)...)
	r.wantPages("all that is sealed", list(""), append(slices.Clone(all), old...)...)
	row := r.read(s, grant(0))
	r.write(s, grant(0), row.Fence, row.Generation, store.Change{Content: []byte("sealed anew"), SealedBy: "k2"}, true)
	r.wantPages("what is left", list("k2"), slices.Clone(old[1:])...)
}

// Who watches hears of what others write, until they stop.
func watches(r *sharedRun) {
	s, another := r.open(), r.open()
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	var mu sync.Mutex
	heard := make(map[store.ID]int)
	ended := make(chan error, 1)
	go func() {
		ended <- another.Watch(ctx, func(id store.ID) {
			mu.Lock()
			defer mu.Unlock()
			heard[id]++
		})
	}()
	has := func(id store.ID) bool {
		mu.Lock()
		defer mu.Unlock()
		return heard[id] > 0
	}
	// The first hints may be lost, for want of a watcher.
	n := 100
	r.until("something is heard", func() bool {
		n++
		r.insert(s, grant(n), of("new"), true)
		time.Sleep(short / 10)
		return has(grant(n))
	})
	_, fence := r.begin(s, grant(1), "one")
	r.until("a Write is heard of", func() bool {
		r.write(s, grant(1), fence, r.read(s, grant(1)).Generation, of("written"), true)
		time.Sleep(short / 10)
		return has(grant(1))
	})
	cancel(errTired)
	if err := r.ends("Watch after the end", func() error { return <-ended }); err == nil {
		r.Errorf("Watch: no error")
	}
}
