package store_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// inFolder returns a store for each of so many processes, all of one folder.
func inFolder(t *testing.T, dir string, n int) []*store.Processes {
	t.Helper()
	var all []*store.Processes
	for range n {
		folder, err := store.File(dir, bytes.Repeat([]byte("0123456789abcdef"), 2))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, store.NewProcesses(folder))
	}
	return all
}

// Of all processes that make a mark, it is one's, which may make it again.
func TestProcesses_MarkIsOnes(t *testing.T) {
	all := inFolder(t, filepath.Join(t.TempDir(), "grants"), 8)
	holders := make([]string, len(all))
	var wg sync.WaitGroup
	for n, p := range all {
		wg.Go(func() {
			holder, err := p.Mark(t.Context(), "start CALL", time.Hour)
			if err != nil {
				t.Error(err)
			}
			holders[n] = holder
		})
	}
	wg.Wait()
	first := 0
	for n, p := range all {
		if holders[n] != holders[0] {
			t.Errorf("%q and %q hold it", holders[n], holders[0])
		}
		if p.Incarnation() == holders[0] {
			first++
		}
		if holder, err := p.Holder(t.Context(), "start CALL"); holder != holders[0] || err != nil {
			t.Errorf("it is %q's, %v", holder, err)
		}
		if again, err := p.Mark(t.Context(), "start CALL", time.Hour); again != holders[0] || err != nil {
			t.Errorf("again: %q's, %v", again, err)
		}
	}
	if first != 1 {
		t.Errorf("%d processes hold it", first)
	}
	if keys, err := all[0].Keys(t.Context()); len(keys) != 0 || err != nil {
		t.Errorf("marks are records: %q, %v", keys, err)
	}
	if !all[0].SuitsFrequentWrites() || store.NewProcesses(store.Memory()).SuitsFrequentWrites() {
		t.Error("it is not what the store under it is")
	}
}

// Marks end, and do not stay behind.
func TestProcesses_MarksEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "grants")
		all := inFolder(t, dir, 2)
		if _, err := all[0].Mark(t.Context(), "start ONE", time.Minute); err != nil {
			t.Fatal(err)
		}
		if err := all[0].Update(t.Context(), "a grant", func([]byte) ([]byte, error) { return []byte("x"), nil }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if holder, err := all[1].Holder(t.Context(), "start ONE"); holder != "" || err != nil {
			t.Errorf("after its life it is %q's, %v", holder, err)
		}
		before := entries(t, dir)
		time.Sleep(time.Hour)
		if holder, err := all[1].Mark(t.Context(), "start TWO", time.Minute); holder != all[1].Incarnation() || err != nil {
			t.Errorf("%q, %v", holder, err)
		}
		if after := entries(t, dir); after > before {
			t.Errorf("%d files, and %d before", after, before)
		}
		if got, err := all[0].Load(t.Context(), "a grant"); string(got) != "x" || err != nil {
			t.Errorf("the record is %q, %v", got, err)
		}
	})
}

func entries(t *testing.T, dir string) int {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// readAlone is a store that can be read alone.
type readAlone struct{ store.Store }

func (readAlone) Update(context.Context, string, func([]byte) ([]byte, error)) error {
	return store.ErrUnwritable
}

// Where nothing can be marked, nobody holds the mark.
func TestProcesses_Unmarked(t *testing.T) {
	p := store.NewProcesses(readAlone{store.Memory()})
	if holder, err := p.Mark(t.Context(), "start ONE", time.Minute); holder != "" || !errors.Is(err, store.ErrUnwritable) {
		t.Errorf("%q, %v", holder, err)
	}
	if holder, err := p.Mark(t.Context(), "start ONE", 0); holder != "" || err == nil {
		t.Errorf("without a life: %q, %v", holder, err)
	}
}
