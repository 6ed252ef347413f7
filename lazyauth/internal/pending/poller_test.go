package pending_test

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/pending"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// A machine that has taken a token from the record to bring it, and stands still before that is written, has
// it no more: two that have the same refresh token would both use it.
func TestWait_OneBringsTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as, rows := fakeas.New(nil), store.NewSharedMemory(nil)
		a := starts(t, as, machine(t, rows), nil)
		first := a.begins()
		approves(t, as, first.UserCode)
		if r := <-a.waits(t.Context(), first); r.err != nil {
			t.Fatal(r.err)
		}
		first.End(t.Context(), pending.Outcome{Closed: true})

		stands := machine(t, rows)
		stands.writing.Store(int64(40 * time.Second)) // longer than its lease
		b, c := starts(t, as, stands, nil), starts(t, as, machine(t, rows), nil)
		var failed atomic.Int32
		b.asked.Failed = func(error) { failed.Add(1) }
		c.asked.Failed = func(error) {} // it waits for the lease
		two := make(chan result, 1)
		go func() { two <- <-b.waits(t.Context(), b.begins()) }()
		later(time.Second)
		third := c.begins()
		if r := <-c.waits(t.Context(), third); r.err != nil {
			t.Fatal(r.err)
		}
		later(time.Minute)
		b.brought.Store(true) // to the store that they share
		third.End(t.Context(), pending.Outcome{Kept: true})
		if r := <-two; !errors.Is(r.err, pending.ErrElsewhere) {
			t.Errorf("it has a token: %t; %v", r.token != nil, r.err)
		}
		if !b.settled || failed.Load() == 0 {
			t.Errorf("settled: %t; told of %d failures", b.settled, failed.Load())
		}
	})
}

// A token that a process has left behind, which was killed once it had brought it, is not brought again by one that
// cannot read the grant's record at that moment: the grant in there may have been refreshed since. If it cannot be
// read for long, the token is used.
func TestWait_BroughtPerhaps(t *testing.T) {
	for name, brought := range map[string]bool{"it was": true, "it cannot be told": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as, s := fakeas.New(nil), frequent{store.Memory()}
				a, b := starts(t, as, s, nil), starts(t, as, s, nil)
				first := a.begins()
				approves(t, as, first.UserCode)
				if r := <-a.waits(t.Context(), first); r.err != nil {
					t.Fatal(r.err)
				}
				later(time.Hour)
				b.blind.Store(true)
				began := time.Now()
				waiting := b.waits(t.Context(), b.begins())
				later(10 * time.Second)
				if brought {
					b.brought.Store(true)
					b.blind.Store(false)
				}
				switch r := <-waiting; {
				case brought && !errors.Is(r.err, pending.ErrElsewhere):
					t.Errorf("it has a token: %t; %v", r.token != nil, r.err)
				case !brought && r.err != nil:
					t.Error(r.err)
				}
				if took := time.Since(began); brought && took > 12*time.Second || took > 92*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// A process that reaches the store and not the authorization server leaves its turn to one that does. Alone it
// goes on.
func TestWait_CutOff(t *testing.T) {
	for name, alone := range map[string]bool{"one of two": false, "alone": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as, s := fakeas.New(nil), frequent{store.Memory()}
				cut := &link{next: as.Transport()}
				a, b := starts(t, as, s, cut), starts(t, as, s, nil)
				first := a.begins()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				one := a.waits(ctx, first)
				var two <-chan result
				if !alone {
					two = b.waits(t.Context(), b.begins())
				}
				later(8 * time.Second)
				cut.off.Store(true)
				later(time.Minute)
				approves(t, as, first.UserCode)
				if alone {
					cut.off.Store(false)
					two = one
				}
				began := time.Now()
				r := <-two
				if r.err != nil {
					t.Fatal(r.err)
				}
				if took := time.Since(began); took > 30*time.Second || !alone && took > 6*time.Second {
					t.Errorf("it took %v", took)
				}
				if v := as.Violations(); len(v) != 0 {
					t.Errorf("violations: %v", v)
				}
				cancel()
				if !alone {
					<-one
				}
			})
		})
	}
}

