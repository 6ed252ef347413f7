package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/storetest"
)

var (
	namesKey = bytes.Repeat([]byte("n4m3"), 8)
	sealKey  = bytes.Repeat([]byte("s3al"), 8)
	nextKey  = bytes.Repeat([]byte("n3xt"), 8)
)

// aFleet returns what one machine has of the rows in s.
func aFleet(t *testing.T, s store.Shared, o *store.FleetOptions) *store.Fleet {
	t.Helper()
	f, err := store.NewFleet(s, namesKey, [][]byte{sealKey}, o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// A database is one in memory that can be made read-only, silent, and lose what was written.
type database struct {
	*store.SharedMemory
	readOnly, silent atomic.Bool
	lose             atomic.Bool // writes are made and then reported as failed
	failing          atomic.Bool // writes fail
	writes           atomic.Int32
	falls            atomic.Bool // silent, once it has answered a write
}

func newDatabase(now func() time.Time) *database {
	return &database{SharedMemory: store.NewSharedMemory(now)}
}

func (d *database) asked(ctx context.Context, writes bool) error {
	if d.silent.Load() {
		<-ctx.Done()
		return fmt.Errorf("database: %w: %w", store.ErrNoAnswer, context.Cause(ctx))
	}
	if writes && d.readOnly.Load() {
		return fmt.Errorf("database: %w: it is a standby", store.ErrUnwritable)
	}
	return nil
}

func (d *database) Read(ctx context.Context, id store.ID) (*store.Row, error) {
	if err := d.asked(ctx, false); err != nil {
		return nil, err
	}
	return d.SharedMemory.Read(ctx, id)
}

func (d *database) NotSealedBy(ctx context.Context, key string, after store.ID, limit int) ([]store.ID, error) {
	if err := d.asked(ctx, false); err != nil {
		return nil, err
	}
	return d.SharedMemory.NotSealedBy(ctx, key, after, limit)
}

func (d *database) Begin(ctx context.Context, id store.ID, a store.Attempt) (*store.Row, uint64, error) {
	if err := d.asked(ctx, true); err != nil {
		return nil, 0, err
	}
	return d.SharedMemory.Begin(ctx, id, a)
}

func (d *database) Write(ctx context.Context, id store.ID, fence, generation uint64, c store.Change) (bool, error) {
	if err := d.asked(ctx, true); err != nil {
		return false, err
	}
	if d.failing.Load() {
		return false, errors.New("database: connection reset")
	}
	d.writes.Add(1)
	written, err := d.SharedMemory.Write(ctx, id, fence, generation, c)
	if d.falls.Swap(false) {
		d.silent.Store(true)
	}
	if d.lose.Swap(false) {
		return false, errors.New("database: connection reset")
	}
	return written, err
}

// What a fleet keeps is a store like any other, whoever of its machines is asked, and whichever format that writes.
func TestFleet_IsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Subject {
		d, opened := newDatabase(nil), atomic.Int32{}
		return storetest.Subject{
			Open: func() (store.Store, error) {
				return aFleet(t, d, &store.FleetOptions{Format: store.Format1 + int(opened.Add(1))%2}), nil
			},
			ReadOnly: func() (func(), error) { d.readOnly.Store(true); return func() { d.readOnly.Store(false) }, nil },
			Silence:  func() (func(), error) { d.silent.Store(true); return func() { d.silent.Store(false) }, nil },
		}
	})
}

