package pending_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/pending"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

var errFull = errors.New("all are taken")

// A ledger is a store's places, which counts how often it is asked, and may fail.
type ledger struct {
	*store.Processes
	takes, keeps, gives int
	err                 error
}

func newLedger() *ledger { return &ledger{Processes: store.NewProcesses(store.Memory())} }

func (l *ledger) Take(ctx context.Context, name string, places int, life time.Duration) (string, error) {
	if l.takes++; l.err != nil {
		return "", l.err
	}
	return l.Processes.Take(ctx, name, places, life)
}

func (l *ledger) Keep(ctx context.Context, name, place string, life time.Duration) error {
	l.keeps++
	return errors.Join(l.err, l.Processes.Keep(ctx, name, place, life))
}

func (l *ledger) Give(ctx context.Context, name, place string) error {
	l.gives++
	return errors.Join(l.err, l.Processes.Give(ctx, name, place))
}

// share returns one of two places.
func (l *ledger) share(failed *error) *pending.Share {
	return pending.NewShare(l, "alice", 2, errFull, func(err error) { *failed = err })
}

// free returns how many of the two places are free.
func (l *ledger) free(t *testing.T) (n int) {
	t.Helper()
	var taken []string
	for {
		place, err := l.Processes.Take(t.Context(), "alice", 2, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if place == "" {
			break
		}
		taken = append(taken, place)
	}
	for _, place := range taken {
		if err := l.Processes.Give(t.Context(), "alice", place); err != nil {
			t.Error(err)
		}
	}
	return len(taken)
}

func (l *ledger) wants(t *testing.T, what string, free int) {
	t.Helper()
	if n := l.free(t); n != free {
		t.Errorf("%s: %d places are free, want %d", what, n, free)
	}
}

// All that a flight begins has one place, and gives it back with the last, unless others can go on with some of it.
func TestShare_OneForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, failed := newLedger(), error(nil)
		one, two, three := l.share(&failed), l.share(&failed), l.share(&failed)
		for range 2 {
			if err := errors.Join(one.Take(t.Context(), time.Minute), two.Take(t.Context(), time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		if err := three.Take(t.Context(), time.Minute); !errors.Is(err, errFull) || three.Place() != "" {
			t.Errorf("%v", err)
		}
		one.End(t.Context(), false)
		l.wants(t, "one of two has ended", 0)
		one.End(t.Context(), false)
		l.wants(t, "both have", 1)
		left := two.Place()
		two.End(t.Context(), true)
		two.End(t.Context(), false)
		l.wants(t, "others go on", 1)
		three.Give(t.Context(), left)
		l.wants(t, "they have ended it", 2)
		if err := one.Take(t.Context(), time.Minute); err != nil || one.Place() == "" {
			t.Errorf("once more: %v", err)
		}
		time.Sleep(time.Minute + 90*time.Second)
		l.wants(t, "nobody has ended it", 2)
		if l.takes != 4 || l.keeps != 0 || failed != nil {
			t.Errorf("%d takes, %d keeps, %v", l.takes, l.keeps, failed)
		}
	})
}

// A place lasts as long as what was begun, of which it may be known only then how long that is.
func TestShare_Lasts(t *testing.T) {
	for name, test := range map[string]struct {
		taken, lasts time.Duration
		uses, keeps  int
		ends         time.Duration
	}{
		"as long":                    {10 * time.Minute, 10 * time.Minute, 1, 0, 10 * time.Minute},
		"longer":                     {10 * time.Minute, 20 * time.Minute, 1, 1, 20 * time.Minute},
		"shorter":                    {time.Hour, 10 * time.Minute, 1, 1, 10 * time.Minute},
		"shorter, beside another":    {time.Hour, 10 * time.Minute, 2, 0, time.Hour},
		"a little shorter or longer": {10 * time.Minute, 10*time.Minute - 30*time.Second, 1, 0, 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, failed := newLedger(), error(nil)
				s := l.share(&failed)
				for range test.uses {
					if err := s.Take(t.Context(), test.taken); err != nil {
						t.Fatal(err)
					}
				}
				s.Lasts(t.Context(), test.lasts)()
				time.Sleep(test.ends + 89*time.Second)
				l.wants(t, "a moment before the end", 1)
				time.Sleep(time.Second)
				l.wants(t, "at the end", 2)
				if l.keeps != test.keeps || failed != nil {
					t.Errorf("the store was told %d times, %v", l.keeps, failed)
				}
			})
		})
	}
}

