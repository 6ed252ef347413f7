package state_test

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/state"
)

// A state and the value that it names end at the same moment of one clock: a state that
// opened for longer would have a handler's own round begun a second time. That clock is the
// monotonic one, which nobody sets; here it is set by hand, and the wall clock goes on.
func TestTable_ValueEndsWithItsState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const end = 10 * time.Minute
		var clock atomic.Int64 // read by timers as well
		now := func() time.Duration { return time.Duration(clock.Load()) }
		var ended []string
		table := state.NewTable[string](16, now, func(v string) { ended = append(ended, v) })
		defer table.Close()
		sealer := newSealer(t)
		sealed := seal(t, sealer, state.State{Call: "ROUND", Round: true, End: end}, binding)
		opened, err := sealer.Open(sealed, binding, now())
		if err != nil {
			t.Fatal(err)
		}
		opens := func() bool {
			_, err := sealer.Open(sealed, binding, now())
			return err == nil
		}
		kept := func() bool {
			_, ok := table.Get("ROUND")
			return ok
		}
		if v, err := table.Begin(opened, "u", 1, "first"); v != "first" || err != nil {
			t.Fatalf("Begin = %q, %v", v, err)
		}
		if v, err := table.Begin(opened, "u", 1, "second"); v != "first" || err != nil {
			t.Errorf("a second Begin = %q, %v; want the first value", v, err)
		}
		time.Sleep(end) // by a clock that does not count
		synctest.Wait()
		if !opens() || !kept() {
			t.Errorf("before its end: opens %t, kept %t", opens(), kept())
		}
		clock.Store(int64(end))
		table.Keep("ROUND", "u", 1, "first", end+time.Minute) // longer, after all
		time.Sleep(time.Minute)
		synctest.Wait()
		if opens() || !kept() {
			t.Errorf("a minute before the last state ends: the first one opens %t, kept %t", opens(), kept())
		}
		clock.Add(int64(time.Minute))
		table.Keep("ROUND", "u", 1, "first", now()+1) // its timer runs anew
		clock.Add(1)
		time.Sleep(time.Minute)
		synctest.Wait()
		if kept() || !slices.Equal(ended, []string{"first"}) {
			t.Errorf("at its end: kept %t, ended %q", kept(), ended)
		}
		// Nor does one begin whose state was opened in time and has ended meanwhile.
		if v, err := table.Begin(opened, "u", 1, "late"); !errors.Is(err, state.ErrState) || kept() {
			t.Errorf("after its end Begin = %q, %v, kept %t; want ErrState", v, err, kept())
		}
	})
}

// One owner of many has a sixteenth, and has it again when a value has ended; all have the
// whole; what is kept already needs no room.
func TestTable_Room(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		epoch := time.Now()
		table := state.NewTable[string](32, func() time.Duration { return time.Since(epoch) }, func(int) {})
		defer table.Close()
		keep := func(name, owner string, until time.Duration) bool { return table.Keep(name, owner, 1, 0, until) }
		if !keep("a1", "a", time.Minute) || !keep("a2", "a", time.Hour) {
			t.Fatal("there is no room for the first two of one owner")
		}
		if table.HasRoom("a3", "a", 1) || keep("a3", "a", time.Hour) {
			t.Error("an owner gets more than a sixteenth")
		}
		if _, err := table.Begin(state.State{Call: "a3", End: time.Hour}, "a", 1, 0); !errors.Is(err, state.ErrFull) {
			t.Errorf("Begin of a third: %v; want ErrFull", err)
		}
		if !table.HasRoom("a2", "a", 1) || !keep("a2", "a", time.Hour) {
			t.Error("what is kept needs room")
		}
		if !table.HasRoom("b1", "b", 1) {
			t.Error("one owner takes another's room")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if !keep("a1", "a", time.Hour) {
			t.Error("what was given up is not kept again")
		}
		for n := range 30 {
			if name := string(rune('A' + n)); !keep(name, name, time.Hour) {
				t.Fatalf("there is no room for %d", n+3)
			}
		}
		if table.HasRoom("c1", "c", 1) || keep("c1", "c", time.Hour) {
			t.Error("the table holds more than its limit")
		}
	})
}

// A closed table has nothing, takes nothing, and its timers are stopped.
func TestTable_Close(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		epoch := time.Now()
		table := state.NewTable[string](16, func() time.Duration { return time.Since(epoch) }, func(int) { t.Error("a value is said to have ended") })
		table.Keep("a", "u", 1, 1, time.Minute)
		table.Close()
		if _, ok := table.Get("a"); ok {
			t.Error("it holds a value")
		}
		if table.Keep("a", "u", 1, 1, time.Hour) {
			t.Error("it takes a value")
		}
		time.Sleep(time.Hour)
	})
}

// A value may count as several, and as more later, for as long as it is kept.
func TestTable_Grow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		epoch := time.Now()
		table := state.NewTable[string](64, func() time.Duration { return time.Since(epoch) }, func(int) {})
		defer table.Close()
		if table.Keep("a1", "a", 5, 0, time.Minute) || !table.Keep("a1", "a", 2, 0, time.Minute) {
			t.Error("an owner has not four of them")
		}
		for _, step := range []struct {
			name string
			many int
			want bool
		}{{"a1", 3, true}, {"a1", 1, true}, {"a1", 5, false}, {"a1", 4, true}, {"unknown", 100, true}} {
			if table.Grow(step.name, step.many) != step.want {
				t.Errorf("growing %s to %d: %t", step.name, step.many, !step.want)
			}
		}
		if table.HasRoom("a2", "a", 1) {
			t.Error("there is room beside four")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if !table.HasRoom("a2", "a", 4) {
			t.Error("what was kept has not given all back")
		}
	})
}