// A machine dies in the middle of a refresh. Another one goes on when its lease has ended, is told
// that it is in doubt, and what the dead one wakes up with is no more written over what came after.
func TestFleet_TakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase(nil)
		var told []store.TakeOver
		dead := aFleet(t, d, nil)
		alive := aFleet(t, d, &store.FleetOptions{Trace: store.FleetTrace{
			TookOver: func(_ context.Context, v store.TakeOver) { told = append(told, v) },
		}})
		put(t, dead, "alice", "first")
		began := time.Now()
		wake := make(chan struct{})
		over := make(chan error, 1)
		go func() {
			over <- dead.Update(t.Context(), "alice", func([]byte) ([]byte, error) {
				<-wake
				return []byte("too late"), nil
			})
		}()
		synctest.Wait()
		terms := &store.Terms{}
		err := alive.Update(store.WithTerms(t.Context(), terms), "alice", func(old []byte) ([]byte, error) {
			if waited := time.Since(began); waited < 30*time.Second || waited > 32*time.Second {
				t.Errorf("went on after %v; want one lease", waited)
			}
			if !terms.InDoubt || string(old) != "first" {
				t.Errorf("in doubt: %t, from %q", terms.InDoubt, old)
			}
			if left := time.Until(terms.Deadline); left < 16*time.Second || left > 28*time.Second {
				t.Errorf("%v are left", left)
			}
			return []byte("second"), nil
		})
		if err != nil {
			t.Errorf("Update: %v", err)
		}
		close(wake)
		if err := <-over; !errors.Is(err, store.ErrFenced) {
			t.Errorf("the one that woke up: %v", err)
		}
		want(t, dead, "alice", "second")
		if len(told) != 1 || told[0].Kind != "record" || told[0].After > 2*time.Second || alive.Counts().TakeOvers != 1 || dead.Counts().Fenced != 1 {
			t.Errorf("told %+v; %+v, %+v", told, alive.Counts(), dead.Counts())
		}
		err = dead.Update(store.WithTerms(t.Context(), terms), "alice", func([]byte) ([]byte, error) {
			if terms.InDoubt {
				t.Error("in doubt, though the last one was written")
			}
			return []byte("third"), nil
		})
		if err != nil {
			t.Errorf("Update: %v", err)
		}
	})
}

// A token that comes too late is written as long as nobody has written, and over what Over says is
// older; then the one that took over finds that out.
func TestFleet_LateToken(t *testing.T) {
	for _, c := range []struct {
		what         string
		over         func([]byte) bool
		first, after string // of what the late one, and the one that took over, return
		want         string
		late, other  error
	}{
		{"the other was refused", nil, "token", "", "token", nil, store.ErrFenced},
		{"the other has one, too", func(found []byte) bool { return bytes.HasPrefix(found, []byte("token")) }, "token 1", "token 2", "token 2", nil, nil},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDatabase(nil)
				one, two := aFleet(t, d, nil), aFleet(t, d, nil)
				put(t, one, "alice", "old")
				wake, woken := make(chan struct{}), make(chan error, 1)
				go func() {
					woken <- one.Update(store.WithTerms(t.Context(), &store.Terms{Over: c.over}), "alice", func([]byte) ([]byte, error) {
						<-wake
						return []byte(c.first), nil
					})
				}()
				synctest.Wait()
				err := two.Update(store.WithTerms(t.Context(), &store.Terms{Over: c.over}), "alice", func([]byte) ([]byte, error) {
					close(wake) // while the other is at it
					if err := <-woken; !errors.Is(err, c.late) {
						t.Errorf("late: %v; want %v", err, c.late)
					}
					if c.after == "" {
						return nil, nil // refused, and so ended
					}
					return []byte(c.after), nil
				})
				if !errors.Is(err, c.other) {
					t.Errorf("the one that took over: %v; want %v", err, c.other)
				}
				want(t, two, "alice", c.want)
				if n := one.Counts().FencedOver; n != 1 {
					t.Errorf("%d fenced writes; want 1", n)
				}
			})
		})
	}
}

// Ended is ended: an end waits for no lease, and what is in flight is not written, whoever comes.
func TestFleet_EndedIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase(nil)
		one, two := aFleet(t, d, nil), aFleet(t, d, nil)
		put(t, one, "alice", "old")
		err := one.Update(store.WithTerms(t.Context(), &store.Terms{Over: func([]byte) bool { return true }}), "alice", func([]byte) ([]byte, error) {
			began := time.Now()
			if err := two.Update(store.WithTerms(t.Context(), &store.Terms{Quick: true}), "alice", remove); err != nil || time.Since(began) > 0 {
				t.Errorf("the end: %v after %v", err, time.Since(began))
			}
			want(t, two, "alice", "")
			return []byte("token"), nil
		})
		if !errors.Is(err, store.ErrEnded) {
			t.Errorf("what was in flight: %v", err)
		}
		want(t, one, "alice", "")
		if keys, err := two.Keys(t.Context()); err != nil || len(keys) != 0 {
			t.Errorf("Keys: %q, %v", keys, err)
		}
		put(t, two, "alice", "signed in anew") // once the lease is given up
		want(t, one, "alice", "signed in anew")
	})
}

