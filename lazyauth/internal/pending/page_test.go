package pending_test

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/pending"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
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
func (p *process) pages(me string, gone *sync.Map) pending.AskedPage {
	return pending.AskedPage{
		Key: key, Server: p.asked.Server, Me: me, Turns: 3, Schedule: p.asked.Schedule,
		Answers: func(_ context.Context, process string) (bool, error) {
			if gone == nil {
				return true, nil
			}
			_, isGone := gone.Load(process)
			return !isGone, nil
		},
		Joins:   func(asked scopes.Set) bool { return asked == scopes.Of("profile") },
		Brought: p.asked.Brought, Failed: p.asked.Failed,
	}
}

// link keeps a page that was opened.
func (p *process) keeps(ctx context.Context, a pending.AskedPage, code string) *pending.Page {
	return p.flights.KeepPage(ctx, a, code, scopes.Of("profile"), time.Now().Add(10*time.Minute), "")
}

// nothing is what a page has in hand to which nobody has come back.
func nothing() bool { return false }

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

// The end of one sign-in does not take the link from the next one of the same process.
func TestPage_EndsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as, rows := fakeas.New(nil), store.NewSharedMemory(nil)
		a := starts(t, as, machine(t, rows), nil)
		first := a.keeps(t.Context(), a.pages("a", nil), "code")
		second := a.flights.FindPage(t.Context(), a.pages("a", nil))
		if second == nil || !second.IsMine() {
			t.Fatalf("%+v", second)
		}
		lost := make(chan error, 1)
		second.Hold(t.Context(), nothing, func(err error) { lost <- err })
		first.End(t.Context(), pending.Outcome{Unwanted: true, Err: errors.New("abandoned")})
		time.Sleep(time.Minute)
		select {
		case err := <-lost:
			t.Errorf("it was taken away: %v", err)
		default:
		}
	})
}

// What became of a page is told again where the store fails.
func TestPage_EndIsToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as, rows := fakeas.New(nil), store.NewSharedMemory(nil)
		fails := &world.FailingStore{Store: machine(t, rows)}
		a, b := starts(t, as, fails, nil), starts(t, as, machine(t, rows), nil)
		a.asked.Failed = func(error) {}
		mine := a.keeps(t.Context(), a.pages("a", nil), "code")
		done := watches(t.Context(), b.flights.FindPage(t.Context(), b.pages("b", nil)))
		fails.Fails(errors.New("no room"))
		time.AfterFunc(25*time.Second, func() { fails.Fails(nil) })
		mine.End(t.Context(), pending.Outcome{Err: &oauth.Error{Op: "authorization", Kind: oauth.ErrDenied}})
		if err := <-done; !errors.Is(err, oauth.ErrDenied) {
			t.Errorf("%v", err)
		}
	})
}

// A process that has brought the grant, and could not say so or was killed then, has others find it: none of them waits on, nor
// answers for a link that nobody needs.
func TestPage_BroughtAndNotSaid(t *testing.T) {
	for how, isKilled := range map[string]bool{"it goes on": false, "it is killed": true} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as, rows := fakeas.New(nil), store.NewSharedMemory(nil)
				a, b := starts(t, as, machine(t, rows), nil), starts(t, as, machine(t, rows), nil)
				a.keeps(t.Context(), a.pages("a", nil), "code")
				dead := new(sync.Map)
				other := b.flights.FindPage(t.Context(), b.pages("b", dead))
				done := watches(t.Context(), other)
				time.Sleep(time.Second)
				b.brought.Store(true)
				if isKilled {
					dead.Store("a", true)
				}
				time.Sleep(15 * time.Second)
				select {
				case err := <-done:
					if !errors.Is(err, pending.ErrElsewhere) {
						t.Errorf("%v", err)
					}
				default:
					t.Error("it waits on")
				}
				if p := b.flights.FindPage(t.Context(), b.pages("b", dead)); p != nil {
					t.Errorf("there is a page still: %+v", p)
				}
			})
		})
	}
}

// A process that begins to take a link over when nobody wants it any more leaves it to the next.
func TestPage_TakenInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as, rows := fakeas.New(nil), store.NewSharedMemory(nil)
		slowly, gone := machine(t, rows), new(sync.Map)
		gone.Store("a", true)
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

// A process whose answer is lost as it takes a link over has it all the same, and no turn of the link is lost.
func TestPage_TakenAndNotSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as, rows, gone := fakeas.New(nil), store.NewSharedMemory(nil), new(sync.Map)
		a := starts(t, as, machine(t, rows), nil)
		a.keeps(t.Context(), a.pages("a", nil), "code")
		gone.Store("a", true)
		for turn, me := range []string{"b", "c"} {
			loses := &forgetful{machine(t, rows), true}
			p, told := starts(t, as, loses, nil), 0
			p.asked.Failed = func(error) { told++ }
			mine := p.flights.FindPage(t.Context(), p.pages(me, gone))
			if mine == nil || !mine.IsMine() || mine.Link().Turn != turn+1 || told != 1 {
				t.Fatalf("%s, told %d times: %+v", me, told, mine)
			}
			gone.Store(me, true)
		}
	})
}

