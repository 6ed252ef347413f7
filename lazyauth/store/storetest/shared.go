package storetest

import (
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
	runAll(t, sharedChecks, func(t *testing.T) (SharedSubject, *sharedRun) {
		s := subject(t)
		if s.Open == nil {
			t.Fatal("SharedSubject.Open is nil")
		}
		return s, &sharedRun{t, s}
	})
}

type sharedCheck = checkOf[SharedSubject, *sharedRun]

var sharedChecks = []sharedCheck{
	{"life of a row", lifeOfARow, nil},
	{"fence", fences, nil},
	{"generation", generations, nil},
	{"lease", leases, nil},
	{"lease ends", leaseEnds, nil},
	{"insert", inserts, nil},
	{"one wins", oneWins, nil},
	{"one step at a time", oneStepAtATime, nil},
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
	return returns(r, patience, what, f)
}
