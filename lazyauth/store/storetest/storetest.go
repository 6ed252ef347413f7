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
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
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
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			s := subject(t)
			if s.Open == nil {
				t.Fatal("Subject.Open is nil")
			}
			if c.needs != nil && !c.needs(s) {
				t.Skip("the subject has no way to do that")
			}
			c.run(&run{t, s})
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

type check struct {
	name  string
	run   func(*run)
	needs func(Subject) bool // nil needs nothing
}

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
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(soon):
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

// Records are made, found, changed and removed, and those of others stay.
func lifeOfARecord(r *run) {
	s := r.open()
	other := "bob at https://issuer.example/ ü काम"
	r.want(s, "alice", none)
	r.wantKeys(s)
	r.put(s, "alice", "first")
	r.put(s, other, "his")
	r.want(s, "alice", "first")
	r.wantKeys(s, "alice", other)
	calls := 0
	err := s.Update(r.Context(), "alice", func(old []byte) ([]byte, error) {
		if calls++; string(old) != "first" {
			r.Errorf("change was given %q", old)
		}
		return append(old, ", refreshed"...), nil
	})
	if err != nil || calls != 1 {
		r.Fatalf("Update: %d calls of change, %v", calls, err)
	}
	r.want(s, "alice", "first, refreshed")
	for _, what := range []string{"removing", "removing what is not there"} {
		if err := s.Update(r.Context(), "alice", remove); err != nil {
			r.Errorf("%s: %v", what, err)
		}
		r.want(s, "alice", none)
		r.want(s, other, "his")
		r.wantKeys(s, other)
	}
	err = s.Update(r.Context(), "alice", func(old []byte) ([]byte, error) {
		if old != nil {
			r.Errorf("change was given %q after the removal", old)
		}
		return []byte("anew"), nil
	})
	if err != nil {
		r.Errorf("Update: %v", err)
	}
	r.want(s, "alice", "anew")
}

// A record that is there and empty is not one that is missing.
func emptyRecord(r *run) {
	s := r.open()
	r.put(s, "alice", "")
	r.want(s, "alice", "")
	r.wantKeys(s, "alice")
	err := s.Update(r.Context(), "alice", func(old []byte) ([]byte, error) {
		if old == nil {
			r.Errorf("change was told that there is none")
		}
		return nil, nil
	})
	if err != nil {
		r.Errorf("Update: %v", err)
	}
	r.want(s, "alice", none)
}

// The longest key and the longest record are kept as they are, whatever is in them, and
// keys that differ at the end are two.
func limits(r *run) {
	s := r.open()
	long := strings.Repeat("k", store.MaxKey-1)
	large := strings.Repeat("012345\x00\xff", store.MaxRecord/8)
	r.put(s, long+"1", large)
	r.put(s, long+"2", "short")
	r.want(s, long+"1", large)
	r.want(s, long+"2", "short")
	r.wantKeys(s, long+"1", long+"2")
	if err := s.Update(r.Context(), long+"1", to(large+"!")); err == nil {
		r.want(s, long+"1", large+"!") // a store may take more
	} else {
		r.want(s, long+"1", large)
	}
	r.put(s, long+"1", "short again")
	r.want(s, long+"1", "short again")
	for _, pair := range [][2]string{{"A", "a"}, {"x", "x "}, {"é", "e\u0301"}, {"100%", "100_"}} {
		r.put(s, pair[0], "of the first")
		r.put(s, pair[1], "of the second")
		r.want(s, pair[0], "of the first")
		r.want(s, pair[1], "of the second")
	}
}

// What cannot be a key is refused, and not repeated in the error: it may be anything.
func keysThatAreNone(r *run) {
	s := r.open()
	for _, key := range []string{"", strings.Repeat("k", store.MaxKey+1), "two\nlines", "nul\x00", "not UTF-8 \xff", "bell\a"} {
		err := s.Update(r.Context(), key, func([]byte) ([]byte, error) {
			r.Errorf("Update(%.20q): change was called", key)
			return []byte("record"), nil
		})
		if err == nil || key != "" && strings.Contains(err.Error(), key) {
			r.Errorf("Update(%.20q): %v", key, err)
		}
		if _, err := s.Load(r.Context(), key); err == nil {
			r.Errorf("Load(%.20q) succeeded", key)
		}
	}
	r.wantKeys(s)
}

// The bytes that went in and came out are the caller's.
func copies(r *run) {
	s := r.open()
	record := []byte("record")
	if err := s.Update(r.Context(), "alice", func([]byte) ([]byte, error) { return record, nil }); err != nil {
		r.Fatalf("Update: %v", err)
	}
	record[0] = 'x'
	got, err := s.Load(r.Context(), "alice")
	if err != nil || len(got) == 0 {
		r.Fatalf("Load: %q, %v", got, err)
	}
	got[0] = 'y'
	r.want(s, "alice", "record")
}

