package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

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
