// Package enginetest has what the tests of all engines for machines that share a store have in common: stories of
// servers that end, links that fail, and sign-ins and refreshes of many people, which take a real server.
package enginetest

import (
	"context"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/internal/engines"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// A Place is one without rows, that no other test uses.
type Place struct {
	// Connect opens it over the link, as a machine of its own that waits so long for an answer, and returns what closes
	// it; zero: as long as a busy machine may need.
	Connect func(timeout time.Duration) (s store.Shared, closes func(), err error)
	Link    *engines.Link
	// Engine is its name in errors, and Secret what is in none.
	Engine, Secret string
}

// Open opens the place, as a machine of its own, which the test closes.
func (p Place) Open(t *testing.T) store.Shared {
	t.Helper()
	s, closes, err := p.Connect(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closes)
	return s
}

// Impatient opens it as a machine that waits for an answer no longer than that: for what does not answer. One that
// does may take longer, now and then.
func (p Place) Impatient(t *testing.T, timeout time.Duration) (s store.Shared) {
	t.Helper()
	Eventually(t, "it is opened in time", func() bool {
		opened, closes, err := p.Connect(timeout)
		if err != nil {
			return false
		}
		t.Cleanup(closes)
		s = opened
		return true
	})
	return s
}

// Long is a lease that does not end before the test does.
const Long = time.Hour

// patience is with what a busy machine does at last, since a connection is tried again after ten seconds only.
const patience = 3 * time.Minute

// Eventually waits for what has to become true, however slow the machine is.
func Eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for began := time.Now(); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// Grant is the id of a row by a number.
func Grant(n int) store.ID {
	id := store.ID{Kind: "grant"}
	binary.BigEndian.PutUint64(id.Key[:], uint64(n))
	return id
}

// Put makes a row, and returns it.
func Put(t *testing.T, s store.Shared, id store.ID, content string) *store.Row {
	t.Helper()
	if ok, err := s.Insert(t.Context(), id, store.Change{Generation: 1, Content: []byte(content)}); err != nil || !ok {
		t.Fatalf("Insert: %t, %v", ok, err)
	}
	return Get(t, s, id)
}

// Get returns a row, or nil.
func Get(t *testing.T, s store.Shared, id store.ID) *store.Row {
	t.Helper()
	row, err := s.Read(context.WithoutCancel(t.Context()), id)
	if err != nil {
		t.Fatal(err)
	}
	return row
}

// WantAdvice checks that an error says which server it is of, what to do, and no secret.
func (p Place) WantAdvice(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, word := range append(words, p.Engine+" at ") {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%v: there is nothing of %q in it", err, word)
		}
	}
	if strings.Contains(err.Error(), p.Secret) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v: there is the password in it", err)
	}
}