// A deaf store takes what it is told, and writes nothing of it.
type deaf struct{ store.Store }

func (s deaf) Unwrap() store.Store { return s.Store }

func (s deaf) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	return s.Store.Update(ctx, key, func(old []byte) ([]byte, error) {
		_, err := change(old)
		return nil, errors.Join(err, errors.New("it is full"))
	})
}

// A link that could not be taken over is nobody's, and the next process takes it.
func TestPage_NotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as, rows, gone := fakeas.New(nil), store.NewSharedMemory(nil), new(sync.Map)
		a, b, c := starts(t, as, machine(t, rows), nil), starts(t, as, deaf{machine(t, rows)}, nil), starts(t, as, machine(t, rows), nil)
		b.asked.Failed = func(error) {}
		a.keeps(t.Context(), a.pages("a", nil), "code")
		gone.Store("a", true)
		if p := b.flights.FindPage(t.Context(), b.pages("b", gone)); p != nil {
			t.Errorf("it was not taken: %+v", p)
		}
		if p := c.flights.FindPage(t.Context(), c.pages("c", gone)); p == nil || !p.IsMine() || p.Link().Turn != 1 {
			t.Errorf("%+v", p)
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
		mine.Hold(t.Context(), nothing, func(err error) { lost <- err })
		asked := b.pages("b", nil)
		asked.Joins = func(scopes.Set) bool { return false }
		if p := b.flights.FindPage(t.Context(), asked); p != nil {
			t.Errorf("joined: %+v", p)
		}
		beside := b.keeps(t.Context(), asked, "another")
		if !beside.IsMine() {
			t.Error("it has none")
		}
		beside.Hold(t.Context(), nothing, func(err error) { lost <- err })
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

// drops rewrites the record as a release does that knows of no pages, for something else.
func drops(t *testing.T, s store.Store) {
	t.Helper()
	err := s.Update(t.Context(), key, func(old []byte) ([]byte, error) {
		var r map[string]any
		if err := json.Unmarshal(old, &r); err != nil {
			return nil, err
		}
		delete(r, "page")
		r["declines"] = []any{map[string]any{"program": "x", "at": time.Now()}}
		return json.Marshal(r)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Who waits for a page of which an older release has dropped the record waits on while that page answers, and finds the grant; if it
// does not answer they look again for what to do.
func TestPage_Dropped(t *testing.T) {
	for how, isKilled := range map[string]bool{"it goes on": false, "it is killed": true} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as, rows := fakeas.New(nil), store.NewSharedMemory(nil)
				a, b := starts(t, as, machine(t, rows), nil), starts(t, as, machine(t, rows), nil)
				dead := new(sync.Map)
				mine := a.keeps(t.Context(), a.pages("a", nil), "code")
				done := watches(t.Context(), b.flights.FindPage(t.Context(), b.pages("b", dead)))
				drops(t, machine(t, rows))
				want := pending.ErrElsewhere
				if isKilled {
					dead.Store("a", true)
					want = pending.ErrReplaced
				} else {
					time.AfterFunc(time.Minute, func() {
						b.brought.Store(true)
						mine.End(t.Context(), pending.Outcome{})
					})
				}
				began := time.Now()
				if err := <-done; !errors.Is(err, want) || !isKilled && time.Since(began) < time.Minute {
					t.Errorf("%v after %v", err, time.Since(began))
				}
			})
		})
	}
}

// Whatever is asked while a page is waited for, or held, may panic or end its goroutine: whoever waits is told all the same.
func TestPage_AskingBreaks(t *testing.T) {
	for what, breaks := range map[string]func(){"panics": func() { panic("of the author's") }, "ends its goroutine": runtime.Goexit} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as, rows := fakeas.New(nil), store.NewSharedMemory(nil)
				a, b := starts(t, as, machine(t, rows), nil), starts(t, as, machine(t, rows), nil)
				mine := a.keeps(t.Context(), a.pages("a", nil), "code")
				broken, asks := false, b.pages("b", nil)
				asks.Answers = func(context.Context, string) (bool, error) {
					if broken {
						breaks()
					}
					return true, nil
				}
				other := b.flights.FindPage(t.Context(), asks)
				broken = true
				held := make(chan error, 1)
				mine.Hold(t.Context(), func() bool { breaks(); return true }, func(err error) { held <- err })
				waited := watches(t.Context(), other)
				mine.End(t.Context(), pending.Outcome{Unwanted: true, Err: errors.New("abandoned")})
				time.Sleep(time.Minute)
				for who, told := range map[string]<-chan error{"waits": waited, "holds": held} {
					select {
					case err := <-told:
						if err == nil {
							t.Errorf("who %s is told that all is well", who)
						}
					default:
						t.Errorf("who %s is told nothing", who)
					}
				}
			})
		})
	}
}
