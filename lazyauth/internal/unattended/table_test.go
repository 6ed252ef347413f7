package unattended_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/unattended"
)

// What was not used for longest goes first, and nothing stays longer than it may.
func TestTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		built := 0
		table := unattended.NewTable[string, int](3)
		get := func(key string, life time.Duration) int {
			var until time.Time
			if life != 0 {
				until = time.Now().Add(life)
			}
			return table.Get(key, until, func() int { built++; return built })
		}
		all := func() []int { return table.All(func(string) bool { return true }) }
		get("a", time.Minute)
		get("b", 0)
		get("c", time.Hour)
		if get("a", time.Minute) != 1 || built != 3 {
			t.Error("it was built again")
		}
		get("d", 0) // b was not used for longest
		if got := all(); !slices.Equal(got, []int{4, 1, 3}) {
			t.Errorf("it has %v", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := all(); !slices.Equal(got, []int{4, 3}) {
			t.Errorf("a minute later it has %v", got)
		}
		if got := table.Take(func(key string) bool { return key == "c" }); !slices.Equal(got, []int{3}) {
			t.Errorf("taken: %v", got)
		}
		get("c", time.Hour) // whose time is not that of the one before
		if got := table.Close(); len(got) != 2 {
			t.Errorf("closed with %v", got)
		}
		if get("e", 0); len(all()) != 0 {
			t.Error("it keeps what is built after its end")
		}
		time.Sleep(2 * time.Hour)
	})
}
