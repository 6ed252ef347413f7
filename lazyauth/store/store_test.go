package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/storetest"
)

// Every store here keeps the contract.
func TestContract(t *testing.T) {
	again := func(s store.Store) storetest.Subject {
		return storetest.Subject{Open: func() (store.Store, error) { return s, nil }}
	}
	inFolder := func(t *testing.T, open func(dir string) (store.Store, error)) storetest.Subject {
		dir := filepath.Join(t.TempDir(), "grants")
		s := storetest.Subject{Open: func() (store.Store, error) { return open(dir) }}
		if runtime.GOOS != "windows" && os.Geteuid() != 0 { // others may write in every folder
			s.ReadOnly = func() (func(), error) {
				return func() { must(t, 0, os.Chmod(dir, 0o700)) }, os.Chmod(dir, 0o500)
			}
		}
		return s
	}
	for name, subject := range map[string]func(t *testing.T) storetest.Subject{
		"memory": func(*testing.T) storetest.Subject { return again(store.Memory()) },
		"file": func(t *testing.T) storetest.Subject {
			return inFolder(t, func(dir string) (store.Store, error) { return store.File(dir, testKey(1)) })
		},
		"unencrypted file": func(t *testing.T) storetest.Subject { return inFolder(t, store.UnencryptedFile) },
		"keychain": func(t *testing.T) storetest.Subject {
			openKeychain(t)
			return storetest.Subject{Open: func() (store.Store, error) { return store.Keychain("notes-mcp") }}
		},
		"first available": func(t *testing.T) storetest.Subject {
			return inFolder(t, func(dir string) (store.Store, error) {
				file, err := store.File(dir, testKey(1))
				if err != nil {
					return nil, err
				}
				return store.FirstAvailable(func(store.Store, error) {}, broken{store.ErrNoKeychain}, file, store.Memory())
			})
		},
	} {
		t.Run(name, func(t *testing.T) { storetest.Run(t, subject) })
	}
}

func TestRecordIsTooLong(t *testing.T) {
	for _, s := range []store.Store{store.Memory(), open(t, t.TempDir()+"/grants"), openKeychain(t)} {
		put(t, s, "alice", "hers")
		if err := s.Update(t.Context(), "alice", to(strings.Repeat("r", store.MaxRecord+1))); err == nil {
			t.Errorf("%v takes more than it can keep", s)
		}
		want(t, s, "alice", "hers")
	}
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
