package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
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

// Marks end, and however many there were, no more stays behind than a few records.
func TestProcesses_MarksEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		one, other := store.NewProcesses(s), store.NewProcesses(s)
		if err := one.Update(t.Context(), "a grant", func([]byte) ([]byte, error) { return []byte("x"), nil }); err != nil {
			t.Fatal(err)
		}
		for n := range 1000 {
			name := fmt.Sprint("start ", n)
			if holder, err := one.Mark(t.Context(), name, time.Minute); holder != one.Incarnation() || err != nil {
				t.Fatalf("%q, %v", holder, err)
			}
			if holder, err := other.Holder(t.Context(), name); holder != one.Incarnation() || err != nil {
				t.Fatalf("%q, %v", holder, err)
			}
		}
		time.Sleep(time.Minute)
		for n := range 1000 {
			if holder, err := other.Holder(t.Context(), fmt.Sprint("start ", n)); holder != "" || err != nil {
				t.Errorf("after its life it is %q's, %v", holder, err)
			}
		}
		if holder, err := other.Mark(t.Context(), "start 1", time.Minute); holder != other.Incarnation() || err != nil {
			t.Errorf("%q, %v", holder, err)
		}
		if all, err := s.Keys(t.Context()); len(all) > 65 || err != nil {
			t.Errorf("%d records, %v", len(all), err)
		}
		if keys, err := one.Keys(t.Context()); len(keys) != 1 || err != nil {
			t.Errorf("%q, %v", keys, err)
		}
	})
}

// Where there is no room nothing is marked, and what was marked stands.
func TestProcesses_NoRoom(t *testing.T) {
	if testing.Short() {
		t.Skip("it fills a record, change by change, on one goroutine: nothing can race")
	}
	s := store.Memory()
	one, other := store.NewProcesses(s), store.NewProcesses(s)
	for n := 0; ; n++ {
		name := fmt.Sprint(strings.Repeat("x", 1000), n)
		if holder, err := one.Mark(t.Context(), name, time.Hour); err != nil {
			if !errors.Is(err, store.ErrUnwritable) || holder != "" || n < 1000 {
				t.Errorf("mark %d: %q, %v", n, holder, err)
			}
			break
		}
	}
	if holder, err := other.Mark(t.Context(), strings.Repeat("x", 1000)+"0", time.Hour); holder != one.Incarnation() || err != nil {
		t.Errorf("the first mark is %q's, %v", holder, err)
	}
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
