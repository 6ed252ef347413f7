package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// Who waits for another machine's attempt, and has no use for one of its own if that brings what it wants, begins
// none then, and changes nothing in the store; whether hints come or not.
func TestFleet_Found(t *testing.T) {
	for _, hints := range []bool{false, true} {
		t.Run(fmt.Sprint("hints ", hints), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDatabase(nil)
				one, two := aFleet(t, d, nil), aFleet(t, d, nil)
				put(t, one, "alice", "old")
				ctx, cancel := context.WithCancel(t.Context())
				ran := make(chan struct{})
				go func() {
					defer close(ran)
					if hints {
						_ = two.Run(ctx)
					}
				}()
				synctest.Wait()
				refresh := make(chan struct{})
				done := make(chan error, 1)
				go func() {
					done <- one.Update(t.Context(), "alice", func([]byte) ([]byte, error) {
						close(refresh)
						time.Sleep(3 * time.Second)
						return []byte("new"), nil
					})
				}()
				<-refresh
				before := d.writes.Load()
				var asked []string
				terms := &store.Terms{Found: func(found []byte) bool { asked = append(asked, string(found)); return string(found) == "new" }}
				began := time.Now()
				err := two.Update(store.WithTerms(t.Context(), terms), "alice", func([]byte) ([]byte, error) {
					t.Error("change was called")
					return []byte("twice"), nil
				})
				if !errors.Is(err, store.ErrFound) || !errors.Is(err, store.ErrNotBegun) {
					t.Errorf("Update: %v", err)
				}
				if took := time.Since(began); took < 3*time.Second || took > 5*time.Second || hints && took > 3*time.Second {
					t.Errorf("it took %v", took)
				}
				if err := <-done; err != nil {
					t.Error(err)
				}
				if len(asked) != 1 || d.writes.Load() != before+1 {
					t.Errorf("asked about %q, and %d writes; want one of each", asked, d.writes.Load()-before)
				}
				want(t, two, "alice", "new")
				cancel()
				<-ran
			})
		})
	}
}

// What is not what it wants, or has come to nothing, it goes on from; and from what a machine that died has left.
func TestFleet_NotFound(t *testing.T) {
	for what, c := range map[string]struct {
		first   func() ([]byte, error) // of the other machine, after three seconds
		old     string
		inDoubt bool
	}{
		"another one":   {func() ([]byte, error) { return []byte("other"), nil }, "other", false},
		"nothing":       {func() ([]byte, error) { return nil, errors.New("refused") }, "old", false},
		"ended":         {func() ([]byte, error) { return nil, nil }, "", false},
		"it has died":   {func() ([]byte, error) { panic("it dies") }, "old", true},
		"it stays dead": {func() ([]byte, error) { time.Sleep(time.Hour); return nil, errors.New("late") }, "old", true},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDatabase(nil)
				one, two := aFleet(t, d, nil), aFleet(t, d, nil)
				put(t, one, "alice", "old")
				begun, over := make(chan struct{}), make(chan struct{})
				go func() {
					defer close(over)
					defer func() { _ = recover() }()
					_ = one.Update(t.Context(), "alice", func([]byte) ([]byte, error) {
						close(begun)
						time.Sleep(3 * time.Second)
						return c.first()
					})
				}()
				<-begun
				terms := &store.Terms{Found: func(found []byte) bool { return string(found) == "new" }}
				began, called := time.Now(), false
				err := two.Update(store.WithTerms(t.Context(), terms), "alice", func(old []byte) ([]byte, error) {
					called = true
					if string(old) != c.old || terms.InDoubt != c.inDoubt {
						t.Errorf("from %q, in doubt %t; want %q and %t", old, terms.InDoubt, c.old, c.inDoubt)
					}
					return []byte("mine"), nil
				})
				if err != nil || !called {
					t.Errorf("Update: %v; called: %t", err, called)
				}
				if took := time.Since(began); c.inDoubt && took < 29*time.Second || took > 32*time.Second {
					t.Errorf("it took %v", took)
				}
				want(t, two, "alice", "mine")
				<-over
			})
		})
	}
}
