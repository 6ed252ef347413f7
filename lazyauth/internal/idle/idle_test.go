package idle_test

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/idle"
)

// A thing is needed for as long as it is busy.
type thing struct {
	key  int
	busy atomic.Bool
	used int
}

func newMap(t *testing.T) *idle.Map[int, thing] {
	m := idle.NewMap(time.Minute, func(key int) *thing { return &thing{key: key} }, func(v *thing) bool { return !v.busy.Load() })
	t.Cleanup(m.Close)
	return m
}

// collect has the collector end what nothing refers to.
func collect() {
	for range 3 {
		runtime.GC()
	}
}

func keys(m *idle.Map[int, thing]) (all []int) {
	for v := range m.All() {
		all = append(all, v.key)
	}
	slices.Sort(all)
	return all
}

// A value is kept while it is asked for in each period, or is busy; then it is forgotten.
func TestMap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMap(t)
		for key := range 4 {
			m.Get(key).used = 1
		}
		m.Get(3).busy.Store(true)
		for range 10 {
			time.Sleep(50 * time.Second)
			m.Get(0).used++
		}
		collect()
		if got := keys(m); !slices.Equal(got, []int{0, 3}) {
			t.Errorf("these are kept: %v", got)
		}
		if used := m.Get(0).used; used != 11 {
			t.Errorf("the one in use was used %d times", used)
		}
		if used := m.Get(1).used; used != 0 {
			t.Errorf("a forgotten one was used %d times", used)
		}
		m.Get(3).busy.Store(false)
		time.Sleep(3 * time.Minute)
		collect()
		if got := keys(m); len(got) != 0 {
			t.Errorf("these are kept: %v", got)
		}
	})
}

// One that somebody has is the key's value, however long it is idle, and is kept anew when it
// is asked for.
func TestMap_OneForEachKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMap(t)
		func() { // which has it, and then nobody does
			mine := m.Get(1)
			time.Sleep(time.Hour)
			collect()
			if m.Get(1) != mine {
				t.Fatal("there are two")
			}
			mine.used = 7
		}()
		collect()
		if used := m.Get(1).used; used != 7 {
			t.Errorf("it was forgotten at once: %d", used)
		}
	})
}

// Without anything that is kept no sweep comes, and none after Close.
func TestMap_Rests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sweeps atomic.Int64
		m := idle.NewMap(time.Minute, func(int) *thing { return new(thing) }, func(*thing) bool { return sweeps.Add(1) > 2 })
		m.Get(1)
		time.Sleep(time.Hour)
		if sweeps.Load() != 3 {
			t.Errorf("swept %d times", sweeps.Load())
		}
		m.Get(2)
		m.Close()
		m.Get(3)
		time.Sleep(time.Hour)
		if sweeps.Load() != 3 {
			t.Errorf("swept %d times after Close", sweeps.Load())
		}
	})
}

// Whoever asks while others ask and the map forgets has the one value that there is.
func TestMap_SideBySide(t *testing.T) {
	m := idle.NewMap(time.Microsecond, func(key int) *thing { return &thing{key: key} }, func(v *thing) bool { return !v.busy.Load() })
	defer m.Close()
	var holders [4]atomic.Int64
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for range 2000 {
				key := n % len(holders)
				if v := m.Get(key); v.key != key {
					t.Errorf("key %d has the value of %d", key, v.key)
				}
				if n >= len(holders) {
					continue
				}
				// The only one who makes it busy, which must not be lost though nobody has it.
				if m.Get(key).busy.Swap(true) {
					t.Error("it is busy by somebody else")
				}
				runtime.Gosched()
				m.Rest(key)
				if !m.Get(key).busy.Swap(false) {
					t.Error("a busy one was forgotten")
				}
				m.Rest(key)
				holders[key].Add(1)
			}
		})
	}
	for range 20 {
		runtime.GC()
	}
	wg.Wait()
	for key := range holders {
		if holders[key].Load() != 2000 {
			t.Errorf("key %d: %d rounds", key, holders[key].Load())
		}
	}
}

// What is forgotten leaves no key behind.
func TestMap_Empty(t *testing.T) {
	m := idle.NewMap(time.Millisecond, func(int) *thing { return new(thing) }, func(*thing) bool { return true })
	defer m.Close()
	for key := range 10_000 {
		m.Get(key)
	}
	for deadline := time.Now().Add(3 * time.Minute); m.Len() > 0; runtime.GC() {
		if time.Now().After(deadline) {
			t.Fatalf("%d keys are left", m.Len())
		}
		time.Sleep(time.Millisecond)
	}
}

// A value that is idle can be forgotten at once; one that is busy, or was asked for since, is not.
func TestMap_Rest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMap(t)
		for key := range 1000 {
			m.Get(key)
		}
		m.Get(7).busy.Store(true)
		for key := range 2000 {
			m.Rest(key)
		}
		m.Get(8).used = 1
		collect()
		if got := keys(m); !slices.Equal(got, []int{7, 8}) {
			t.Errorf("these are kept: %v", got)
		}
		time.Sleep(30 * time.Second)
		if m.Get(7); !m.Get(7).busy.Load() || m.Get(8).used != 1 {
			t.Error("a value was lost")
		}
	})
}
