package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// broken is a store that fails.
type broken struct{ err error }

func (b broken) Load(context.Context, string) ([]byte, error) { return nil, b.err }
func (b broken) Keys(context.Context) ([]string, error)       { return nil, b.err }
func (b broken) String() string                               { return "nowhere" }
func (b broken) Update(context.Context, string, func([]byte) ([]byte, error)) error {
	return b.err
}

// A machine without a keychain: what is used instead is said once, before
// anything is kept there, whatever the first use is.
func TestFallsBackAloud(t *testing.T) {
	ctx := t.Context()
	for name, use := range map[string]func(store.Store) error{
		"load":   func(s store.Store) error { _, err := s.Load(ctx, "alice"); return err },
		"update": func(s store.Store) error { return s.Update(ctx, "alice", to(secret)) },
		"list":   func(s store.Store) error { _, err := s.Keys(ctx); return err },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir() + "/grants"
			file := open(t, dir)
			var said []string
			s, err := store.FirstAvailable(func(used store.Store, why error) {
				if !errors.Is(why, store.ErrNoKeychain) {
					t.Errorf("why: %v", why)
				}
				wantKeys(t, file)
				said = append(said, used.String())
			}, broken{store.ErrNoKeychain}, file, store.Memory())
			must(t, s, err)
			if got := s.String(); got != "nowhere, or else encrypted in "+dir+", or else in memory" {
				t.Errorf("before: %s", got)
			}
			for range 2 {
				if err := use(s); err != nil {
					t.Fatal(err)
				}
			}
			put(t, s, "alice", secret)
			want(t, file, "alice", secret)
			if !slices.Equal(said, []string{file.String()}) {
				t.Errorf("said: %q", said)
			}
			if s.String() != file.String() || fmt.Sprintf("%#v", s) != "store.Store("+file.String()+")" {
				t.Errorf("after: %v", s)
			}
		})
	}
}

// Only what is not there is passed over. Trouble is returned, and tried again.
func TestTroubleIsNotEvaded(t *testing.T) {
	locked := errors.New("the keychain is locked")
	first := &broken{locked}
	memory := store.Memory()
	var said int
	s, err := store.FirstAvailable(func(store.Store, error) { said++ }, first, memory)
	must(t, s, err)
	_, load := s.Load(t.Context(), "alice")
	_, list := s.Keys(t.Context())
	for _, err := range []error{load, list, s.Update(t.Context(), "alice", to(secret))} {
		if !errors.Is(err, locked) {
			t.Errorf("error: %v", err)
		}
	}
	wantKeys(t, memory)
	if said > 0 {
		t.Error("it fell back")
	}
	first.err = nil // unlocked
	want(t, s, "alice", "")
	// From now on it is the one, even if it goes away.
	first.err = store.ErrNoKeychain
	if err := s.Update(t.Context(), "alice", to(secret)); !errors.Is(err, store.ErrNoKeychain) {
		t.Errorf("error: %v", err)
	}
	if wantKeys(t, memory); said > 0 {
		t.Error("it fell back")
	}
}

// An error of the change is not one of the store.
func TestChangeFailsAsUnavailable(t *testing.T) {
	memory := store.Memory()
	s, err := store.FirstAvailable(func(store.Store, error) { t.Error("it fell back") }, store.Memory(), memory)
	must(t, s, err)
	calls := 0
	err = s.Update(t.Context(), "alice", func([]byte) ([]byte, error) { calls++; return []byte(secret), store.ErrUnavailable })
	if !errors.Is(err, store.ErrUnavailable) || calls != 1 {
		t.Errorf("%d calls, error: %v", calls, err)
	}
	wantKeys(t, memory)
}

func TestNoneAvailable(t *testing.T) {
	fellBack := func(store.Store, error) { t.Error("it fell back") }
	s, err := store.FirstAvailable(fellBack, broken{store.ErrNoKeychain}, broken{store.ErrUnavailable})
	must(t, s, err)
	err = s.Update(t.Context(), "alice", func([]byte) ([]byte, error) { t.Error("changed"); return nil, nil })
	if !errors.Is(err, store.ErrNoKeychain) || !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("error: %v", err)
	}
}
