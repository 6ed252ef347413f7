package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// A faultyShared does one thing wrong; everything else is done by the store in it.
type faultyShared struct {
	store.Shared
	now    func(context.Context) (time.Time, error)
	read   func(context.Context, store.ID) (*store.Row, error)
	begin  func(context.Context, store.ID, store.Attempt) (*store.Row, uint64, error)
	write  func(ctx context.Context, id store.ID, fence, generation uint64, c store.Change) (bool, error)
	insert func(context.Context, store.ID, store.Change) (bool, error)
	person func(ctx context.Context, person store.Hash, after store.ID, limit int) ([]store.ID, error)
	sealed func(ctx context.Context, key string, after store.ID, limit int) ([]store.ID, error)
	watch  func(context.Context, func(store.ID)) error
	name   string
}

func (f faultyShared) Now(ctx context.Context) (time.Time, error) {
	if f.now != nil {
		return f.now(ctx)
	}
	return f.Shared.Now(ctx)
}

func (f faultyShared) Read(ctx context.Context, id store.ID) (*store.Row, error) {
	if f.read != nil {
		return f.read(ctx, id)
	}
	return f.Shared.Read(ctx, id)
}

func (f faultyShared) Begin(ctx context.Context, id store.ID, a store.Attempt) (*store.Row, uint64, error) {
	if f.begin != nil {
		return f.begin(ctx, id, a)
	}
	return f.Shared.Begin(ctx, id, a)
}

func (f faultyShared) Write(ctx context.Context, id store.ID, fence, generation uint64, c store.Change) (bool, error) {
	if f.write != nil {
		return f.write(ctx, id, fence, generation, c)
	}
	return f.Shared.Write(ctx, id, fence, generation, c)
}

func (f faultyShared) Insert(ctx context.Context, id store.ID, c store.Change) (bool, error) {
	if f.insert != nil {
		return f.insert(ctx, id, c)
	}
	return f.Shared.Insert(ctx, id, c)
}

func (f faultyShared) OfPerson(ctx context.Context, person store.Hash, after store.ID, limit int) ([]store.ID, error) {
	if f.person != nil {
		return f.person(ctx, person, after, limit)
	}
	return f.Shared.OfPerson(ctx, person, after, limit)
}

func (f faultyShared) NotSealedBy(ctx context.Context, key string, after store.ID, limit int) ([]store.ID, error) {
	if f.sealed != nil {
		return f.sealed(ctx, key, after, limit)
	}
	return f.Shared.NotSealedBy(ctx, key, after, limit)
}

func (f faultyShared) Watch(ctx context.Context, changed func(store.ID)) error {
	if f.watch != nil {
		return f.watch(ctx, changed)
	}
	return f.Shared.Watch(ctx, changed)
}

func (f faultyShared) String() string {
	if f.name != "" {
		return f.name
	}
	return f.Shared.String()
}

// sameShared is a subject whose stores are all s, and which can be made unwritable and silent.
func sameShared(s store.Shared) SharedSubject {
	var readOnly, quiet atomic.Bool
	wait := func(ctx context.Context) error {
		if quiet.Load() {
			<-ctx.Done()
			return fmt.Errorf("%w: %w", store.ErrNoAnswer, context.Cause(ctx))
		}
		return nil
	}
	writes := func(ctx context.Context) error {
		if readOnly.Load() {
			return store.ErrUnwritable
		}
		return wait(ctx)
	}
	whole := faultyShared{
		Shared: s,
		now: func(ctx context.Context) (t time.Time, err error) {
			if err = wait(ctx); err == nil {
				t, err = s.Now(ctx)
			}
			return t, err
		},
		read: func(ctx context.Context, id store.ID) (row *store.Row, err error) {
			if err = wait(ctx); err == nil {
				row, err = s.Read(ctx, id)
			}
			return row, err
		},
		begin: func(ctx context.Context, id store.ID, a store.Attempt) (row *store.Row, fence uint64, err error) {
			if err = writes(ctx); err == nil {
				row, fence, err = s.Begin(ctx, id, a)
			}
			return row, fence, err
		},
		write: func(ctx context.Context, id store.ID, fence, generation uint64, c store.Change) (ok bool, err error) {
			if err = writes(ctx); err == nil {
				ok, err = s.Write(ctx, id, fence, generation, c)
			}
			return ok, err
		},
		insert: func(ctx context.Context, id store.ID, c store.Change) (ok bool, err error) {
			if err = writes(ctx); err == nil {
				ok, err = s.Insert(ctx, id, c)
			}
			return ok, err
		},
		person: func(ctx context.Context, p store.Hash, after store.ID, limit int) (ids []store.ID, err error) {
			if err = wait(ctx); err == nil {
				ids, err = s.OfPerson(ctx, p, after, limit)
			}
			return ids, err
		},
		sealed: func(ctx context.Context, key string, after store.ID, limit int) (ids []store.ID, err error) {
			if err = wait(ctx); err == nil {
				ids, err = s.NotSealedBy(ctx, key, after, limit)
			}
			return ids, err
		},
	}
	remove := func(ctx context.Context, id store.ID) error {
		if err := writes(ctx); err != nil {
			return err
		}
		return s.Delete(ctx, id)
	}
	return SharedSubject{
		Open:     func() (store.Shared, error) { return deleting{whole, remove}, nil },
		ReadOnly: func() (func(), error) { readOnly.Store(true); return func() { readOnly.Store(false) }, nil },
		Silence:  func() (func(), error) { quiet.Store(true); return func() { quiet.Store(false) }, nil },
	}
}

