package postgres_test

import (
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/enginetest"
)

// Rows that have ended are removed, so many at a time, and no others.
func TestSweep(t *testing.T) {
	db := newPlace(t).open()
	enginetest.Put(t, db, enginetest.Grant(0), "stays")
	for n := range 5 {
		if _, err := db.Insert(t.Context(), enginetest.Grant(n+1), store.Change{Generation: 1, Content: []byte("ends"), Ends: time.Microsecond}); err != nil {
			t.Fatal(err)
		}
	}
	enginetest.Eventually(t, "they have ended", func() bool { return enginetest.Get(t, db, enginetest.Grant(5)) == nil })
	for _, want := range []int64{3, 2, 0} {
		if n, err := db.Sweep(t.Context(), 3); err != nil || n != want {
			t.Errorf("removed %d, %v; want %d", n, err, want)
		}
	}
	if row := enginetest.Get(t, db, enginetest.Grant(0)); row == nil {
		t.Error("what had no end was removed")
	}
}
