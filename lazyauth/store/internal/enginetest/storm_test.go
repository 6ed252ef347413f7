package enginetest_test

import (
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/enginetest"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/storetest"
)

// inMemory is what costs nothing, to compare the engines with.
func inMemory(rows store.Shared) enginetest.Engine {
	return enginetest.Engine{Open: func() (store.Shared, func(), error) { return rows, func() {}, nil }}
}

func TestRefreshStorm(t *testing.T) { enginetest.TestStorm(t, inMemory(store.NewSharedMemory(nil))) }
func BenchmarkRefreshStorm(b *testing.B) {
	enginetest.BenchmarkStorm(b, inMemory(store.NewSharedMemory(nil)))
}

// Where attempts leave no trace, all machines use the same refresh tokens, and a storm says so.
func TestRefreshStorm_Unguarded(t *testing.T) {
	rows, err := storetest.Without(store.NewSharedMemory(nil), "begin")
	if err != nil {
		t.Fatal(err)
	}
	s := enginetest.BreakStorm(t, 20, inMemory(rows))
	if err := s.Check(); err == nil || s.Concurrent == 0 || s.Violations == 0 {
		t.Errorf("%+v, %v", s, err)
	} else {
		t.Log(err)
	}
}
