package storetest

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// What was begun before the last attempt is not written.
func fences(r *sharedRun) {
	s, another := r.open(), r.open()
	id := grant(1)
	_, first := r.begin(s, id, "one")
	_, second := r.begin(s, id, "one") // its own lease keeps nobody from that
	if second <= first {
		r.Fatalf("fence %d after %d", second, first)
	}
	r.write(s, id, first, 0, of("late"), false)
	r.write(s, id, second+1, 0, of("early"), false)
	r.write(another, grant(2), second, 0, of("of another row"), false)
	r.wantRow(s, id, none)
	r.write(another, id, second, 0, of("good"), true)
	row := r.wantRow(s, id, "good")
	r.write(s, id, first, 0, of("late"), false)
	r.write(s, id, second, 0, of("twice"), false) // by a generation that is over
	r.wantRow(s, id, "good")
	r.write(s, id, second, row.Generation, of("again"), true) // as who has read it may
	r.wantRow(s, id, "again")
	if now := r.read(s, id); now.Fence != second {
		r.Errorf("fence %d; a Write leaves it at %d", now.Fence, second)
	}
}

// Generations are those of what was written, and never go back.
func generations(r *sharedRun) {
	s := r.open()
	id := grant(1)
	_, fence := r.begin(s, id, "one")
	r.write(s, id, fence, 0, of("first"), true)
	first := r.wantRow(s, id, "first").Generation
	r.write(s, id, fence, first, of("second"), true)
	r.write(s, id, fence, first, of("not after the second"), false)
	if now := r.wantRow(s, id, "second"); now.Generation != first+1 {
		r.Fatalf("generation %d after %d", now.Generation, first)
	}
	const far = 1 << 52
	r.write(s, id, fence, first+1, store.Change{Content: []byte("third"), Generation: far}, true)
	if now := r.wantRow(s, id, "third"); now.Generation != far {
		r.Fatalf("generation %d; want %d", now.Generation, uint64(far))
	}
	for _, back := range []uint64{far, far - 1} {
		if written, err := s.Write(r.Context(), id, fence, far, store.Change{Content: []byte("back"), Generation: back}); written || err == nil {
			r.Errorf("generation %d after %d: %t, %v; want an error", back, uint64(far), written, err)
		}
	}
	if before, _ := r.begin(s, id, "one"); before == nil || before.Generation != far {
		r.Errorf("before the next attempt: %+v", before)
	}
	if now := r.wantRow(s, id, "third"); now.Generation != far {
		r.Errorf("generation %d after Begin, which writes no content", now.Generation)
	}
}

// While a lease lasts nobody else begins, and it is given up by who has it alone.
func leases(r *sharedRun) {
	s, another := r.open(), r.open()
	id := grant(1)
	_, fence := r.begin(s, id, "one")
	held := func() {
		r.Helper()
		before, none := r.begin(another, id, "two")
		if none != 0 || before == nil || before.Owner != "one" || before.Fence != fence {
			r.Fatalf("begun during the lease of another: fence %d, %+v", none, before)
		}
	}
	held()
	r.write(s, id, fence, 0, store.Change{Content: []byte("in between")}, true)
	held() // not released by that
	generation := r.wantRow(s, id, "in between").Generation
	r.write(another, id, fence-1, generation, of("of an older one"), false)
	held()
	r.write(s, id, fence, generation, of("done"), true)
	before, next := r.begin(another, id, "two")
	if next <= fence || before.Owner != "" || !before.Until.IsZero() || string(before.Content) != "done" {
		r.Fatalf("after the release: fence %d, %+v", next, before)
	}
	if row := r.read(s, id); row.Owner != "two" || row.Person != before.Person {
		r.Errorf("begun by two: %+v", row)
	}
}

