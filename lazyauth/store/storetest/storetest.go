// Package storetest is the contract of [store.Store] as a test, for those who write a
// store of their own: what passes [Run] is a store that lazyauth can use.
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) storetest.Subject {
//			table := newTable(t) // empty, and gone after the test
//			return storetest.Subject{Open: func() (store.Store, error) { return postgres.Open(table) }}
//		})
//	}
//
// It finds out nothing about power failures and killed processes: see the package's own
// crash test for how that can be done.
package storetest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// A Subject is what is tested: a place without records.
type Subject struct {
	// Open returns a store of the place, as another process would open it: what it
	// returns shares the records with what it returned before, and nothing else. A
	// store that ends with the process returns the same one each time. What has to be
	// closed is closed by the test that made the subject.
	Open func() (store.Store, error)

	// ReadOnly makes the place one that can be read and not written, until restore is
	// called: no permission, a read-only mount, a full disk. Nil leaves out the check.
	ReadOnly func() (restore func(), err error)

	// Silence makes the place give no answer, until restore is called, as a dead file
	// server or a stopped database does. Nil leaves out the check.
	Silence func() (restore func(), err error)
}

// Run checks a store, each part of its contract with a new subject.
func Run(t *testing.T, subject func(t *testing.T) Subject) {
	t.Helper()
	runAll(t, checks, func(t *testing.T) (Subject, *run) {
		s := subject(t)
		if s.Open == nil {
			t.Fatal("Subject.Open is nil")
		}
		return s, &run{t, s}
	})
}

// A checkOf is one part of a contract; R is a run of it, of a subject S.
type checkOf[S, R any] struct {
	name  string
	run   func(R)
	needs func(S) bool // nil needs nothing
}

// runAll runs checks, each with a new subject.
func runAll[S, R any](t *testing.T, checks []checkOf[S, R], begin func(*testing.T) (S, R)) {
	t.Helper()
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			s, r := begin(t)
			if c.needs != nil && !c.needs(s) {
				t.Skip("the subject has no way to do that")
			}
			c.run(r)
		})
	}
}

// A reporter is what the checks use of a test.
type reporter interface {
	Helper()
	Context() context.Context
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

type check = checkOf[Subject, *run]

// A run is one check of one subject.
type run struct {
	reporter
	subject Subject
}

// secret is in records, and may be in no error.
const secret = "gho_0123456789SECRET"

// soon is how soon a method returns after its context has ended. It is generous, since a
// machine may be busy, and ends the check.
const soon = 20 * time.Second

func (r *run) open() store.Store {
	r.Helper()
	s, err := r.subject.Open()
	if err != nil || s == nil {
		r.Fatalf("Open: %v, %v", s, err)
	}
	return s
}

func (r *run) put(s store.Store, key, record string) {
	r.Helper()
	if err := s.Update(r.Context(), key, to(record)); err != nil {
		r.Fatalf("Update(%.40q): %v", key, err)
	}
}

// to is the change that makes a record of text.
func to(text string) func([]byte) ([]byte, error) {
	return func([]byte) ([]byte, error) { return []byte(text), nil }
}

func remove([]byte) ([]byte, error) { return nil, nil }

const none = "\x00none"

// want checks the record of key.
func (r *run) want(s store.Store, key, record string) {
	r.Helper()
	got, err := s.Load(r.Context(), key)
	switch {
	case err != nil:
		r.Fatalf("Load(%.40q): %v", key, err)
	case (got == nil) != (record == none) || got != nil && string(got) != record:
		r.Fatalf("Load(%.40q): %.40q (nil: %t); want %.40q", key, got, got == nil, record)
	}
}

func (r *run) wantKeys(s store.Store, want ...string) {
	r.Helper()
	got, err := s.Keys(r.Context())
	slices.Sort(got)
	slices.Sort(want)
	if err != nil || !slices.Equal(got, want) {
		r.Fatalf("Keys: %.200q, %v; want %.200q", got, err, want)
	}
}

// ends calls f, which has to return soon.
func (r *run) ends(what string, f func() error) error {
	r.Helper()
	return returns(r, soon, what, f)
}

// returns calls f, which has to return within a time.
func returns(r reporter, within time.Duration, what string, f func() error) error {
	r.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(within):
		r.Fatalf("%s does not return", what)
		return nil
	}
}

// quotes checks that an error has nothing of a record.
func (r *run) quotes(what string, err error) {
	r.Helper()
	if err != nil && strings.Contains(err.Error(), secret) {
		r.Errorf("%s: the error quotes a record: %v", what, err)
	}
}

var checks = []check{
	{"life of a record", lifeOfARecord, nil},
	{"empty record", emptyRecord, nil},
	{"limits", limits, nil},
	{"keys that are none", keysThatAreNone, nil},
	{"copies", copies, nil},
	{"change fails", changeFails, nil},
	{"change panics", changePanics, nil},
	{"durable", durable, nil},
	{"one at a time", oneAtATime, nil},
	{"others do not wait", othersDoNotWait, nil},
	{"context has ended", contextHasEnded, nil},
	{"context ends while it waits", contextEndsWhileItWaits, nil},
	{"context ends in change", contextEndsInChange, nil},
	{"name", name, nil},
	{"unwritable", unwritable, func(s Subject) bool { return s.ReadOnly != nil }},
	{"silent", silent, func(s Subject) bool { return s.Silence != nil }},
}
