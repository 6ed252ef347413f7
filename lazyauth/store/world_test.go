package store_test

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/zalando/go-keyring"
)

// secret is what no error may contain.
const secret = "gho_0123456789SECRET"

func testKey(n byte) []byte {
	key := bytes.Repeat([]byte{n}, store.KeySize)
	key[0]++
	return key
}

func open(t testing.TB, dir string, keys ...[]byte) store.Store {
	t.Helper()
	if keys == nil {
		keys = [][]byte{testKey(1)}
	}
	s, err := store.File(dir, keys...)
	return must(t, s, err)
}

func openPlain(t testing.TB, dir string) store.Store {
	t.Helper()
	s, err := store.UnencryptedFile(dir)
	return must(t, s, err)
}

// openKeychain is a keychain that lives in this process.
func openKeychain(t *testing.T) store.Store {
	t.Helper()
	keyring.MockInit()
	for _, name := range []string{"XDG_STATE_HOME", "HOME", "LocalAppData"} {
		t.Setenv(name, t.TempDir())
	}
	s, err := store.Keychain("notes-mcp")
	return must(t, s, err)
}

func must[T any](t testing.TB, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func put(t testing.TB, s store.Store, key, record string) {
	t.Helper()
	if err := s.Update(t.Context(), key, to(record)); err != nil {
		t.Fatal(err)
	}
}

// to is the change that makes a record of text.
func to(text string) func([]byte) ([]byte, error) {
	return func([]byte) ([]byte, error) { return []byte(text), nil }
}

func remove([]byte) ([]byte, error) { return nil, nil }

// want checks the record of key; "" means that there is none.
func want(t testing.TB, s store.Store, key, record string) {
	t.Helper()
	got, err := s.Load(t.Context(), key)
	if err != nil || (got == nil) != (record == "") || string(got) != record {
		t.Fatalf("Load(%q): %.40q, %v; want %.40q", key, got, err, record)
	}
}

func wantKeys(t testing.TB, s store.Store, want ...string) {
	t.Helper()
	got, err := s.Keys(t.Context())
	slices.Sort(got)
	slices.Sort(want)
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("Keys: %q, %v; want %q", got, err, want)
	}
}

// files returns the names in dir that end in suffix.
func files(t testing.TB, dir, suffix string) []string {
	t.Helper()
	var names []string
	all, err := os.ReadDir(dir)
	for _, e := range must(t, all, err) {
		if strings.HasSuffix(e.Name(), suffix) {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	return names
}

// What waits in package store, by the function in which it does: see parked.
const (
	lockWaiter    = "store.locked["        // for another process
	turnWaiter    = "store.(*turns).take(" // for another update in this one
	requestWaiter = "store.(*queue).make(" // for an answer
)

// parked returns how many goroutines wait in a function.
func parked(function string) (n int) {
	stacks := make([]byte, 1<<20)
	for one := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		state, frames, _ := strings.Cut(one, "\n")
		top, _, _ := strings.Cut(frames, "\n")
		if strings.Contains(state, "[select") && strings.Contains(top, function) {
			n++
		}
	}
	return n
}

// becomes waits for what has to become true, however slow the machine is, and reports whether it has.
func becomes(f func() bool) bool {
	for began := time.Now(); !f(); time.Sleep(time.Millisecond) {
		if time.Since(began) > time.Minute {
			return false
		}
	}
	return true
}

func waitUntil(t testing.TB, what string, f func() bool) {
	t.Helper()
	if !becomes(f) {
		t.Errorf("not within a minute: %s", what)
	}
}

// grantFile returns the one file in dir that holds a record.
func grantFile(t testing.TB, dir string) string {
	t.Helper()
	all := files(t, dir, ".grant")
	if len(all) != 1 {
		t.Fatalf("%d files hold records: %q", len(all), all)
	}
	return all[0]
}
