package store

import (
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/zalando/go-keyring"
)

// ownKeychain is a keychain in this process, and the store that uses it.
func ownKeychain(t *testing.T) (*keychain, Store) {
	t.Helper()
	keyring.MockInit()
	k := newKeychain("notes-mcp")
	k.absent = func(error) string { return "" }
	k.requests = &queue{limit: 1, advice: keychains.advice}
	locks := &folder{path: t.TempDir() + "/locks"}
	k.locks = func() (*folder, error) { return locks, nil }
	return k, &kept{place: k}
}

func update(t *testing.T, s Store, key, record string) {
	t.Helper()
	if err := s.Update(t.Context(), key, func([]byte) ([]byte, error) { return []byte(record), nil }); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, s Store, key, record string) {
	t.Helper()
	if got, err := s.Load(t.Context(), key); err != nil || string(got) != record {
		t.Fatalf("Load(%q): %.20q, %v; want %.20q", key, got, err, record)
	}
}

// items returns the accounts of an entry's items.
func items(t *testing.T, name string) []string {
	t.Helper()
	var found []string
	try := func(account string) {
		if _, err := keyring.Get("notes-mcp", account); err == nil {
			found = append(found, account)
		}
	}
	try(name)
	if _, err := keyring.Get("notes-mcp", trialName(name)); err == nil != (found != nil) {
		t.Errorf("items %q, of a trial: %v", found, err)
	}
	for n := range maxPieces + 1 {
		try(pieceName(name, "a", n))
		try(pieceName(name, "b", n))
	}
	return found
}

