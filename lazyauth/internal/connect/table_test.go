package connect_test

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/connect"
)

var (
	ada = connect.Person{Issuer: "i", Subject: "ada"}
	eve = connect.Person{Issuer: "i", Subject: "eve"}
)

func opens(t *testing.T, table connect.Table, id string, who connect.Person, life time.Duration) error {
	t.Helper()
	return table.Open(t.Context(), connect.Link{ID: id, Person: who, Ends: time.Now().Add(life)})
}

// An attempt is claimed once, by whoever comes first, and not after another was begun or the link has ended.
func TestTable_Claim(t *testing.T) {
	table := connect.NewMemory(10, 10)
	if err := opens(t, table, "l", ada, time.Minute); err != nil {
		t.Fatal(err)
	}
	claims := func(attempt string, want error) {
		t.Helper()
		if _, err := table.Claim(t.Context(), "l", attempt); !errors.Is(err, want) {
			t.Errorf("claiming %s: %v, want %v", attempt, err, want)
		}
	}
	begins := func(id string) {
		t.Helper()
		if err := table.Begin(t.Context(), "l", connect.Attempt{ID: id, Verifier: "v-" + id}); err != nil {
			t.Fatal(err)
		}
	}
	claims("unknown", connect.ErrRetired)
	begins("one")
	begins("two")
	claims("one", connect.ErrRetired)
	var won atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if a, err := table.Claim(t.Context(), "l", "two"); err == nil && a.Verifier == "v-two" {
				won.Add(1)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("claimed %d times", won.Load())
	}
	begins("three")
	claims("two", connect.ErrClaimed)
	if err := table.Close(t.Context(), "l"); err != nil {
		t.Fatal(err)
	}
	claims("three", connect.ErrEnded)
}

// Links end by their time, attempts are bounded, and so are the links of a person and in all.
func TestTable_Bounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := connect.NewMemory(3, 2)
		for n, test := range []struct {
			who  connect.Person
			want error
		}{{ada, nil}, {ada, nil}, {ada, connect.ErrBusy}, {eve, nil}, {eve, connect.ErrBusy}} {
			if err := opens(t, table, strconv.Itoa(n), test.who, time.Minute); !errors.Is(err, test.want) {
				t.Errorf("link %d: %v, want %v", n, err, test.want)
			}
		}
		for n := range 51 {
			err := table.Begin(t.Context(), "0", connect.Attempt{ID: strconv.Itoa(n)})
			if (n < 50) != (err == nil) || n == 50 && !errors.Is(err, connect.ErrOften) {
				t.Errorf("attempt %d: %v", n, err)
			}
		}
		time.Sleep(time.Minute)
		for _, id := range []string{"0", "unknown"} {
			if _, err := table.Find(t.Context(), id); !errors.Is(err, connect.ErrEnded) {
				t.Errorf("link %s: %v", id, err)
			}
		}
		if err := opens(t, table, "new", ada, time.Minute); err != nil {
			t.Errorf("after all have ended: %v", err)
		}
	})
}

// A link that is opened again has the room that it had, and no attempt of before.
func TestTable_OpenAgain(t *testing.T) {
	table := connect.NewMemory(10, 1)
	for range 3 {
		if err := opens(t, table, "l", ada, time.Minute); err != nil {
			t.Fatal(err)
		}
		if _, err := table.Claim(t.Context(), "l", "one"); !errors.Is(err, connect.ErrRetired) {
			t.Errorf("%v", err)
		}
		if err := table.Begin(t.Context(), "l", connect.Attempt{ID: "one"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := table.Close(t.Context(), "l"); err != nil {
		t.Fatal(err)
	}
	if err := opens(t, table, "other", ada, time.Minute); err != nil {
		t.Errorf("it has left something: %v", err)
	}
}
