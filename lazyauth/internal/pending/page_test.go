package pending_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/pending"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// A forgetful store writes what it is told, and, while that is set, says that it failed.
type forgetful struct {
	store.Store
	loses bool
}

func (s *forgetful) Unwrap() store.Store { return s.Store }

func (s *forgetful) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	err := s.Store.Update(ctx, key, change)
	if s.loses {
		return errors.New("the answer was lost")
	}
	return err
}

// pages returns what a process of this name asks for whose pages answer, as all do but those that are gone.
func (p *process) pages(me string, gone map[string]bool) pending.AskedPage {
	return pending.AskedPage{
		Key: key, Server: p.asked.Server, Me: me, Turns: 3, Schedule: p.asked.Schedule,
		Answers: func(_ context.Context, process string) (bool, error) { return !gone[process], nil },
		Joins:   func(asked scopes.Set) bool { return asked == scopes.Of("profile") },
		Brought: p.asked.Brought, Failed: p.asked.Failed,
	}
}

// link keeps a page that was opened.
func (p *process) keeps(ctx context.Context, a pending.AskedPage, code string) *pending.Page {
	return p.flights.KeepPage(ctx, a, code, scopes.Of("profile"), time.Now().Add(10*time.Minute))
}

func watches(ctx context.Context, p *pending.Page) <-chan error {
	done := make(chan error, 1)
	p.Watch(ctx, func(err error) { done <- err })
	return done
}

// A process whose page the store has, but of which it says that it failed to write it, has others learn what became of it all the same.
func TestPage_KeptAndNotSaid(t *testing.T) {
	for what, outcome := range map[string]pending.Outcome{"granted": {}, "abandoned": {Err: errors.New("abandoned"), Unwanted: true}} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as, rows := fakeas.New(nil), store.NewSharedMemory(nil)
				loses := &forgetful{machine(t, rows), true}
				a, b := starts(t, as, loses, nil), starts(t, as, machine(t, rows), nil)
				a.asked.Failed = func(error) {}
				mine := a.keeps(t.Context(), a.pages("a", nil), "code")
				loses.loses = false
				other := b.flights.FindPage(t.Context(), b.pages("b", nil))
				if !mine.IsMine() || other == nil || other.IsMine() || other.Link().Code != "code" {
					t.Fatalf("%+v and %+v", mine, other)
				}
				done := watches(t.Context(), other)
				mine.End(t.Context(), outcome)
				time.Sleep(5 * time.Second)
				select {
				case err := <-done:
					if (what == "granted") != errors.Is(err, pending.ErrElsewhere) || (what == "abandoned") != (err == nil) {
						t.Errorf("%v", err)
					}
				default:
					t.Error("the other process waits for a page that has ended")
				}
			})
		})
	}
}

// A process that begins to take a link over when nobody wants it any more leaves it to the next.
func TestPage_TakenInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as, rows := fakeas.New(nil), store.NewSharedMemory(nil)
		slowly, gone := machine(t, rows), map[string]bool{"a": true}
		a, b, c := starts(t, as, machine(t, rows), nil), starts(t, as, slowly, nil), starts(t, as, machine(t, rows), nil)
		b.asked.Failed = func(error) {}
		a.keeps(t.Context(), a.pages("a", nil), "code")
		ctx, cancel := context.WithCancel(t.Context())
		slowly.writing.Store(int64(time.Second))
		time.AfterFunc(500*time.Millisecond, cancel)
		if p := b.flights.FindPage(ctx, b.pages("b", gone)); p != nil && p.IsMine() {
			p.End(ctx, pending.Outcome{Unwanted: true, Err: errors.New("nobody wants it")})
		}
		time.Sleep(5 * time.Second)
		p := c.flights.FindPage(t.Context(), c.pages("c", gone))
		if p == nil || !p.IsMine() {
			t.Errorf("it waits for a process that does not have the link: %+v", p)
		}
	})
}

// Who wants something else does not take another process's person's page away, who may be on their way back to it.
func TestPage_BesideAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as, rows := fakeas.New(nil), store.NewSharedMemory(nil)
		a, b := starts(t, as, machine(t, rows), nil), starts(t, as, machine(t, rows), nil)
		mine := a.keeps(t.Context(), a.pages("a", nil), "code")
		lost := make(chan error, 1)
		mine.Hold(t.Context(), func(err error) { lost <- err })
		asked := b.pages("b", nil)
		asked.Joins = func(scopes.Set) bool { return false }
		if p := b.flights.FindPage(t.Context(), asked); p != nil {
			t.Errorf("joined: %+v", p)
		}
		beside := b.keeps(t.Context(), asked, "another")
		if !beside.IsMine() {
			t.Error("it has none")
		}
		beside.Hold(t.Context(), func(err error) { lost <- err })
		time.Sleep(time.Minute)
		beside.End(t.Context(), pending.Outcome{})
		time.Sleep(time.Minute)
		select {
		case err := <-lost:
			t.Errorf("it was taken away: %v", err)
		default:
		}
	})
}
