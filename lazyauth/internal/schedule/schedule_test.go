package schedule_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/schedule"
)

// job is a job that is one function.
type job func() time.Time

func (j job) Run() time.Time { return j() }

func TestSchedule_RunsEachAtItsTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, start := schedule.New(3), time.Now()
		var mu sync.Mutex
		var ran []time.Duration
		for _, first := range []int{5, 1, 3, 0, -7} {
			times := 0
			s.Add(t.Context(), start.Add(time.Duration(first)*time.Second), job(func() time.Time {
				mu.Lock()
				defer mu.Unlock()
				ran = append(ran, time.Since(start)/time.Second)
				if times++; times == 3 {
					return time.Time{}
				}
				return time.Now().Add(10 * time.Second)
			}))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		want := []time.Duration{0, 0, 1, 3, 5, 10, 10, 11, 13, 15, 20, 20, 21, 23, 25}
		if !slices.Equal(ran, want) {
			t.Errorf("ran at %v, want %v", ran, want)
		}
	})
}

// Those that are due while all goroutines are busy run as soon as one is not, in their order, and none is lost.
func TestSchedule_RunsFewAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most, jobs = 4, 100
		s, start := schedule.New(most), time.Now()
		var now, highest atomic.Int32
		var mu sync.Mutex
		var order []int
		for n := range jobs {
			s.Add(t.Context(), start.Add(time.Duration(n)*time.Millisecond), job(func() time.Time {
				if at := now.Add(1); at > highest.Load() {
					highest.Store(at)
				}
				mu.Lock()
				order = append(order, n)
				mu.Unlock()
				time.Sleep(time.Second)
				now.Add(-1)
				return time.Time{}
			}))
		}
		time.Sleep(jobs/most*time.Second + time.Second)
		synctest.Wait()
		if highest.Load() != most || len(order) != jobs || !slices.IsSorted(order) {
			t.Errorf("%d at a time, want %d; %d of %d ran, in the order %v", highest.Load(), most, len(order), jobs, order)
		}
	})
}

// A job runs when its context ends: at once if it waits, once more if it runs then, and never twice at a time.
func TestSchedule_ContextEnds(t *testing.T) {
	for name, after := range map[string]time.Duration{
		"before": 0, "while it waits": 3 * time.Second, "while it runs": 10*time.Second + 500*time.Millisecond, "after": 12 * time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, start := schedule.New(1), time.Now()
				ctx, cancel := context.WithCancel(t.Context())
				if after == 0 {
					cancel()
				}
				var runs atomic.Int32
				var ended time.Duration
				s.Add(ctx, start.Add(10*time.Second), job(func() time.Time {
					if runs.Add(1) > 1 && ctx.Err() == nil {
						t.Error("it is not due yet")
					}
					if ctx.Err() != nil {
						ended = time.Since(start)
						return time.Time{}
					}
					time.Sleep(time.Second)
					return time.Now().Add(time.Hour)
				}))
				time.Sleep(after)
				cancel()
				time.Sleep(time.Minute)
				synctest.Wait()
				if want := after.Round(time.Second); ended != max(want, 0) || runs.Load() < 1 || runs.Load() > 2 {
					t.Errorf("it ended after %v, want %v, and ran %d times", ended, want, runs.Load())
				}
			})
		})
	}
}

// Thousands that wait have no goroutine, and leave none behind.
func TestSchedule_CostsNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := schedule.New(8)
		ctx, cancel := context.WithCancel(t.Context())
		var runs, ended atomic.Int32
		before := runtime.NumGoroutine()
		for range 5000 {
			s.Add(ctx, time.Now().Add(time.Duration(rand.Int64N(int64(5*time.Second)))), job(func() time.Time {
				if ctx.Err() != nil {
					ended.Add(1)
					return time.Time{}
				}
				runs.Add(1)
				return time.Now().Add(5 * time.Second)
			}))
		}
		time.Sleep(time.Minute - time.Millisecond)
		synctest.Wait()
		if n := runtime.NumGoroutine() - before; n > 8 || runs.Load() < 5000*11 {
			t.Errorf("%d goroutines more, after %d runs", n, runs.Load())
		}
		cancel()
		synctest.Wait()
		if ended.Load() != 5000 {
			t.Errorf("%d have ended", ended.Load())
		}
	})
}

// A job whose context ends waits for no other one, however long those take.
func TestSchedule_EndsBesideOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := schedule.New(1)
		ctx, cancel := context.WithCancel(t.Context())
		var others atomic.Int32
		for range 3 {
			s.Add(t.Context(), time.Now(), job(func() time.Time {
				time.Sleep(time.Minute)
				others.Add(1)
				return time.Time{}
			}))
		}
		ended := make(chan struct{})
		s.Add(ctx, time.Now(), job(func() time.Time {
			if ctx.Err() == nil {
				t.Error("it is not its turn")
			}
			close(ended)
			return time.Time{}
		}))
		time.Sleep(time.Second)
		cancel()
		<-ended
		if n := others.Load(); n != 0 {
			t.Errorf("it has waited for %d others", n)
		}
		time.Sleep(4 * time.Minute)
		synctest.Wait()
		if n := others.Load(); n != 3 {
			t.Errorf("%d of the others ran", n)
		}
	})
}

// A job that ends its goroutine, as what it calls may, holds up no other one, and is not run again.
func TestSchedule_Goexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := schedule.New(1)
		for range 3 {
			s.Add(t.Context(), time.Now(), job(func() time.Time {
				runtime.Goexit()
				return time.Now()
			}))
		}
		ran := make(chan struct{})
		s.Add(t.Context(), time.Now().Add(time.Second), job(func() time.Time {
			close(ran)
			return time.Time{}
		}))
		<-ran
	})
}