// The longest service name, key and record fit into what every platform takes,
// and what is replaced or removed leaves nothing behind.
func TestItemsFit(t *testing.T) {
	_, s := ownKeychain(t)
	key := strings.Repeat("k", MaxKey)
	for _, size := range []int{MaxRecord, 0, 1, 3000, MaxRecord, 1300, 6000, 5999} {
		update(t, s, key, strings.Repeat("r", size))
		expect(t, s, key, strings.Repeat("r", size))
		found := items(t, nameOf(key))
		encoded := base64.StdEncoding.EncodedLen(2 + len(key) + size)
		if want := max(1, (encoded+pieceSize-1)/pieceSize); len(found) != want || want > maxPieces {
			t.Errorf("%d items for %d bytes; want %d", len(found), size, want)
		}
		for _, account := range found {
			text, _ := keyring.Get("notes-mcp", account)
			// Windows takes 2560 bytes. On macOS the library writes the text in
			// base64 into a command of at most 4095.
			command := fmt.Sprintf("add-generic-password -U -s '%0100d' -a %s -w go-keyring-base64:%s\n",
				0, account, base64.StdEncoding.EncodeToString([]byte(text)))
			if len(text) > 2560 || len(command) > 4095 {
				t.Errorf("item %s: %d bytes, a command of %d", account, len(text), len(command))
			}
		}
	}
	if err := s.Update(t.Context(), key, func([]byte) ([]byte, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	if left := items(t, nameOf(key)); left != nil {
		t.Errorf("left behind: %q", left)
	}
}

// A dying library is that of a process which is killed when it has made some
// number of changes.
type dying struct {
	platform
	changes int // it has left
}

var errKilled = errors.New("killed")

func (d *dying) change() error {
	if d.changes == 0 {
		return errKilled
	}
	d.changes--
	return nil
}

func (d *dying) Set(service, account, text string) error {
	if err := d.change(); err != nil {
		return err
	}
	return d.platform.Set(service, account, text)
}

func (d *dying) Delete(service, account string) error {
	if err := d.change(); err != nil {
		return err
	}
	return d.platform.Delete(service, account)
}

// A process may be killed between any two requests to the keychain. Then there is
// the old record or the new one, it is listed, and the next update leaves nothing
// behind that does not belong to its record.
func TestKilledBetweenItems(t *testing.T) {
	texts := map[string]string{"none": "", "short": "s", "long": strings.Repeat("l", 5000), "longer": strings.Repeat("L", 9000)}
	set := func(k *keychain, text string) error {
		return (&kept{place: k}).Update(t.Context(), "alice", func([]byte) ([]byte, error) {
			if text == "" {
				return nil, nil
			}
			return []byte(text), nil
		})
	}
	died := 0
	locks := &folder{path: t.TempDir() + "/locks"}
	for before, old := range texts {
		for after, fresh := range texts {
			for _, next := range texts {
				for changes := 0; ; changes++ {
					keyring.MockInit()
					k := newKeychain("notes-mcp")
					k.locks = func() (*folder, error) { return locks, nil }
					s := &kept{place: k}
					if err := set(k, old); err != nil {
						t.Fatal(err)
					}
					k.library = &dying{changes: changes}
					err := set(k, fresh)
					finished := err == nil && k.library.(*dying).changes > 0
					if err == nil {
						expect(t, s, "alice", fresh)
					} else if !errors.Is(err, errKilled) {
						t.Fatal(err)
					}
					k.library = platform{}
					got, err := s.Load(t.Context(), "alice")
					if err != nil || string(got) != old && string(got) != fresh {
						t.Fatalf("%s to %s, killed after %d: %.10q, %v", before, after, changes, got, err)
					}
					if keys, err := s.Keys(t.Context()); err != nil || (len(keys) == 1) != (got != nil) {
						t.Fatalf("%s to %s, killed after %d: Keys: %q, %v", before, after, changes, keys, err)
					}
					if err := set(k, next); err != nil {
						t.Fatal(err)
					}
					expect(t, s, "alice", next)
					wanted := 0
					if next != "" {
						wanted = (base64.StdEncoding.EncodedLen(len(next)+6) + pieceSize - 1) / pieceSize
					}
					if found := items(t, nameOf("alice")); len(found) != wanted {
						t.Fatalf("%s to %s, killed after %d: %d bytes are in %q", before, after, changes, len(next), found)
					}
					if finished {
						break
					}
					died++
				}
			}
		}
	}
	t.Logf("killed %d times", died)
}

// forgetful is a library that says it wrote, and did not.
type forgetful struct{ platform }

func (forgetful) Set(string, string, string) error { return nil }

// A prompt that was dismissed looks like success to the library. What was not
// kept is not said to be.
func TestWriteWasDismissed(t *testing.T) {
	k, s := ownKeychain(t)
	write := func(record string) error {
		return s.Update(t.Context(), "alice", func([]byte) ([]byte, error) { return []byte(record), nil })
	}
	k.library = forgetful{}
	if err := write("new"); err == nil || !strings.Contains(err.Error(), "did not keep") {
		t.Errorf("the first record: %v", err)
	}
	k.library = platform{}
	update(t, s, "alice", "old")
	k.library = forgetful{}
	if err := write("new"); err == nil || !strings.Contains(err.Error(), "did not keep") {
		t.Errorf("the next record: %v", err)
	}
	expect(t, s, "alice", "old")
}

// A trusting library takes the keychain at its word.
type trusting struct{ platform }

func (trusting) Get(string, string) (string, error) {
	var answer any = "not a list"
	return answer.([]string)[0], nil
}

func TestKeychainAnswersNonsense(t *testing.T) {
	k, s := ownKeychain(t)
	update(t, s, "alice", "hers")
	k.library = trusting{}
	if _, err := s.Load(t.Context(), "alice"); err == nil || errors.Is(err, ErrUnavailable) {
		t.Errorf("error: %v", err)
	}
	k.library = platform{}
	expect(t, s, "alice", "hers")
}

// A slow library lets others queue while it works.
type slow struct{ platform }

func (s slow) Get(service, account string) (string, error) {
	for range 100 {
		runtime.Gosched()
	}
	return s.platform.Get(service, account)
}

// Grants that are added and removed at once all get onto the list.
func TestListIsShared(t *testing.T) {
	k, s := ownKeychain(t)
	k.library = slow{}
	const people = 20
	var wg sync.WaitGroup
	for n := range people {
		wg.Go(func() {
			key := fmt.Sprintf("%02d", n)
			update(t, s, key, "record")
			if n%2 == 0 {
				if err := s.Update(t.Context(), key, func([]byte) ([]byte, error) { return nil, nil }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	keys, err := s.Keys(t.Context())
	slices.Sort(keys)
	if err != nil || len(keys) != people/2 || keys[0] != "01" {
		t.Errorf("Keys: %q, %v", keys, err)
	}
	if e, err := k.read(nameOf(index)); err != nil || len(e.lines()) != people/2 {
		t.Errorf("the list has %q, %v", e.lines(), err)
	}
}

func TestDamagedItems(t *testing.T) {
	record := strings.Repeat("tok", 2000)
	for what, do := range map[string]func(name string, h *head){
		"first item replaced": func(name string, _ *head) { keyring.Set("notes-mcp", name, "a password") },
		"first item emptied":  func(name string, _ *head) { keyring.Set("notes-mcp", name, "") },
		"first item huge":     func(name string, _ *head) { keyring.Set("notes-mcp", name, strings.Repeat("x", 100_000)) },
		"first line alone":    func(name string, h *head) { keyring.Set("notes-mcp", name, h.String()) },
		"piece removed":       func(name string, h *head) { keyring.Delete("notes-mcp", pieceName(name, h.generation, 1)) },
		"piece altered":       func(name string, h *head) { keyring.Set("notes-mcp", pieceName(name, h.generation, 0), "dG9r") },
		"piece huge": func(name string, h *head) {
			keyring.Set("notes-mcp", pieceName(name, h.generation, 0), strings.Repeat("x", 100_000))
		},
		"somebody else's": func(name string, _ *head) {
			other, _ := keyring.Get("notes-mcp", nameOf("bob"))
			keyring.Set("notes-mcp", name, other)
		},
	} {
		t.Run(what, func(t *testing.T) {
			k, s := ownKeychain(t)
			update(t, s, "bob", "his")
			update(t, s, "alice", record)
			name := nameOf("alice")
			h, _, err := k.head(name)
			if err != nil {
				t.Fatal(err)
			}
			do(name, h)
			bad, _ := keyring.Get("notes-mcp", name)
			_, err = s.Load(t.Context(), "alice")
			if !errors.Is(err, ErrDamaged) || strings.Contains(err.Error(), "tok") {
				t.Fatalf("error: %v", err)
			}
			_, where, _ := strings.Cut(err.Error(), "in the keychain as ")
			where, _, _ = strings.Cut(where, " ")
			if kept, err := keyring.Get("notes-mcp", where); err != nil || kept != bad[:min(len(bad), 2*pieceSize)] {
				t.Errorf("set aside as %q: %.20q, %v", where, kept, err)
			}
			expect(t, s, "alice", "")
			expect(t, s, "bob", "his")
			update(t, s, "alice", record)
			expect(t, s, "alice", record)
		})
	}
}

// Another version's entry waits for that version.
func TestItemOfAnotherVersion(t *testing.T) {
	_, s := ownKeychain(t)
	keyring.Set("notes-mcp", nameOf("alice"), itemMagic+"2 something new\n...")
	_, load := s.Load(t.Context(), "alice")
	for _, err := range []error{load, s.Update(t.Context(), "alice", func([]byte) ([]byte, error) { return nil, nil })} {
		if !errors.Is(err, ErrWrongKey) || errors.Is(err, ErrDamaged) {
			t.Errorf("error: %v", err)
		}
	}
	if text, err := keyring.Get("notes-mcp", nameOf("alice")); err != nil || !strings.HasPrefix(text, itemMagic+"2 ") {
		t.Errorf("now it is %q, %v", text, err)
	}
}

// Without its list a keychain loses no grant; the list grows again.
func TestDamagedList(t *testing.T) {
	_, s := ownKeychain(t)
	update(t, s, "alice", "hers")
	update(t, s, "bob", "his")
	keyring.Set("notes-mcp", nameOf(index), "not a list")
	err := s.Update(t.Context(), "alice", func([]byte) ([]byte, error) { return []byte("refreshed"), nil })
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("error: %v", err)
	}
	expect(t, s, "alice", "refreshed")
	expect(t, s, "bob", "his")
	if keys, err := s.Keys(t.Context()); err != nil || fmt.Sprint(keys) != "[alice]" {
		t.Errorf("Keys: %q, %v", keys, err)
	}
	update(t, s, "bob", "refreshed too")
	if keys, err := s.Keys(t.Context()); err != nil || fmt.Sprint(keys) != "[alice bob]" {
		t.Errorf("Keys: %q, %v", keys, err)
	}
	keyring.Set("notes-mcp", nameOf(index), "not a list")
	if _, err := s.Keys(t.Context()); !errors.Is(err, ErrDamaged) {
		t.Errorf("error: %v", err)
	}
}

func TestRoomForManyGrants(t *testing.T) {
	_, s := ownKeychain(t)
	fits := 0
	for ; ; fits++ {
		key := fmt.Sprintf("%03d%s", fits, strings.Repeat("k", MaxKey-3))
		err := s.Update(t.Context(), key, func([]byte) ([]byte, error) { return []byte("r"), nil })
		if err != nil {
			break
		}
	}
	if keys, err := s.Keys(t.Context()); err != nil || len(keys) != fits || fits < 60 {
		t.Errorf("%d grants fit, %d are listed, %v", fits, len(keys), err)
	}
}

// A keychain that is there and refuses is not an absent one.
func TestKeychainRefuses(t *testing.T) {
	k, s := ownKeychain(t)
	locked := errors.New("the collection is locked")
	keyring.MockInitWithError(locked)
	_, err := s.Load(t.Context(), "alice")
	if !errors.Is(err, locked) || errors.Is(err, ErrUnavailable) {
		t.Errorf("error: %v", err)
	}
	because := func(it error) func(error) string {
		return func(err error) string {
			if errors.Is(err, it) {
				return "there is none"
			}
			return ""
		}
	}
	k.absent = because(locked)
	if _, err = s.Load(t.Context(), "alice"); !errors.Is(err, ErrNoKeychain) || !errors.Is(err, ErrUnavailable) || !errors.Is(err, locked) {
		t.Errorf("error: %v", err)
	}
	// As macOS says of a user without a keychain.
	keyring.MockInit()
	k.absent = because(keyring.ErrNotFound)
	if _, err = s.Load(t.Context(), "alice"); !errors.Is(err, ErrNoKeychain) {
		t.Errorf("error: %v", err)
	}
}
