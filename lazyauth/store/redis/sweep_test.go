package redis_test

import (
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/enginetest"
)

// keys are those of a place, with how many members each has that is a set.
func keys(t *testing.T, p *place) int {
	t.Helper()
	line, err := server.Do(t.Context(), "EVAL", `"return`, `#redis.call('KEYS',`, `'{`+p.opts.Name+`}:*')"`, "0")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, c := range strings.TrimPrefix(line, ":") {
		n = 10*n + int(c-'0')
	}
	return n
}

// Rows that end leave nothing behind, neither in the sets, and no more is left than what is there.
func TestSweep(t *testing.T) {
	p := newPlace(t, server)
	db := p.open()
	change := store.Change{Generation: 1, Content: []byte("ends"), SealedBy: "k1", Person: store.Hash{1}, Ends: 10 * time.Millisecond}
	for n := range 20 {
		change.Person[1] = byte(n)
		if _, err := db.Insert(t.Context(), enginetest.Grant(n), change); err != nil {
			t.Fatal(err)
		}
	}
	enginetest.Eventually(t, "they have ended", func() bool { return enginetest.Get(t, db, enginetest.Grant(19)) == nil })
	enginetest.Eventually(t, "nothing is left", func() bool {
		enginetest.Put(t, db, enginetest.Grant(100), "sweeps") // a few of them, as every write does
		if err := db.Delete(t.Context(), enginetest.Grant(100)); err != nil {
			t.Fatal(err)
		}
		return keys(t, p) == 0
	})
	// One that is made in the place of one that has ended keeps what is its own.
	change.Person = store.Hash{2}
	if _, err := db.Insert(t.Context(), enginetest.Grant(1), change); err != nil {
		t.Fatal(err)
	}
	enginetest.Eventually(t, "it has ended", func() bool { return enginetest.Get(t, db, enginetest.Grant(1)) == nil })
	change.Ends = enginetest.Long
	if ok, err := db.Insert(t.Context(), enginetest.Grant(1), change); err != nil || !ok {
		t.Fatalf("Insert: %t, %v", ok, err)
	}
	for range 3 {
		enginetest.Put(t, db, enginetest.Grant(100+keys(t, p)), "sweeps")
	}
	if ids, err := db.OfPerson(t.Context(), store.Hash{2}, store.ID{}, 10); err != nil || len(ids) != 1 {
		t.Errorf("OfPerson: %v, %v", ids, err)
	}
	if ids, err := db.NotSealedBy(t.Context(), "", store.ID{}, 10); err != nil || len(ids) != 1 {
		t.Errorf("NotSealedBy: %v, %v", ids, err)
	}
}