// What is quick waits for no lease, and is not lost to what is under way.
func TestFleet_Quick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase(nil)
		one, two := aFleet(t, d, nil), aFleet(t, d, nil)
		quick := func(s store.Store, text string) error {
			return s.Update(store.WithTerms(t.Context(), &store.Terms{Quick: true}), "alice", to(text))
		}
		for _, text := range []string{"first", "second"} {
			began := time.Now()
			if err := quick(two, text); err != nil || time.Since(began) > 0 {
				t.Fatalf("%v after %v", err, time.Since(began))
			}
			want(t, one, "alice", text)
		}
		err := one.Update(t.Context(), "alice", func([]byte) ([]byte, error) {
			if err := quick(two, "signed in"); err != nil {
				t.Error(err)
			}
			return []byte("refreshed"), nil
		})
		if !errors.Is(err, store.ErrFenced) {
			t.Errorf("what was under way: %v", err)
		}
		want(t, one, "alice", "signed in")
	})
}

// Nothing is sent by a machine whose lease could end before the answer.
func TestFleet_TooLateToSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase(nil)
		slow := &slowBegin{Shared: d, by: 13 * time.Second}
		f := aFleet(t, slow, &store.FleetOptions{Wait: time.Minute})
		err := f.Update(t.Context(), "alice", func([]byte) ([]byte, error) {
			t.Error("called with too little left of the lease")
			return []byte("sent"), nil
		})
		if !errors.Is(err, store.ErrNotBegun) || !errors.Is(err, store.ErrNoAnswer) {
			t.Errorf("Update: %v", err)
		}
		began := time.Now()
		if err := aFleet(t, d, nil).Update(t.Context(), "alice", to("another's")); err != nil || time.Since(began) > 0 {
			t.Errorf("the next one: %v after %v; the lease was to be given up", err, time.Since(began))
		}
	})
}

type slowBegin struct {
	store.Shared
	by time.Duration
}

func (s *slowBegin) Begin(ctx context.Context, id store.ID, a store.Attempt) (*store.Row, uint64, error) {
	row, fence, err := s.Shared.Begin(ctx, id, a)
	time.Sleep(s.by)
	return row, fence, err
}

// Polls are made when they are due, by one machine, and not at once by the next if it dies.
func TestFleet_Polls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase(nil)
		one, two := aFleet(t, d, nil), aFleet(t, d, nil)
		const interval = 5 * time.Second
		poll := func(f *store.Fleet, change func([]byte) ([]byte, error)) error {
			return f.Update(store.WithTerms(t.Context(), &store.Terms{IfDue: true, Interval: interval, Next: interval}), "flight", change)
		}
		if err := poll(one, to("never")); !isNotDue(err, -1) {
			t.Errorf("there is nothing to poll for: %v", err)
		}
		err := one.Update(store.WithTerms(t.Context(), &store.Terms{Quick: true, Next: interval}), "flight", to("asked"))
		if err != nil {
			t.Fatal(err)
		}
		if err := poll(two, to("early")); !isNotDue(err, interval) {
			t.Errorf("early: %v", err)
		}
		time.Sleep(interval)
		err = poll(two, func([]byte) ([]byte, error) {
			if err := poll(one, to("twice")); !isNotDue(err, 30*time.Second) {
				t.Errorf("while another polls: %v", err)
			}
			return []byte("slow down"), nil
		})
		if err != nil {
			t.Error(err)
		}
		want(t, one, "flight", "slow down")
		time.Sleep(interval)
		panicked := make(chan any)
		go func() {
			defer func() { panicked <- recover() }()
			_ = poll(two, func([]byte) ([]byte, error) { panic("it dies") })
		}()
		<-panicked
		if err := poll(one, to("early")); !isNotDue(err, 30*time.Second) {
			t.Errorf("after a death: %v", err)
		}
		time.Sleep(30 * time.Second)
		if err := poll(one, to("taken over")); err != nil {
			t.Errorf("after the lease: %v", err)
		}
		if c := one.Counts(); c.TakeOvers != 1 || c.Late != 1 || c.MostLateBy > 10*time.Second {
			t.Errorf("%+v", c)
		}
	})
}

func isNotDue(err error, in time.Duration) bool {
	e, ok := errors.AsType[*store.NotDueError](err)
	return ok && (e.In-in).Abs() < time.Second
}

