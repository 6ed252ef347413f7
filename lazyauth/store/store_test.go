package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// everywhere runs a story on each kind of store.
func everywhere(t *testing.T, story func(t *testing.T, s store.Store)) {
	t.Run("memory", func(t *testing.T) { story(t, store.Memory()) })
	t.Run("file", func(t *testing.T) { story(t, open(t, t.TempDir()+"/grants")) })
	t.Run("unencrypted file", func(t *testing.T) { story(t, openPlain(t, t.TempDir()+"/grants")) })
	t.Run("keychain", func(t *testing.T) { story(t, openKeychain(t)) })
	t.Run("first available", func(t *testing.T) {
		s, err := store.FirstAvailable(func(store.Store, error) { t.Error("fell back") }, open(t, t.TempDir()+"/grants"), store.Memory())
		story(t, must(t, s, err))
	})
}

func TestLifeOfARecord(t *testing.T) {
	everywhere(t, func(t *testing.T, s store.Store) {
		want(t, s, "alice", "")
		wantKeys(t, s)
		put(t, s, "alice", "first "+secret)
		put(t, s, "bob at https://issuer.example/ ü", "his "+secret)
		want(t, s, "alice", "first "+secret)
		wantKeys(t, s, "alice", "bob at https://issuer.example/ ü")

		err := s.Update(t.Context(), "alice", func(old []byte) ([]byte, error) {
			if string(old) != "first "+secret {
				t.Errorf("change was given %q", old)
			}
			return append(old, ", refreshed"...), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		want(t, s, "alice", "first "+secret+", refreshed")

		if err := s.Update(t.Context(), "alice", remove); err != nil {
			t.Fatal(err)
		}
		want(t, s, "alice", "")
		want(t, s, "bob at https://issuer.example/ ü", "his "+secret)
		wantKeys(t, s, "bob at https://issuer.example/ ü")
		if err := s.Update(t.Context(), "alice", remove); err != nil {
			t.Errorf("removing nothing: %v", err)
		}
	})
}

// A record that is there and empty is not one that is missing.
func TestEmptyRecord(t *testing.T) {
	everywhere(t, func(t *testing.T, s store.Store) {
		if err := s.Update(t.Context(), "alice", func([]byte) ([]byte, error) { return []byte{}, nil }); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Load(t.Context(), "alice"); got == nil || len(got) != 0 || err != nil {
			t.Errorf("Load: %#v, %v", got, err)
		}
		err := s.Update(t.Context(), "alice", func(old []byte) ([]byte, error) {
			if old == nil {
				t.Error("change was told that there is none")
			}
			return old, nil
		})
		if err != nil {
			t.Error(err)
		}
		wantKeys(t, s, "alice")
	})
}

func TestBounds(t *testing.T) {
	everywhere(t, func(t *testing.T, s store.Store) {
		long := strings.Repeat("k", store.MaxKey)
		large := strings.Repeat("0123456\xff", store.MaxRecord/8)
		put(t, s, long, large)
		want(t, s, long, large)
		wantKeys(t, s, long)

		if err := s.Update(t.Context(), long, to(large+"!")); err == nil {
			t.Error("a record that is too long was accepted")
		}
		want(t, s, long, large)
		put(t, s, long, "short again")
		want(t, s, long, "short again")

		for _, key := range []string{"", long + "k", "two\nlines", "nul\x00", "not UTF-8 \xff", "bell\a"} {
			err := s.Update(t.Context(), key, to("record"))
			if err == nil || key != "" && strings.Contains(err.Error(), key) {
				t.Errorf("Update(%.20q): %v", key, err)
			}
			if _, err := s.Load(t.Context(), key); err == nil {
				t.Errorf("Load(%.20q) succeeded", key)
			}
		}
	})
}

// What change says is final: its error comes back as it is, and nothing changed.
func TestChangeFails(t *testing.T) {
	everywhere(t, func(t *testing.T, s store.Store) {
		put(t, s, "alice", "old")
		out := errors.New("the authorization server is out of reach")
		err := s.Update(t.Context(), "alice", func(old []byte) ([]byte, error) {
			copy(old, "xxx")
			return old, out
		})
		if err != out {
			t.Errorf("Update: %v", err)
		}
		want(t, s, "alice", "old")

		func() {
			defer func() { _ = recover() }()
			_ = s.Update(t.Context(), "alice", func([]byte) ([]byte, error) { panic("a bug") })
		}()
		put(t, s, "alice", "nothing is locked any more")
	})
}

// The records that went in and came out are nobody else's.
func TestRecordsAreCopies(t *testing.T) {
	everywhere(t, func(t *testing.T, s store.Store) {
		record := []byte("record")
		if err := s.Update(t.Context(), "alice", func([]byte) ([]byte, error) { return record, nil }); err != nil {
			t.Fatal(err)
		}
		record[0] = 'x'
		got, err := s.Load(t.Context(), "alice")
		must(t, got, err)[0] = 'y'
		want(t, s, "alice", "record")
	})
}

// A refresh token that was issued is kept, even if the call that wanted it was
// given up in that moment.
func TestGivenUpWhileItRefreshes(t *testing.T) {
	everywhere(t, func(t *testing.T, s store.Store) {
		want(t, s, "alice", "")
		ctx, cancel := context.WithCancel(t.Context())
		err := s.Update(ctx, "alice", func([]byte) ([]byte, error) {
			cancel()
			return []byte("rotated"), nil
		})
		if err != nil {
			t.Error(err)
		}
		want(t, s, "alice", "rotated")

		err = s.Update(ctx, "alice", func([]byte) ([]byte, error) { t.Error("changed after the end"); return nil, nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Update after the end: %v", err)
		}
		if _, err := s.Load(ctx, "alice"); !errors.Is(err, context.Canceled) {
			t.Errorf("Load after the end: %v", err)
		}
		if _, err := s.Keys(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Keys after the end: %v", err)
		}
	})
}

// Updates of one key wait for each other, and no others do.
func TestOneAtATime(t *testing.T) {
	everywhere(t, func(t *testing.T, s store.Store) {
		const updates = 40
		var wg sync.WaitGroup
		for range updates {
			wg.Go(func() {
				err := s.Update(t.Context(), "counter", func(old []byte) ([]byte, error) { return append(old, '+'), nil })
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		want(t, s, "counter", strings.Repeat("+", updates))

		err := s.Update(t.Context(), "alice", func([]byte) ([]byte, error) {
			put(t, s, "bob", "not held up")
			want(t, s, "alice", "")
			return nil, nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		refreshing, answer := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			_ = s.Update(t.Context(), "alice", func([]byte) ([]byte, error) {
				close(refreshing)
				<-answer
				return []byte("rotated"), nil
			})
		})
		<-refreshing
		gone := errors.New("the host cancelled the call")
		ctx, cancel := context.WithCancelCause(t.Context())
		wg.Go(func() {
			err := s.Update(ctx, "alice", func([]byte) ([]byte, error) { t.Error("refreshed as well"); return nil, nil })
			if !errors.Is(err, gone) {
				t.Errorf("Update: %v", err)
			}
		})
		synctest.Wait()
		cancel(gone)
		synctest.Wait()
		close(answer)
		wg.Wait()
		want(t, s, "alice", "rotated")
	})
}

func TestPlacesAreNamed(t *testing.T) {
	dir := t.TempDir()
	for got, want := range map[string]string{
		store.Memory().String():          "in memory",
		open(t, dir).String():            "encrypted in " + dir,
		openPlain(t, dir).String():       "unencrypted in " + dir,
		openKeychain(t).String():         "in the keychain",
		fmt.Sprint(open(t, dir)):         "encrypted in " + dir,
		fmt.Sprintf("%+v", open(t, dir)): "encrypted in " + dir,
		fmt.Sprintf("%#v", open(t, dir)): "store.Store(encrypted in " + dir + ")",
	} {
		if got != want {
			t.Errorf("%q; want %q", got, want)
		}
	}
}

func TestUnusableSettings(t *testing.T) {
	for name, make := range map[string]func() (store.Store, error){
		"no key":         func() (store.Store, error) { return store.File(t.TempDir()) },
		"a short key":    func() (store.Store, error) { return store.File(t.TempDir(), []byte(secret)) },
		"a long old key": func() (store.Store, error) { return store.File(t.TempDir(), testKey(1), append(testKey(2), 0)) },
		"a key of zeros": func() (store.Store, error) {
			return store.File(t.TempDir(), []byte(strings.Repeat("\x00", store.KeySize)))
		},
		"no folder":       func() (store.Store, error) { return store.UnencryptedFile("") },
		"no service":      func() (store.Store, error) { return store.Keychain("") },
		"a long service":  func() (store.Store, error) { return store.Keychain(strings.Repeat("s", 101)) },
		"two lines":       func() (store.Store, error) { return store.Keychain("notes\ndelete-keychain") },
		"like an option":  func() (store.Store, error) { return store.Keychain("-i") },
		"nobody to tell":  func() (store.Store, error) { return store.FirstAvailable(nil, store.Memory()) },
		"nothing to have": func() (store.Store, error) { return store.FirstAvailable(func(store.Store, error) {}) },
		"nil": func() (store.Store, error) {
			return store.FirstAvailable(func(store.Store, error) {}, store.Memory(), nil)
		},
	} {
		if s, err := make(); err == nil || s != nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
}
