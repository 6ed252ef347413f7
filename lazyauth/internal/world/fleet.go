package world

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// JoinFleet returns the store of one more replica of those that share rows.
func JoinFleet(t *testing.T, rows store.Shared) *store.Fleet {
	t.Helper()
	f, err := store.NewFleet(rows, bytes.Repeat([]byte("names-key-16byte"), 2), [][]byte{bytes.Repeat([]byte("seals-key-16byte"), 2)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// A Fleet is a few replicas of one server, which share rows and an authorization server. Replica n
// has Stores[n], Worlds[n] and Seats[n], the endpoint at which it is asked.
type Fleet struct {
	T      *testing.T
	Rows   store.Shared
	Stores []*store.Fleet
	Worlds []*World
	Seats  []*Endpoint

	unmarked atomic.Pointer[error]
}

// NewFleet makes one of so many replicas; setup says what each is like, but for its Store and its
// authorization server, which is as.
func NewFleet(t *testing.T, size int, as *fakeas.Server, setup func(n int) Setup) *Fleet {
	t.Helper()
	f := &Fleet{T: t, Rows: store.NewSharedMemory(nil)}
	for n := range size {
		s := setup(n)
		joined := JoinFleet(t, f.Rows)
		s.Shared, s.Options.Store = as, marking{joined, &f.unmarked}
		w := New(t, s)
		f.Stores, f.Worlds, f.Seats = append(f.Stores, joined), append(f.Worlds, w), append(f.Seats, w.Endpoint())
	}
	return f
}

// ErrGoexit given to MarksFail ends the goroutines that mark or look for a mark, as a test's Fatal does in a store of the author's.
var ErrGoexit = errors.New("world: the goroutine ends")

// MarksFail has nothing marked from now on, nor any mark found, by any replica; nil ends that.
func (f *Fleet) MarksFail(err error) {
	if err == nil {
		f.unmarked.Store(nil)
		return
	}
	f.unmarked.Store(&err)
}

// Sends has replica n answer a request of a host that shows links, and returns once all wait.
func (f *Fleet) Sends(n int, r Request) <-chan Reply {
	r.Caps = URLAlone
	out := f.Seats[n].Send(f.T.Context(), r)
	synctest.Wait()
	return out
}

// Wants demands that the handler of a tool was started so often, on all replicas.
func (f *Fleet) Wants(tool string, starts int) {
	f.T.Helper()
	n := 0
	for _, w := range f.Worlds {
		n += w.Starts(tool)
	}
	if n != starts {
		f.T.Errorf("%d starts of %s, want %d", n, tool, starts)
	}
}

// marking is a replica's store, whose marks can fail.
type marking struct {
	*store.Fleet
	err *atomic.Pointer[error]
}

func (m marking) fails() error {
	err := m.err.Load()
	switch {
	case err == nil:
		return nil
	case *err == ErrGoexit:
		runtime.Goexit()
	}
	return *err
}

func (m marking) Mark(ctx context.Context, name string, life time.Duration) (string, error) {
	if err := m.fails(); err != nil {
		return "", err
	}
	return m.Fleet.Mark(ctx, name, life)
}

func (m marking) Holder(ctx context.Context, name string) (string, error) {
	if err := m.fails(); err != nil {
		return "", err
	}
	return m.Fleet.Holder(ctx, name)
}