// What change says is final: its error comes back as it is, and nothing has changed.
func changeFails(r *run) {
	s := r.open()
	r.put(s, "alice", "old")
	out := errors.New("the authorization server is out of reach")
	for key, record := range map[string]string{"alice": "old", "bob": none} {
		calls := 0
		err := s.Update(r.Context(), key, func(old []byte) ([]byte, error) {
			calls++
			copy(old, "xxx")
			return []byte(secret), out
		})
		if err != out { //nolint:errorlint // the same, and not one that wraps it
			r.Errorf("Update: %v; want the error of change as it is", err)
		}
		if calls != 1 {
			r.Errorf("%d calls of change", calls)
		}
		r.want(s, key, record)
		r.put(s, key, "not locked any more")
	}
}

// A change that panics holds nobody up.
func changePanics(r *run) {
	s := r.open()
	r.put(s, "alice", "old")
	func() {
		defer func() {
			if recover() == nil {
				r.Errorf("the panic of change was swallowed")
			}
		}()
		_ = s.Update(r.Context(), "alice", func([]byte) ([]byte, error) { panic("a bug") })
	}()
	r.want(s, "alice", "old")
	_ = r.ends("the next Update", func() error { return s.Update(r.Context(), "alice", to("next")) })
	r.want(s, "alice", "next")
}

// What Update has written is there for everybody at once.
func durable(r *run) {
	for n := range 10 {
		s := r.open()
		record := fmt.Sprintf("record %d", n)
		r.put(s, fmt.Sprint(n), record)
		r.put(s, "alice", record)
		another := r.open()
		r.want(another, "alice", record)
		r.want(another, fmt.Sprint(n), record)
		keys, err := another.Keys(r.Context())
		if err != nil || len(keys) != n+2 {
			r.Errorf("Keys: %q, %v; want %d", keys, err, n+2)
		}
		err = another.Update(r.Context(), "alice", func(old []byte) ([]byte, error) {
			if string(old) != record {
				r.Errorf("change was given %q after %q was written", old, record)
			}
			return old, nil
		})
		if err != nil {
			r.Errorf("Update: %v", err)
		}
	}
}

// Updates of one key wait for each other, whatever store they come by, and readers find
// whole records meanwhile.
func oneAtATime(r *run) {
	const stores, updates = 3, 20
	var wg, readers sync.WaitGroup
	over := make(chan struct{})
	var mu sync.Mutex
	inside := 0
	for range stores {
		s := r.open()
		for range updates {
			wg.Go(func() {
				err := s.Update(r.Context(), "counter", func(old []byte) ([]byte, error) {
					mu.Lock()
					if inside++; inside > 1 {
						r.Errorf("two changes at once")
					}
					mu.Unlock()
					for range 100 {
						runtime.Gosched()
					}
					mu.Lock()
					defer mu.Unlock()
					inside--
					return append(old, '+'), nil
				})
				if err != nil {
					r.Errorf("Update: %v", err)
				}
			})
		}
		readers.Go(func() {
			for seen := 0; ; {
				record, err := s.Load(r.Context(), "counter")
				if err != nil || len(record) < seen || len(bytes.Trim(record, "+")) > 0 {
					r.Errorf("Load: %q after %d, %v", record, seen, err)
					return
				}
				seen = len(record)
				select {
				case <-over:
					return
				default:
				}
			}
		})
	}
	wg.Wait()
	close(over)
	readers.Wait()
	r.want(r.open(), "counter", strings.Repeat("+", stores*updates))
}

// While one key is updated, readers of it and updates of others do not wait.
func othersDoNotWait(r *run) {
	s, another := r.open(), r.open()
	r.put(s, "alice", "old")
	err := s.Update(r.Context(), "alice", func([]byte) ([]byte, error) {
		for _, other := range []store.Store{s, another} {
			err := r.ends("an Update of another key, or a Load,", func() error {
				if got, err := other.Load(r.Context(), "alice"); err != nil || string(got) != "old" {
					return fmt.Errorf("Load: %q, %w", got, err)
				}
				return other.Update(r.Context(), "bob", to("not held up"))
			})
			if err != nil {
				r.Errorf("meanwhile: %v", err)
			}
		}
		return []byte("new"), nil
	})
	if err != nil {
		r.Errorf("Update: %v", err)
	}
	r.want(s, "alice", "new")
}

// errTired is why contexts end here.
var errTired = errors.New("the host gave the call up")

// tells checks that an error of a method whose context has ended says that, or that the
// store did not answer.
func (r *run) tells(what string, err error) {
	r.Helper()
	if !errors.Is(err, errTired) && !errors.Is(err, context.Canceled) && !errors.Is(err, store.ErrNoAnswer) {
		r.Errorf("%s: %v; want the end of the context", what, err)
	}
}

