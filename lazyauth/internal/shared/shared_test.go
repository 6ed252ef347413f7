package shared_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/shared"
)

// Whoever comes while the work is done shares its result, or its failure; who comes later has
// it done again.
func TestWork_OnceForAllWhoWait(t *testing.T) {
	failed := errors.New("it failed")
	for name, want := range map[string]error{"with a result": nil, "with a failure": failed} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var work shared.Work[int]
				times := 0 // written by one run at a time
				do := func() (int, error) {
					return work.Do(t.Context(), "the work", func(context.Context) (int, error) {
						times++
						time.Sleep(time.Second)
						return times, want
					})
				}
				const waiters = 5
				got := make(chan int, waiters)
				for range waiters {
					go func() {
						n, err := do()
						if !errors.Is(err, want) {
							t.Errorf("got the error %v, want %v", err, want)
						}
						got <- n
					}()
				}
				for range waiters {
					if n := <-got; n != 1 {
						t.Errorf("a waiter got the result of run %d", n)
					}
				}
				if n, _ := do(); n != 2 {
					t.Errorf("who came later got the result of run %d, want 2", n)
				}
			})
		})
	}
}

// One who leaves takes nothing from the others. The last who leaves ends the work, and has
// waited for it; who comes meanwhile does not get its cancellation.
func TestWork_EndsWithTheLastWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var work shared.Work[string]
		var ended atomic.Bool
		slow := func(ctx context.Context) (string, error) {
			<-ctx.Done()
			time.Sleep(time.Second) // it takes a while to end
			ended.Store(true)
			return "", context.Cause(ctx)
		}
		why := errors.New("has no more time")
		first, leave := context.WithCancelCause(t.Context())
		second, leaveToo := context.WithCancelCause(t.Context())
		results := make(chan error, 2)
		for _, ctx := range []context.Context{first, second} {
			go func() {
				_, err := work.Do(ctx, "the work", slow)
				results <- err
			}()
		}
		synctest.Wait()
		began := time.Now()
		leave(why)
		if err := <-results; !errors.Is(err, why) || ended.Load() || time.Since(began) > 0 {
			t.Errorf("the first to leave got %v after %v, and the work has ended: %t", err, time.Since(began), ended.Load())
		}
		leaveToo(why)
		synctest.Wait()
		got, err := work.Do(t.Context(), "the work", func(context.Context) (string, error) { return "anew", nil })
		if got != "anew" || err != nil || ended.Load() {
			t.Errorf("who came while the work ended got %q, %v; it has ended: %t", got, err, ended.Load())
		}
		if err := <-results; !errors.Is(err, why) || !ended.Load() {
			t.Errorf("the last to leave got %v, and the work has ended: %t", err, ended.Load())
		}
		if _, err := work.Do(second, "the work", slow); !errors.Is(err, why) {
			t.Errorf("who has no time to begin with got %v", err)
		}
	})
}

// The work goes on, with the values that it began with, when the one who began it leaves.
func TestWork_OutlivesWhoBeganIt(t *testing.T) {
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		var work shared.Work[any]
		slow := func(ctx context.Context) (any, error) {
			time.Sleep(time.Second)
			return ctx.Value(key{}), ctx.Err()
		}
		first, leave := context.WithCancel(context.WithValue(t.Context(), key{}, "the first's"))
		go work.Do(first, "the work", slow)
		synctest.Wait()
		time.AfterFunc(time.Second/2, leave)
		if got, err := work.Do(t.Context(), "the work", slow); got != "the first's" || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
	})
}

// Work that panics, or ends its goroutine, is an error of all who wait, and the next is done.
func TestWork_DoesNotReturn(t *testing.T) {
	var work shared.Work[int]
	_, err := work.Do(t.Context(), "the work", func(context.Context) (int, error) { panic("a secret") })
	if p, ok := errors.AsType[*guard.Panic](err); !ok || !strings.Contains(p.Error(), "the work panicked") || strings.Contains(p.Error(), "secret") {
		t.Errorf("a panic is %v", err)
	}
	_, err = work.Do(t.Context(), "the work", func(context.Context) (int, error) {
		runtime.Goexit()
		return 0, nil
	})
	if !errors.Is(err, guard.ErrExited) {
		t.Errorf("a goroutine that was given up is %v", err)
	}
	if got, err := work.Do(t.Context(), "the work", func(context.Context) (int, error) { return 7, nil }); got != 7 || err != nil {
		t.Errorf("afterwards: %d, %v", got, err)
	}
}
