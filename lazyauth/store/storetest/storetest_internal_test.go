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
	"sync/atomic"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// A faulty store does one thing wrong; everything else is done by the store in it.
type faulty struct {
	store.Store
	load   func(ctx context.Context, key string) ([]byte, error)
	update func(ctx context.Context, key string, change func([]byte) ([]byte, error)) error
	keys   func(ctx context.Context) ([]string, error)
	name   func() string
}

func (f faulty) Load(ctx context.Context, key string) ([]byte, error) {
	if f.load != nil {
		return f.load(ctx, key)
	}
	return f.Store.Load(ctx, key)
}

func (f faulty) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	if f.update != nil {
		return f.update(ctx, key, change)
	}
	return f.Store.Update(ctx, key, change)
}

func (f faulty) Keys(ctx context.Context) ([]string, error) {
	if f.keys != nil {
		return f.keys(ctx)
	}
	return f.Store.Keys(ctx)
}

func (f faulty) String() string {
	if f.name != nil {
		return f.name()
	}
	return f.Store.String()
}

// same is a subject whose stores are all s, and which can be made unwritable and silent.
func same(s store.Store) Subject {
	var readOnly atomic.Bool
	var quiet atomic.Pointer[chan struct{}]
	wait := func(ctx context.Context) error {
		if answer := quiet.Load(); answer != nil {
			select {
			case <-*answer:
			case <-ctx.Done():
				return fmt.Errorf("%w: %w", store.ErrNoAnswer, context.Cause(ctx))
			}
		}
		return nil
	}
	whole := faulty{
		Store: s,
		load: func(ctx context.Context, key string) ([]byte, error) {
			if err := wait(ctx); err != nil {
				return nil, err
			}
			return s.Load(ctx, key)
		},
		update: func(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
			if err := wait(ctx); err != nil {
				return err
			}
			if readOnly.Load() {
				return store.ErrUnwritable
			}
			return s.Update(ctx, key, change)
		},
		keys: func(ctx context.Context) ([]string, error) {
			if err := wait(ctx); err != nil {
				return nil, err
			}
			return s.Keys(ctx)
		},
	}
	return Subject{
		Open:     func() (store.Store, error) { return whole, nil },
		ReadOnly: func() (func(), error) { readOnly.Store(true); return func() { readOnly.Store(false) }, nil },
		Silence: func() (func(), error) {
			answer := make(chan struct{})
			quiet.Store(&answer)
			return func() { quiet.Store(nil); close(answer) }, nil
		},
	}
}