// Who has stopped waiting gets nothing done.
func contextHasEnded(r *run) {
	s := r.open()
	r.put(s, "alice", "old")
	ctx, cancel := context.WithCancelCause(r.Context())
	cancel(errTired)
	r.tells("Update", s.Update(ctx, "alice", func([]byte) ([]byte, error) {
		r.Errorf("change was called after the end")
		return []byte("new"), nil
	}))
	_, err := s.Load(ctx, "alice")
	r.tells("Load", err)
	_, err = s.Keys(ctx)
	r.tells("Keys", err)
	r.want(s, "alice", "old")
}

// ctx ends the wait for another update, and nothing comes of it later.
func contextEndsWhileItWaits(r *run) {
	s, another := r.open(), r.open()
	refreshing, answer := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		first <- s.Update(r.Context(), "alice", func([]byte) ([]byte, error) {
			close(refreshing)
			<-answer
			return []byte("rotated"), nil
		})
	}()
	select {
	case <-refreshing:
	case err := <-first:
		r.Fatalf("Update: %v", err)
	}
	for _, waits := range []store.Store{s, another} {
		ctx, cancel := context.WithCancelCause(r.Context())
		stop := time.AfterFunc(50*time.Millisecond, func() { cancel(errTired) })
		err := r.ends("an Update whose context has ended", func() error {
			return waits.Update(ctx, "alice", func([]byte) ([]byte, error) {
				r.Errorf("change was called while another one was under way")
				return []byte("taken twice"), nil
			})
		})
		r.tells("Update", err)
		stop.Stop()
		cancel(nil)
	}
	close(answer)
	if err := <-first; err != nil {
		r.Errorf("Update: %v", err)
	}
	r.want(another, "alice", "rotated")
}

// A refresh token that was issued is kept, even if the call that wanted it was given up
// in that moment.
func contextEndsInChange(r *run) {
	s := r.open()
	for _, old := range []string{none, "old"} {
		ctx, cancel := context.WithCancelCause(r.Context())
		err := s.Update(ctx, "alice", func([]byte) ([]byte, error) {
			cancel(errTired)
			return []byte("rotated"), nil
		})
		if err != nil {
			r.Errorf("Update over %q: %v", old, err)
		}
		r.want(s, "alice", "rotated")
		r.put(s, "alice", "old")
	}
}

// A store says where it is, in a few words, and shows nothing of a record.
func name(r *run) {
	s := r.open()
	r.put(s, "alice", secret)
	if text := s.String(); text == "" || strings.ContainsAny(text, "\n\r") || strings.Contains(text, secret) {
		r.Errorf("String: %q", text)
	}
}

// A store that can be read and not written is found out before change is called, since
// change spends a refresh token that other processes share.
func unwritable(r *run) {
	s := r.open()
	r.put(s, "alice", secret)
	restore, err := r.subject.ReadOnly()
	if err != nil {
		r.Fatalf("ReadOnly: %v", err)
	}
	func() {
		defer restore()
		for _, s := range []store.Store{s, r.open()} {
			for _, key := range []string{"alice", "bob"} {
				err := s.Update(r.Context(), key, func([]byte) ([]byte, error) {
					r.Errorf("change was called though nothing can be written")
					return []byte("new " + secret), nil
				})
				if !errors.Is(err, store.ErrUnwritable) {
					r.Errorf("Update: %v; want %v", err, store.ErrUnwritable)
				}
				r.quotes("Update", err)
			}
		}
		r.want(s, "alice", secret)
	}()
	r.want(s, "alice", secret)
	r.put(s, "alice", "after it")
	r.want(s, "alice", "after it")
}

// Whatever a store waits for, its methods return when the context ends, say where the
// grants are, and do not call change.
func silent(r *run) {
	s := r.open()
	r.put(s, "alice", secret)
	restore, err := r.subject.Silence()
	if err != nil {
		r.Fatalf("Silence: %v", err)
	}
	var once sync.Once
	again := func() { once.Do(restore) }
	defer again()
	for what, use := range map[string]func(context.Context) error{
		"Load": func(ctx context.Context) error { _, err := s.Load(ctx, "alice"); return err },
		"Keys": func(ctx context.Context) error { _, err := s.Keys(ctx); return err },
		"Update": func(ctx context.Context) error {
			return s.Update(ctx, "alice", func([]byte) ([]byte, error) {
				r.Errorf("change was called though the store gives no answer")
				return []byte("new"), nil
			})
		},
	} {
		ctx, cancel := context.WithCancelCause(r.Context())
		stop := time.AfterFunc(50*time.Millisecond, func() { cancel(errTired) })
		err := r.ends(what+" of a silent store", func() error { return use(ctx) })
		stop.Stop()
		cancel(nil)
		r.tells(what, err)
		r.quotes(what, err)
	}
	again()
	r.want(s, "alice", secret)
	r.put(s, "alice", "after it")
	r.want(s, "alice", "after it")
}