type deleting struct {
	store.Shared
	remove func(context.Context, store.ID) error
}

func (d deleting) Delete(ctx context.Context, id store.ID) error { return d.remove(ctx, id) }

// rowed is a store whose rows are shown otherwise than they are.
func rowed(good store.Shared, change func(*store.Row)) faultyShared {
	return faultyShared{
		Shared: good,
		read: func(ctx context.Context, id store.ID) (*store.Row, error) {
			row, err := good.Read(ctx, id)
			if row != nil {
				change(row)
			}
			return row, err
		},
		begin: func(ctx context.Context, id store.ID, a store.Attempt) (*store.Row, uint64, error) {
			row, fence, err := good.Begin(ctx, id, a)
			if row != nil {
				change(row)
			}
			return row, fence, err
		},
	}
}

// writes is a store that writes otherwise than it is asked to.
func writes(good store.Shared, f func(fence, generation *uint64, c *store.Change)) faultyShared {
	return faultyShared{Shared: good, write: func(ctx context.Context, id store.ID, fence, generation uint64, c store.Change) (bool, error) {
		f(&fence, &generation, &c)
		return good.Write(ctx, id, fence, generation, c)
	}}
}

func begins(good store.Shared, f func(*store.Attempt)) faultyShared {
	return faultyShared{Shared: good, begin: func(ctx context.Context, id store.ID, a store.Attempt) (*store.Row, uint64, error) {
		f(&a)
		return good.Begin(ctx, id, a)
	}}
}

type sharedFault struct {
	what  string
	store func(good store.Shared) store.Shared
}

// whatever is a Write that does not compare.
func whatever(good store.Shared, fence, generation bool) store.Shared {
	return faultyShared{Shared: good, write: func(ctx context.Context, id store.ID, f, g uint64, c store.Change) (bool, error) {
		if row, _ := good.Read(ctx, id); row != nil {
			if !fence {
				f = row.Fence
			}
			if !generation {
				g = row.Generation
			}
		}
		return good.Write(ctx, id, f, g, c)
	}}
}

// restarting counts from 1 in each row that is made.
func restarting(good store.Shared) store.Shared {
	var mu sync.Mutex
	base := make(map[store.ID]uint64)
	f := rowed(good, func(r *store.Row) { mu.Lock(); defer mu.Unlock(); r.Fence -= base[r.ID] })
	begin := f.begin
	f.begin = func(ctx context.Context, id store.ID, a store.Attempt) (*store.Row, uint64, error) {
		row, fence, err := begin(ctx, id, a)
		mu.Lock()
		defer mu.Unlock()
		if row == nil && fence != 0 {
			base[id] = fence - 1
		}
		return row, fence - base[id], err
	}
	f.write = func(ctx context.Context, id store.ID, fence, generation uint64, c store.Change) (bool, error) {
		mu.Lock()
		fence += base[id]
		mu.Unlock()
		return good.Write(ctx, id, fence, generation, c)
	}
	return f
}