// A recorder notes what a check finds.
type recorder struct {
	testing.TB
	mu    sync.Mutex
	found []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found = append(r.found, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// A meeting has those who come wait for each other, two by two: so two have looked before one of them goes on.
type meeting chan struct{}

func (m meeting) meets() {
	select {
	case m <- struct{}{}:
	case <-m:
	}
}

// try runs a check and returns what it found.
func try(t *testing.T, c check, s Subject) []string {
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.run(&run{r, s})
	}()
	<-done
	return r.found
}

// Each check finds nothing in a good store, and what is wrong in a bad one.
func TestFaults(t *testing.T) {
	faults := map[string][]struct {
		what  string
		store func(good store.Store) store.Store
	}{
		"life of a record": {
			{"nil does not delete", func(good store.Store) store.Store {
				return faulty{Store: good, update: func(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
					return good.Update(ctx, key, func(old []byte) ([]byte, error) {
						record, err := change(old)
						if record == nil {
							record = []byte{}
						}
						return record, err
					})
				}}
			}},
			{"lists what was removed", func(good store.Store) store.Store {
				return faulty{Store: good, keys: func(ctx context.Context) ([]string, error) {
					keys, err := good.Keys(ctx)
					if !slices.Contains(keys, "alice") {
						keys = append(keys, "alice")
					}
					return keys, err
				}}
			}},
		},
		"empty record": {{"an empty record is none", func(good store.Store) store.Store {
			return faulty{Store: good, load: func(ctx context.Context, key string) ([]byte, error) {
				record, err := good.Load(ctx, key)
				if len(record) == 0 {
					record = nil
				}
				return record, err
			}}
		}}},
		"limits": {
			{"keys are cut", func(good store.Store) store.Store {
				cut := func(key string) string { return key[:min(len(key), store.MaxKey-1)] }
				return faulty{
					Store: good,
					load:  func(ctx context.Context, key string) ([]byte, error) { return good.Load(ctx, cut(key)) },
					update: func(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
						return good.Update(ctx, cut(key), change)
					},
				}
			}},
			{"keys of any case", func(good store.Store) store.Store {
				return faulty{
					Store: good,
					load:  func(ctx context.Context, key string) ([]byte, error) { return good.Load(ctx, strings.ToLower(key)) },
					update: func(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
						return good.Update(ctx, strings.ToLower(key), change)
					},
				}
			}},
			{"records end at a zero", func(good store.Store) store.Store {
				return faulty{Store: good, load: func(ctx context.Context, key string) ([]byte, error) {
					record, err := good.Load(ctx, key)
					record, _, _ = bytes.Cut(record, []byte{0})
					return record, err
				}}
			}},
		},
		"keys that are none": {{"takes any key, and repeats it", func(good store.Store) store.Store {
			return faulty{Store: good, update: func(_ context.Context, key string, _ func([]byte) ([]byte, error)) error {
				return fmt.Errorf("bad key %s", key)
			}}
		}}},
		"copies": {{"keeps the caller's bytes", func(good store.Store) store.Store {
			var kept []byte
			return faulty{
				Store: good,
				load:  func(context.Context, string) ([]byte, error) { return kept, nil },
				update: func(_ context.Context, _ string, change func([]byte) ([]byte, error)) (err error) {
					kept, err = change(kept)
					return err
				},
			}
		}}},
		"change fails": {
			{"wraps its error", func(good store.Store) store.Store {
				return faulty{Store: good, update: func(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
					if err := good.Update(ctx, key, change); err != nil {
						return fmt.Errorf("update: %w", err)
					}
					return nil
				}}
			}},
			{"tries again", func(good store.Store) store.Store {
				return faulty{Store: good, update: func(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
					if err := good.Update(ctx, key, change); err == nil {
						return nil
					}
					return good.Update(ctx, key, change)
				}}
			}},
			{"writes all the same", func(good store.Store) store.Store {
				return faulty{Store: good, update: func(ctx context.Context, key string, change func([]byte) ([]byte, error)) (failed error) {
					return errors.Join(good.Update(ctx, key, func(old []byte) (record []byte, err error) {
						record, failed = change(old)
						return record, nil
					}), failed)
				}}
			}},
		},
		"change panics": {{"keeps its lock", func(good store.Store) store.Store {
			var mu sync.Mutex
			return faulty{Store: good, update: func(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
				if !mu.TryLock() {
					return errors.New("locked")
				}
				err := good.Update(ctx, key, change)
				mu.Unlock()
				return err
			}}
		}}},
		"durable": {{"writes later", func(good store.Store) store.Store {
			var mu sync.Mutex
			var late func()
			return faulty{Store: good, update: func(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
				mu.Lock()
				defer mu.Unlock()
				if late != nil {
					late()
				}
				old, _ := good.Load(ctx, key)
				record, err := change(old)
				late = func() { _ = good.Update(ctx, key, func([]byte) ([]byte, error) { return record, nil }) }
				return err
			}}
		}}},
		"one at a time": {{"no lock", func(good store.Store) store.Store {
			pairs := make(meeting)
			return faulty{Store: good, update: func(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
				old, _ := good.Load(ctx, key)
				pairs.meets()
				record, err := change(old)
				if err != nil {
					return err
				}
				return good.Update(ctx, key, func([]byte) ([]byte, error) { return record, nil })
			}}
		}}},
		"others do not wait": {{"one lock for all keys", func(good store.Store) store.Store {
			var mu sync.Mutex
			return faulty{Store: good, update: func(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
				if !mu.TryLock() {
					return errors.New("it would wait")
				}
				defer mu.Unlock()
				return good.Update(ctx, key, change)
			}}
		}}},
		"context has ended": {{"looks at no context", func(good store.Store) store.Store {
			return faulty{Store: good, load: func(ctx context.Context, key string) ([]byte, error) {
				return good.Load(context.WithoutCancel(ctx), key)
			}}
		}}},
		"context ends while it waits": {{"goes on afterwards", func(good store.Store) store.Store {
			return faulty{Store: good, update: func(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
				err := good.Update(ctx, key, change)
				if ctx.Err() != nil {
					_, _ = change(nil)
				}
				return err
			}}
		}}},
		"context ends in change": {{"forgets what was issued", func(good store.Store) store.Store {
			return faulty{Store: good, update: func(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
				return good.Update(ctx, key, func(old []byte) ([]byte, error) {
					record, err := change(old)
					return record, errors.Join(err, ctx.Err())
				})
			}}
		}}},
		"name":       {{"none", func(good store.Store) store.Store { return faulty{Store: good, name: func() string { return "" }} }}},
		"unwritable": {{"calls change first", nil}},
		"silent":     {{"says that there is nothing", nil}},
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			if found := try(t, c, same(store.Memory())); found != nil {
				t.Errorf("in a good store: %q", found)
			}
			if len(faults[c.name]) == 0 {
				t.Error("nothing shows that this check can fail")
			}
			for _, fault := range faults[c.name] {
				s := same(store.Memory())
				switch {
				case fault.store != nil:
					s = same(fault.store(store.Memory()))
				case c.name == "unwritable":
					s.ReadOnly = func() (func(), error) { return func() {}, nil }
				default:
					s.Silence = func() (func(), error) { return func() {}, nil }
				}
				found := try(t, c, s)
				if found == nil {
					t.Errorf("did not find: %s", fault.what)
				}
				t.Logf("%s: %q", fault.what, found)
			}
		})
	}
}