// A process that has left its turn after a poll which was not answered polls on in front of a store that fails then:
// nobody else has taken the turn, as far as it has seen.
func TestWait_CutOffFromBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as, s := fakeas.New(nil), &broken{Store: store.Memory()}
		cut := &link{next: as.Transport()}
		p := starts(t, as, s, cut)
		p.asked.Failed = func(error) {}
		a := p.begins()
		done := p.waits(t.Context(), a)
		later(time.Second)
		cut.off.Store(true)
		later(6 * time.Second)
		s.fails.Store(true)
		later(20 * time.Second)
		cut.off.Store(false)
		approves(t, as, a.UserCode)
		began := time.Now()
		if r := <-done; r.err != nil {
			t.Error(r.err)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}

// A broken store fails at everything.
type broken struct {
	store.Store
	fails atomic.Bool
}

func (s *broken) Load(ctx context.Context, key string) ([]byte, error) {
	if s.fails.Load() {
		return nil, errors.New("no disk")
	}
	return s.Store.Load(ctx, key)
}

func (s *broken) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	if s.fails.Load() {
		return errors.New("no disk")
	}
	return s.Store.Update(ctx, key, change)
}

// How late polls are is among the figures of a store that machines share: one that takes the turn of another,
// which has ended without a word, is late by the whole interval that it waited.
func TestWait_Late(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as, rows := fakeas.New(nil), store.NewSharedMemory(nil)
		s := machine(t, rows)
		a, b := starts(t, as, machine(t, rows), nil), starts(t, as, s, nil)
		first := a.begins() // and never polls
		two := b.waits(t.Context(), b.begins())
		approves(t, as, first.UserCode)
		if r := <-two; r.err != nil {
			t.Fatal(r.err)
		}
		c := s.Store.(*store.Fleet).Counts()
		if c.Late != 2 || c.MostLateBy < 7*time.Second || c.LateBy > 9*time.Second { // the turn, and then the poll
			t.Errorf("%d late, by %v at most", c.Late, c.MostLateBy)
		}
	})
}

// A link to a server can be cut.
type link struct {
	next http.RoundTripper
	off  atomic.Bool
}

func (l *link) RoundTrip(req *http.Request) (*http.Response, error) {
	if l.off.Load() {
		return nil, errors.New("no route")
	}
	return l.next.RoundTrip(req)
}

// A faulty transport does what an author's may, once that is set.
type faulty struct {
	http.RoundTripper
	now atomic.Bool
	do  func()
	did atomic.Int32
}

func (f *faulty) RoundTrip(r *http.Request) (*http.Response, error) {
	if f.now.Load() {
		f.did.Add(1)
		f.do()
	}
	return f.RoundTripper.RoundTrip(r)
}

// A transport that panics, or ends the goroutine of a poll, ends the sign-in, of which whoever waits hears: what was sent is not known.
func TestWait_Mishaps(t *testing.T) {
	for what, do := range map[string]func(){"a panic": func() { panic("it is broken") }, "an exit": runtime.Goexit} {
		for where, isShared := range map[string]bool{"alone": false, "shared": true} {
			t.Run(what+" "+where, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := store.Memory()
					if isShared {
						s = machine(t, store.NewSharedMemory(nil))
					}
					as := fakeas.New(nil)
					wire := &faulty{RoundTripper: as.Transport(), do: do}
					p := starts(t, as, s, wire)
					waiting := p.waits(t.Context(), p.begins())
					wire.now.Store(true)
					if r := <-waiting; !guard.IsMishap(r.err) && !errors.Is(r.err, guard.ErrExited) {
						t.Errorf("%v", r.err)
					}
					if n := wire.did.Load(); n != 1 {
						t.Errorf("%d requests", n)
					}
				})
			})
		}
	}
}