// After the end of a lease another may begin, and sees whose attempt is in doubt. The older one may
// write as long as nobody has begun.
func leaseEnds(r *sharedRun) {
	s, another := r.open(), r.open()
	_, late := r.attempt(s, grant(1), store.Attempt{Owner: "one", Lease: short})
	_, fenced := r.attempt(s, grant(2), store.Attempt{Owner: "one", Lease: short})
	var before *store.Row
	var next uint64
	r.until("the lease ends", func() bool {
		before, next = r.begin(another, grant(2), "two")
		return next != 0
	})
	if before.Owner != "one" || before.Until.IsZero() || before.Fence != fenced || before.Content != nil || before.Generation != 0 {
		r.Errorf("in doubt: %+v", before)
	}
	r.write(s, grant(2), fenced, 0, of("fenced out"), false)
	r.write(another, grant(2), next, 0, of("good"), true)
	r.write(s, grant(1), late, 0, of("late, and the only one"), true)
	r.wantRow(another, grant(1), "late, and the only one")
}

// What is not there yet is inserted, and nothing else is touched.
func inserts(r *sharedRun) {
	s, another := r.open(), r.open()
	id := grant(1)
	r.insert(s, id, store.Change{Person: hash("alice", 1), Content: []byte("first"), SealedBy: "k1", Due: long, Ends: 2 * long}, true)
	row := r.wantRow(another, id, "first")
	if row.Generation != 1 || row.Fence == 0 || row.Owner != "" || row.Due.IsZero() || row.Ends.IsZero() || row.Person != hash("alice", 1) || row.SealedBy != "k1" {
		r.Errorf("inserted: %+v", row)
	}
	r.insert(another, id, of("second"), false)
	r.wantRow(s, id, "first")
	r.begin(s, grant(2), "one")
	r.insert(another, grant(2), of("over an attempt"), false)
	r.wantRow(s, grant(2), none)
	r.insert(s, store.ID{Kind: "mark", Key: id.Key}, store.Change{Ends: long}, true)
	r.insert(another, store.ID{Kind: "mark", Key: id.Key}, store.Change{Ends: long}, false)
}

// Of many who insert or begin at once one does.
func oneWins(r *sharedRun) {
	const many = 8
	for round := range 5 {
		var inserted, begun atomic.Int32
		var wg sync.WaitGroup
		for n := range many {
			s := r.open()
			wg.Go(func() {
				ok, err := s.Insert(r.Context(), grant(2*round), next(0, "mine"))
				if err != nil {
					r.Errorf("Insert: %v", err)
				} else if ok {
					inserted.Add(1)
				}
				_, fence, err := s.Begin(r.Context(), grant(2*round+1), store.Attempt{Owner: fmt.Sprint("owner ", n), Lease: long})
				if err != nil {
					r.Errorf("Begin: %v", err)
				} else if fence != 0 {
					begun.Add(1)
				}
			})
		}
		wg.Wait()
		if inserted.Load() != 1 || begun.Load() != 1 {
			r.Fatalf("%d inserted, %d began; want one each", inserted.Load(), begun.Load())
		}
	}
}

// Every method is one step: what is added by compare-and-write on several machines is all there.
func oneStepAtATime(r *sharedRun) {
	const machines, times = 4, 10
	id := grant(1)
	var wg sync.WaitGroup
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	for n := range machines {
		s := r.open()
		wg.Go(func() {
			for added := 0; added < times; {
				row, fence, err := s.Begin(ctx, id, store.Attempt{Owner: fmt.Sprint("owner ", n), Lease: long})
				switch {
				case err != nil:
					r.Errorf("Begin: %v", err)
					return
				case fence == 0:
					time.Sleep(time.Millisecond)
					continue
				case row == nil:
					row = &store.Row{}
				}
				runtime.Gosched()
				ok, err := s.Write(ctx, id, fence, row.Generation, next(row.Generation, string(row.Content)+"+"))
				if err != nil || !ok {
					r.Errorf("Write: %t, %v", ok, err)
					return
				}
				added++
			}
		})
	}
	wg.Wait()
	if row := r.read(r.open(), id); row == nil || len(row.Content) != machines*times {
		r.Errorf("there are %+v; want %d", row, machines*times)
	}
}