// A change that does not know what it has done leaves the next one in doubt, also here.
func TestFleet_Unsettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase(nil)
		one, two := aFleet(t, d, nil), aFleet(t, d, nil)
		put(t, one, "alice", "old")
		errLost := errors.New("the answer was lost")
		fail := func(unsettled bool) {
			terms := &store.Terms{Unsettled: unsettled}
			if err := one.Update(store.WithTerms(t.Context(), terms), "alice", func([]byte) ([]byte, error) { return nil, errLost }); err != errLost {
				t.Errorf("Update: %v", err)
			}
		}
		doubt := func(f *store.Fleet) (doubt bool, waited time.Duration) {
			began, terms := time.Now(), &store.Terms{}
			err := f.Update(store.WithTerms(t.Context(), terms), "alice", func(old []byte) ([]byte, error) {
				doubt, waited = terms.InDoubt, time.Since(began)
				return old, nil
			})
			if err != nil {
				t.Error(err)
			}
			return doubt, waited
		}
		fail(false)
		if d, waited := doubt(two); d || waited > 0 {
			t.Errorf("after an error that says all: in doubt %t, after %v", d, waited)
		}
		fail(true)
		if d, waited := doubt(one); !d || waited > 0 {
			t.Errorf("after one that does not, here: in doubt %t, after %v", d, waited)
		}
		fail(true)
		if d, waited := doubt(two); !d || waited < 29*time.Second {
			t.Errorf("after one that does not, elsewhere: in doubt %t, after %v", d, waited)
		}
		if d, _ := doubt(two); d {
			t.Error("in doubt for ever")
		}
	})
}

// A write whose answer is lost is found out; one that cannot be made is kept, and used.
func TestFleet_LostWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase(nil)
		one, two := aFleet(t, d, nil), aFleet(t, d, nil)
		put(t, one, "alice", "first")
		d.lose.Store(true)
		put(t, one, "alice", "second")
		want(t, two, "alice", "second")
		began := time.Now()
		err := one.Update(t.Context(), "alice", func([]byte) ([]byte, error) {
			d.failing.Store(true)
			return []byte("third"), nil
		})
		if took := time.Since(began); !errors.Is(err, store.ErrNoAnswer) || errors.Is(err, store.ErrNotBegun) || took > 16*time.Second {
			t.Errorf("Update: %v after %v", err, took)
		}
		d.failing.Store(false)
		want(t, two, "alice", "second")
		want(t, one, "alice", "third")
		terms := &store.Terms{}
		err = one.Update(store.WithTerms(t.Context(), terms), "alice", func(old []byte) ([]byte, error) {
			if string(old) != "third" || terms.InDoubt {
				t.Errorf("from %q, in doubt %t", old, terms.InDoubt)
			}
			return append(old, " and fourth"...), nil
		})
		if err != nil {
			t.Error(err)
		}
		want(t, two, "alice", "third and fourth")
		if c := one.Counts(); c.Unwritten != 1 {
			t.Errorf("%+v", c)
		}
	})
}

// Where there is no answer nobody does without: the credential may be in use elsewhere.
func TestFleet_NotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase(nil)
		f := aFleet(t, d, nil)
		never := func([]byte) ([]byte, error) { t.Error("called"); return nil, nil }
		d.readOnly.Store(true)
		if err := f.Update(t.Context(), "alice", never); !errors.Is(err, store.ErrNotBegun) || !errors.Is(err, store.ErrUnwritable) || !strings.Contains(err.Error(), "in memory") {
			t.Errorf("read-only: %v", err)
		}
		d.readOnly.Store(false)
		d.silent.Store(true)
		began := time.Now()
		if err := f.Update(t.Context(), "alice", never); !errors.Is(err, store.ErrNotBegun) || !errors.Is(err, store.ErrNoAnswer) || time.Since(began) != 10*time.Second {
			t.Errorf("silent: %v after %v", err, time.Since(began))
		}
		if _, err := f.Load(t.Context(), "alice"); !errors.Is(err, store.ErrNoAnswer) {
			t.Errorf("silent: Load: %v", err)
		}
		d.silent.Store(false)
		if !store.IsFleet(f) || store.IsFleet(store.Memory()) || !store.IsFleet(wrapped{f}) || store.IsFleet(nil) {
			t.Error("IsFleet")
		}
	})
}

type wrapped struct{ store.Store }

func (w wrapped) Unwrap() store.Store { return w.Store }

// Hints have who waits for another machine go on at once, and followers told.
func TestFleet_Hints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase(nil)
		one, two := aFleet(t, d, nil), aFleet(t, d, nil)
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- two.Run(ctx) }()
		var heard, others atomic.Int32
		stop, err := two.Follow("alice", func() { heard.Add(1) })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := two.Follow("bob", func() { others.Add(1) }); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		err = one.Update(t.Context(), "alice", func([]byte) ([]byte, error) {
			go func() { _ = two.Update(t.Context(), "alice", to("second")) }()
			time.Sleep(10*time.Second + 7*time.Millisecond) // pauses are long by now
			return []byte("first"), nil
		})
		if err != nil {
			t.Error(err)
		}
		synctest.Wait() // and no time passes
		want(t, one, "alice", "second")
		if heard.Load() < 2 || others.Load() != 0 {
			t.Errorf("heard %d, others %d", heard.Load(), others.Load())
		}
		n := heard.Load()
		stop()
		put(t, one, "alice", "third")
		synctest.Wait()
		if heard.Load() != n {
			t.Error("told after the end")
		}
		cancel()
		if err := <-ran; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
}