// A store that fails is told, and refuses nobody. Nil takes nothing.
func TestShare_StoreFails(t *testing.T) {
	l, failed := newLedger(), error(nil)
	l.err = errors.New("it fails")
	s := l.share(&failed)
	if err := s.Take(t.Context(), time.Minute); err != nil || !errors.Is(failed, l.err) || s.Place() != "" {
		t.Errorf("%v; it was told %v", err, failed)
	}
	s.Lasts(t.Context(), time.Hour)()
	s.End(t.Context(), false)
	if l.keeps+l.gives > 0 {
		t.Error("it is told of a place that was not taken")
	}
	none := pending.NewShare(nil, "alice", 2, errFull, nil)
	if err := none.Take(t.Context(), time.Minute); none != nil || err != nil || none.Place() != "" {
		t.Errorf("%v", err)
	}
	none.Lasts(t.Context(), time.Minute)()
	none.End(t.Context(), false)
	none.Give(t.Context(), "a place")
}

// Nothing is begun without a place, and nothing is kept of one that came to nothing. What a process joins is another's; what it
// cannot join it begins beside that, with a place of its own, which ends with it.
func TestBegin_Shares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as, s := fakeas.New(nil), frequent{store.Memory()}
		l, failed := newLedger(), error(nil)
		at := func(as *fakeas.Server) *process {
			p := starts(t, as, s, nil)
			p.asked.Share = l.share(&failed)
			return p
		}
		a, b, other, full := at(as), at(as), at(as), at(as)
		a.begins()
		l.wants(t, "one was begun", 1)
		joined := b.begins()
		l.wants(t, "and joined", 1)
		other.asked.Joins = func(scopes.Set) bool { return false }
		beside := other.begins()
		l.wants(t, "another was begun beside it", 0)
		full.asked.Key = "another flight"
		if auth, err := full.flights.Begin(t.Context(), full.asked); auth != nil || !errors.Is(err, errFull) {
			t.Errorf("%v", err)
		}
		if n := as.Count(fakeas.DeviceAuthorization, ""); n != 2 {
			t.Errorf("%d codes", n)
		}
		beside.End(t.Context(), pending.Outcome{Unwanted: true, Err: errors.New("abandoned")})
		l.wants(t, "that has ended, of which nobody else knows", 1)
		as.Script(fakeas.DeviceAuthorization, fakeas.Error(http.StatusBadRequest, "invalid_request"))
		if auth, err := full.flights.Begin(t.Context(), full.asked); auth != nil || err == nil {
			t.Errorf("%v", err)
		}
		l.wants(t, "one was refused", 1)

		approves(t, as, joined.UserCode)
		time.Sleep(5 * time.Second)
		if r := <-b.waits(t.Context(), joined); r.err != nil { // its process has died, and this one takes the turn
			t.Fatal(r.err)
		}
		joined.End(t.Context(), pending.Outcome{Kept: true})
		l.wants(t, "another process has ended it", 2)
		if failed != nil {
			t.Error(failed)
		}
	})
}

// A process that ends, or does not want its sign-in any more, leaves the place to whoever goes on with that.
func TestBegin_SharesAreLeft(t *testing.T) {
	for what, outcome := range map[string]pending.Outcome{
		"closed": {Closed: true, Err: errors.New("closed")}, "abandoned": {Unwanted: true, Err: errors.New("abandoned")}, "expired": {Err: errors.New("expired")},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as, s := fakeas.New(nil), frequent{store.Memory()}
				l, failed := newLedger(), error(nil)
				p := starts(t, as, s, nil)
				p.asked.Share = l.share(&failed)
				ctx, cancel := context.WithCancel(t.Context())
				one := p.begins()
				done := p.waits(ctx, one)
				cancel()
				<-done
				one.End(t.Context(), outcome)
				want := 1
				if what == "expired" {
					want = 2
				}
				l.wants(t, what, want)
				synctest.Wait()
			})
		})
	}
}