func sharedFaults() map[string][]sharedFault {
	return map[string][]sharedFault{
		"life of a row": {
			{"forgets whose it is", func(good store.Shared) store.Shared {
				return rowed(good, func(r *store.Row) { r.Person = store.Hash{} })
			}},
			{"shows an end as an empty content", func(good store.Shared) store.Shared {
				return rowed(good, func(r *store.Row) {
					if r.Content == nil {
						r.Content = []byte{}
					}
				})
			}},
			{"tells kinds not apart", func(good store.Shared) store.Shared {
				return faultyShared{Shared: good, read: func(ctx context.Context, id store.ID) (*store.Row, error) {
					return good.Read(ctx, store.ID{Kind: "grant", Key: id.Key})
				}}
			}},
		},
		"fence": {
			{"does not compare it", func(good store.Shared) store.Shared { return whatever(good, false, true) }},
			{"does not compare the generation", func(good store.Shared) store.Shared { return whatever(good, true, false) }},
		},
		"generation": {
			{"stays", func(good store.Shared) store.Shared {
				return rowed(good, func(r *store.Row) { r.Generation = min(r.Generation, 1) })
			}},
			{"counts for itself", func(good store.Shared) store.Shared {
				return writes(good, func(_, generation *uint64, c *store.Change) { c.Generation = *generation + 1 })
			}},
			{"does not compare it", func(good store.Shared) store.Shared { return whatever(good, true, false) }},
		},
		"lease": {
			{"keeps nobody out", func(good store.Shared) store.Shared { return begins(good, func(a *store.Attempt) { a.Owner = "one" }) }},
			{"is never given up", func(good store.Shared) store.Shared {
				return writes(good, func(_, _ *uint64, c *store.Change) { c.Release = false })
			}},
			{"is given up by any Write", func(good store.Shared) store.Shared {
				return writes(good, func(_, _ *uint64, c *store.Change) { c.Release = true })
			}},
		},
		"lease ends": {
			{"hides whose it was", func(good store.Shared) store.Shared { return rowed(good, func(r *store.Row) { r.Owner = "" }) }},
			{"writes nothing that is late", func(good store.Shared) store.Shared {
				return faultyShared{Shared: good, write: func(ctx context.Context, id store.ID, f, g uint64, c store.Change) (bool, error) {
					if row, _ := good.Read(ctx, id); row != nil && !time.Now().Before(row.Until) {
						return false, nil
					}
					return good.Write(ctx, id, f, g, c)
				}}
			}},
		},
		"insert": {{"replaces", func(good store.Shared) store.Shared {
			return faultyShared{Shared: good, insert: func(ctx context.Context, id store.ID, c store.Change) (bool, error) {
				_ = good.Delete(ctx, id)
				return good.Insert(ctx, id, c)
			}}
		}}},
		"one wins": {{"looks first", func(good store.Shared) store.Shared {
			pairs := make(meeting)
			return faultyShared{Shared: good, insert: func(ctx context.Context, id store.ID, c store.Change) (bool, error) {
				row, err := good.Read(ctx, id)
				pairs.meets()
				if row != nil || err != nil {
					return false, err
				}
				_ = good.Delete(ctx, id)
				return good.Insert(ctx, id, c)
			}}
		}}},
		"one step at a time": {{"loses what is written", func(good store.Shared) store.Shared {
			var n atomic.Int32
			return faultyShared{Shared: good, write: func(ctx context.Context, id store.ID, f, g uint64, c store.Change) (bool, error) {
				if n.Add(1)%7 == 0 {
					c.Keep = true
				}
				return good.Write(ctx, id, f, g, c)
			}}
		}}},
		"begin if due": {
			{"begins in any case", func(good store.Shared) store.Shared { return begins(good, func(a *store.Attempt) { a.IfDue = false }) }},
			{"leaves it due", func(good store.Shared) store.Shared { return begins(good, func(a *store.Attempt) { a.Due = 0 }) }},
		},
		"keep": {{"writes all", func(good store.Shared) store.Shared {
			return writes(good, func(_, _ *uint64, c *store.Change) { c.Keep = false })
		}}},
		"as it was": {{"takes it for never", func(good store.Shared) store.Shared {
			return writes(good, func(_, _ *uint64, c *store.Change) { c.Due, c.Ends = max(c.Due, 0), max(c.Ends, 0) })
		}}},
		"rows end": {
			{"hides them alone", func(good store.Shared) store.Shared {
				return faultyShared{
					Shared: good,
					read: func(ctx context.Context, id store.ID) (*store.Row, error) {
						row, err := good.Read(ctx, id)
						if row != nil && row.Content != nil && row.Content[0] == 's' {
							return nil, err
						}
						return row, err
					},
					insert: func(ctx context.Context, id store.ID, c store.Change) (bool, error) {
						c.Ends = 0
						return good.Insert(ctx, id, c)
					},
				}
			}},
			{"lists them", func(good store.Shared) store.Shared {
				return faultyShared{Shared: good, person: func(context.Context, store.Hash, store.ID, int) ([]store.ID, error) {
					return []store.ID{grant(1)}, nil
				}}
			}},
		},
		"made again": {{"counts anew", restarting}},
		"of a person": {
			{"gives the first page again", func(good store.Shared) store.Shared {
				return faultyShared{Shared: good, person: func(ctx context.Context, p store.Hash, _ store.ID, limit int) ([]store.ID, error) {
					return good.OfPerson(ctx, p, store.ID{}, limit)
				}}
			}},
			{"lists no ends", func(good store.Shared) store.Shared {
				return faultyShared{Shared: good, person: func(ctx context.Context, p store.Hash, after store.ID, limit int) ([]store.ID, error) {
					ids, err := good.OfPerson(ctx, p, after, limit)
					return slices.DeleteFunc(ids, func(id store.ID) bool { row, _ := good.Read(ctx, id); return row.Content == nil }), err
				}}
			}},
		},
		"not sealed by": {{"lists what is sealed by it", func(good store.Shared) store.Shared {
			return faultyShared{Shared: good, sealed: func(ctx context.Context, key string, after store.ID, limit int) ([]store.ID, error) {
				if key == "k2" {
					key = "k1"
				}
				return good.NotSealedBy(ctx, key, after, limit)
			}}
		}}},
		"contents": {{"as text", func(good store.Shared) store.Shared {
			return rowed(good, func(r *store.Row) {
				if r.Content != nil {
					r.Content = []byte(fmt.Sprintf("%q", r.Content))
				}
			})
		}}},
		"what is none": {
			{"takes any length", func(good store.Shared) store.Shared {
				return faultyShared{Shared: good, insert: func(ctx context.Context, id store.ID, c store.Change) (bool, error) {
					c.Content = c.Content[:min(len(c.Content), 10)]
					return good.Insert(ctx, id, c)
				}}
			}},
			{"takes any kind", func(good store.Shared) store.Shared {
				return faultyShared{Shared: good, insert: func(ctx context.Context, id store.ID, c store.Change) (bool, error) {
					id.Kind = "any"
					return good.Insert(ctx, id, c)
				}}
			}},
		},
		"watch": {{"does not end", func(good store.Shared) store.Shared {
			return faultyShared{Shared: good, watch: func(ctx context.Context, changed func(store.ID)) error {
				_ = good.Watch(ctx, changed)
				return nil
			}}
		}}},
		"clock": {{"is that of the machine that asks", func(good store.Shared) store.Shared {
			return faultyShared{Shared: good, now: func(ctx context.Context) (time.Time, error) {
				now, err := good.Now(ctx)
				return now.Add(-time.Minute), err
			}}
		}}},
		"context has ended": {{"looks at no context", func(good store.Shared) store.Shared {
			return faultyShared{Shared: good, insert: func(ctx context.Context, id store.ID, c store.Change) (bool, error) {
				return good.Insert(context.WithoutCancel(ctx), id, c)
			}}
		}}},
		"name":       {{"two lines", func(good store.Shared) store.Shared { return faultyShared{Shared: good, name: "in\nmemory"} }}},
		"unwritable": {{"says that all is well", nil}},
		"silent":     {{"says that all is well", nil}},
	}
}