// A row that is gone before it was ever written is made again; one that had a record has ended, and does not
// come back.
func TestFleet_RowIsGone(t *testing.T) {
	d := newDatabase(nil)
	f := aFleet(t, d, nil)
	vanishes := func(text string) error {
		return f.Update(t.Context(), "alice", func([]byte) ([]byte, error) {
			ids, err := d.OfPerson(t.Context(), store.Hash{}, store.ID{}, 10)
			for _, id := range must(t, ids, err) {
				if err := d.Delete(t.Context(), id); err != nil {
					t.Error(err)
				}
			}
			return []byte(text), nil
		})
	}
	if err := vanishes("first"); err != nil {
		t.Errorf("of a row without a content: %v", err)
	}
	want(t, f, "alice", "first")
	if err := vanishes("second"); !errors.Is(err, store.ErrEnded) {
		t.Errorf("of a record: %v", err)
	}
	want(t, f, "alice", "")
	put(t, f, "alice", "third")
	want(t, f, "alice", "third")
}

// A record may end by itself, and that it does may be taken back.
func TestFleet_Life(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := aFleet(t, newDatabase(nil), nil)
		lasts := func(life time.Duration, text string) {
			t.Helper()
			if err := f.Update(store.WithTerms(t.Context(), &store.Terms{Life: life}), "flight", to(text)); err != nil {
				t.Error(err)
			}
		}
		lasts(time.Hour, "first")
		lasts(0, "second")
		time.Sleep(time.Hour)
		want(t, f, "flight", "")
		lasts(time.Hour, "third")
		lasts(-1, "fourth")
		time.Sleep(48 * time.Hour)
		want(t, f, "flight", "fourth")
		if err := f.Update(t.Context(), "flight", remove); err != nil {
			t.Error(err)
		}
		lasts(0, "fifth") // and not as long as is remembered that it was ended
		time.Sleep(48 * time.Hour)
		want(t, f, "flight", "fifth")
	})
}

// A machine keeps no more than so many records that it could not write; it reads, and then writes, what it has.
func TestFleet_UnwrittenAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase(nil)
		f := aFleet(t, d, nil)
		const records = 1030
		var failed sync.WaitGroup
		d.failing.Store(true)
		for n := range records {
			failed.Go(func() {
				if err := f.Update(t.Context(), fmt.Sprint("key ", n), to("record")); !errors.Is(err, store.ErrNoAnswer) {
					t.Errorf("Update: %v", err)
				}
			})
		}
		failed.Wait()
		d.failing.Store(false)
		kept := 0
		for n := range records {
			record, err := f.Load(t.Context(), fmt.Sprint("key ", n))
			if must(t, record, err) != nil {
				kept++
			}
		}
		if kept != 1024 {
			t.Errorf("%d are kept", kept)
		}
	})
}

// What could not be written is as soon as it can be, so that no other machine uses what was replaced; unless
// they have written meanwhile.
func TestFleet_WritesWhatWasKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase(nil)
		one, two := aFleet(t, d, nil), aFleet(t, d, nil)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = one.Run(ctx) })
		put(t, one, "alice", "old")
		put(t, one, "bob", "old")
		for _, key := range []string{"alice", "bob"} {
			err := one.Update(t.Context(), key, func([]byte) ([]byte, error) {
				d.failing.Store(true)
				return []byte("token"), nil
			})
			if !errors.Is(err, store.ErrNoAnswer) {
				t.Errorf("Update: %v", err)
			}
			d.failing.Store(false)
			if key == "bob" { // and another machine is faster
				if err := two.Update(store.WithTerms(t.Context(), &store.Terms{Quick: true}), key, to("signed in")); err != nil {
					t.Error(err)
				}
			}
			time.Sleep(10 * time.Second)
		}
		want(t, two, "alice", "token")
		want(t, two, "bob", "signed in")
		want(t, one, "bob", "signed in")
		began := time.Now()
		put(t, two, "alice", "after it")
		if took := time.Since(began); took > 0 {
			t.Errorf("it took %v", took)
		}
		cancel()
		running.Wait()
	})
}
