package store_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// onDisk runs a story on both kinds of files.
func onDisk(t *testing.T, story func(t *testing.T, dir string, open func() store.Store)) {
	t.Run("encrypted", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "state", "grants")
		story(t, dir, func() store.Store { return open(t, dir) })
	})
	t.Run("not encrypted", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "state", "grants")
		story(t, dir, func() store.Store { return openPlain(t, dir) })
	})
}

func TestTheNextProcessFindsIt(t *testing.T) {
	onDisk(t, func(t *testing.T, dir string, open func() store.Store) {
		put(t, open(), "alice", secret)
		want(t, open(), "alice", secret)
		wantKeys(t, open(), "alice")
		put(t, open(), "alice", "changed")
		want(t, open(), "alice", "changed")
		if left := files(t, dir, ".tmp"); left != nil {
			t.Errorf("left behind: %q", left)
		}
	})
}

// Looking for a grant leaves no trace on the disk.
func TestReadingMakesNothing(t *testing.T) {
	onDisk(t, func(t *testing.T, dir string, open func() store.Store) {
		want(t, open(), "alice", "")
		wantKeys(t, open())
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the folder was made: %v", err)
		}
	})
}

func TestNothingReadableOnDisk(t *testing.T) {
	dir := t.TempDir() + "/grants"
	put(t, open(t, dir), "alice@example.com", secret)
	for _, path := range files(t, dir, "") {
		data, err := os.ReadFile(path)
		if must(t, data, err); bytes.Contains(data, []byte(secret)) || bytes.Contains(data, []byte("alice")) || strings.Contains(path, "alice") {
			t.Errorf("%s tells", path)
		}
	}
}

// Damage of any kind is an error once, says where the file is now, and leaves it
// there; then there is no record.
func TestDamage(t *testing.T) {
	damages := map[string]func([]byte) []byte{
		"empty":                 func([]byte) []byte { return nil },
		"cut in its first line": func(b []byte) []byte { return b[:7] },
		"cut in its header":     func(b []byte) []byte { return b[:20] },
		"cut short":             func(b []byte) []byte { return b[:len(b)-1] },
		"half":                  func(b []byte) []byte { return b[:len(b)/2] },
		"a key id altered":      func(b []byte) []byte { b[17]++; return b },
		"its end altered":       func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"its middle altered":    func(b []byte) []byte { b[len(b)/2] ^= 0x80; return b },
		"longer":                func(b []byte) []byte { return append(b, 0) },
		"endless":               func(b []byte) []byte { return append(b, make([]byte, 1<<20)...) },
		"zeros":                 func(b []byte) []byte { return make([]byte, len(b)) },
		"something else":        func([]byte) []byte { return []byte(`{"access_token":"` + secret + `"}`) },
	}
	discover := map[string]func(store.Store) error{
		"load":   func(s store.Store) error { _, err := s.Load(t.Context(), "alice"); return err },
		"update": func(s store.Store) error { return s.Update(t.Context(), "alice", to("overwritten")) },
		"list":   func(s store.Store) error { _, err := s.Keys(t.Context()); return err },
	}
	onDisk(t, func(t *testing.T, dir string, open func() store.Store) {
		for damage, do := range damages {
			for how, by := range discover {
				t.Run(damage+", "+how, func(t *testing.T) {
					defer os.RemoveAll(dir)
					put(t, open(), "alice", secret)
					path := grantFile(t, dir)
					put(t, open(), "bob", secret)
					good, err := os.ReadFile(path)
					bad := do(bytes.Clone(must(t, good, err)))
					if err := os.WriteFile(path, bad, 0o600); err != nil {
						t.Fatal(err)
					}

					err = by(open())
					if !errors.Is(err, store.ErrDamaged) {
						t.Fatalf("error: %v", err)
					}
					if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "alice") {
						t.Errorf("the error tells: %v", err)
					}
					aside := files(t, dir, ".damaged")
					if len(aside) != 1 || !strings.HasSuffix(err.Error(), aside[0]) {
						t.Fatalf("set aside are %q, the error says %v", aside, err)
					}
					if kept, err := os.ReadFile(aside[0]); !bytes.Equal(must(t, kept, err), bad) {
						t.Error("it was changed")
					}

					want(t, open(), "alice", "")
					want(t, open(), "bob", secret)
					wantKeys(t, open(), "bob")
					put(t, open(), "alice", "signed in anew")
					want(t, open(), "alice", "signed in anew")
					if still := files(t, dir, ".damaged"); len(still) != 1 || still[0] != aside[0] {
						t.Errorf("set aside are %q", still)
					}
				})
			}
		}
	})
}