// Each check finds nothing in a good store, and what is wrong in a bad one.
func TestSharedFaults(t *testing.T) {
	t.Parallel()
	faults := sharedFaults()
	for _, c := range sharedChecks {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if found := tryShared(t, c, sameShared(store.NewSharedMemory(nil))); found != nil {
				t.Errorf("in a good store: %q", found)
			}
			if len(faults[c.name]) == 0 {
				t.Error("nothing shows that this check can fail")
			}
			for _, fault := range faults[c.name] {
				s := sameShared(store.NewSharedMemory(nil))
				if fault.store != nil {
					s = sameShared(fault.store(store.NewSharedMemory(nil)))
				} else {
					nothing := func() (func(), error) { return func() {}, nil }
					s.ReadOnly, s.Silence = nothing, nothing
				}
				found := tryShared(t, c, s)
				if found == nil {
					t.Errorf("did not find: %s", fault.what)
				}
				t.Logf("%s: %q", fault.what, found)
			}
		})
	}
}

// tryShared runs a check and returns what it found.
func tryShared(t *testing.T, c sharedCheck, s SharedSubject) []string {
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.run(&sharedRun{r, s})
	}()
	<-done
	if errors.Is(t.Context().Err(), context.Canceled) {
		t.Fatal("the test has ended")
	}
	return r.found
}