// Two damaged files of one key do not get into each other's way.
func TestDamagedTwice(t *testing.T) {
	onDisk(t, func(t *testing.T, dir string, open func() store.Store) {
		for n := range 3 {
			put(t, open(), "alice", secret)
			if err := os.WriteFile(grantFile(t, dir), []byte{byte(n)}, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := open().Load(t.Context(), "alice"); !errors.Is(err, store.ErrDamaged) {
				t.Errorf("error: %v", err)
			}
		}
		if aside := files(t, dir, ".damaged"); len(aside) != 3 {
			t.Errorf("set aside are %q", aside)
		}
	})
}

// A whole file under somebody else's name is not theirs.
func TestFilesExchanged(t *testing.T) {
	onDisk(t, func(t *testing.T, dir string, open func() store.Store) {
		put(t, open(), "alice", secret)
		hers := grantFile(t, dir)
		put(t, open(), "bob", "his")
		all := files(t, dir, ".grant")
		his := all[0]
		if his == hers {
			his = all[1]
		}
		if err := os.Rename(hers, his); err != nil {
			t.Fatal(err)
		}
		if record, err := open().Load(t.Context(), "bob"); record != nil || !errors.Is(err, store.ErrDamaged) {
			t.Errorf("bob has %q, %v", record, err)
		}
	})
}

// A file that waits for its key is no damage: it is left where it is.
func TestWrongKey(t *testing.T) {
	dir := t.TempDir() + "/grants"
	put(t, open(t, dir, testKey(1)), "alice", secret)
	good, err := os.ReadFile(grantFile(t, dir))
	must(t, good, err)

	untouched := func(s store.Store) {
		t.Helper()
		_, load := s.Load(t.Context(), "alice")
		update := s.Update(t.Context(), "alice", func([]byte) ([]byte, error) { t.Error("changed"); return nil, nil })
		_, list := s.Keys(t.Context())
		for _, err := range []error{load, update, list} {
			if !errors.Is(err, store.ErrWrongKey) || errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), grantFile(t, dir)) {
				t.Errorf("error: %v", err)
			}
		}
		if now, err := os.ReadFile(grantFile(t, dir)); !bytes.Equal(must(t, now, err), good) {
			t.Error("the file changed")
		}
	}
	untouched(open(t, dir, testKey(2), testKey(3)))
	untouched(openPlain(t, dir))
	want(t, open(t, dir, testKey(2), testKey(1)), "alice", secret)

	// Nor does a store that encrypts take what anybody may have written.
	dir = t.TempDir() + "/grants"
	put(t, openPlain(t, dir), "alice", "planted")
	good, err = os.ReadFile(grantFile(t, dir))
	must(t, good, err)
	untouched(open(t, dir))

	// A later version's file waits for that version.
	dir = t.TempDir() + "/grants"
	put(t, open(t, dir), "alice", secret)
	good, err = os.ReadFile(grantFile(t, dir))
	must(t, good, err)[15] = 'Z'
	if err := os.WriteFile(grantFile(t, dir), good, 0o600); err != nil {
		t.Fatal(err)
	}
	untouched(open(t, dir))
	untouched(openPlain(t, dir))
}

// A key is replaced in three steps: put the new one first, update every record,
// drop the old one.
func TestKeyReplaced(t *testing.T) {
	dir := t.TempDir() + "/grants"
	people := []string{"alice", "bob"}
	for _, who := range people {
		put(t, open(t, dir, testKey(1)), who, secret)
	}
	both := open(t, dir, testKey(2), testKey(1))
	keys, err := both.Keys(t.Context())
	for _, who := range must(t, keys, err) {
		if err := both.Update(t.Context(), who, func(old []byte) ([]byte, error) { return old, nil }); err != nil {
			t.Fatal(err)
		}
	}
	for _, who := range people {
		want(t, open(t, dir, testKey(2)), who, secret)
		if _, err := open(t, dir, testKey(1)).Load(t.Context(), who); !errors.Is(err, store.ErrWrongKey) {
			t.Errorf("the old key still opens: %v", err)
		}
	}
}

// What a killed writer left does not stay: it may hold tokens.
func TestUnfinishedFilesGo(t *testing.T) {
	onDisk(t, func(t *testing.T, dir string, open func() store.Store) {
		for name, change := range map[string]func([]byte) ([]byte, error){"update": to("new"), "removal": remove} {
			put(t, open(), "alice", secret)
			left := strings.TrimSuffix(grantFile(t, dir), "grant") + "ABC.tmp"
			others := filepath.Join(dir, "another.ABC.tmp")
			for _, path := range []string{left, others} {
				if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := open().Update(t.Context(), "alice", change); err != nil {
				t.Fatal(err)
			}
			if now := files(t, dir, ".tmp"); len(now) != 1 || now[0] != others {
				t.Errorf("after the %s there are %q", name, now)
			}
		}
	})
}

// The folder may be tidied up at any time: the grants are gone, and nothing else
// happens.
func TestFolderRemoved(t *testing.T) {
	onDisk(t, func(t *testing.T, dir string, open func() store.Store) {
		s := open()
		put(t, s, "alice", secret)
		err := s.Update(t.Context(), "alice", func([]byte) ([]byte, error) {
			return []byte("saved"), os.RemoveAll(dir)
		})
		if err != nil {
			t.Fatal(err)
		}
		want(t, s, "alice", "saved")
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		want(t, s, "alice", "")
		put(t, s, "alice", "signed in anew")
		want(t, s, "alice", "signed in anew")
	})
}

// A relative folder is found again after the program went somewhere else.
func TestRelativeFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	s := openPlain(t, "grants")
	put(t, s, "alice", secret)
	t.Chdir(t.TempDir())
	want(t, s, "alice", secret)
}

func TestFolderInTheWay(t *testing.T) {
	onDisk(t, func(t *testing.T, dir string, open func() store.Store) {
		put(t, open(), "alice", secret)
		path := grantFile(t, dir)
		if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
			t.Fatal(err)
		}
		if err := open().Update(t.Context(), "alice", to(secret)); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("Update: %v", err)
		}
		if left := files(t, dir, ".tmp"); left != nil {
			t.Errorf("left behind: %q", left)
		}
	})
}
