package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// absentKeychain uses a keychain where there is none.
func absentKeychain(dir string, _ int) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	keychain, err := store.Keychain("lazyauth-test")
	if err != nil {
		return err
	}
	_, load := keychain.Load(ctx, "alice")
	_, list := keychain.Keys(ctx)
	update := keychain.Update(ctx, "alice", func([]byte) ([]byte, error) { return nil, errors.New("change was called") })
	for _, err := range []error{load, list, update} {
		if !errors.Is(err, store.ErrNoKeychain) || !errors.Is(err, store.ErrUnavailable) {
			return fmt.Errorf("not an absent keychain: %w", err)
		}
	}
	file, err := store.File(dir, testKey(1))
	if err != nil {
		return err
	}
	s, err := store.FirstAvailable(func(used store.Store, why error) { fmt.Println(used, "because", why) }, keychain, file)
	if err != nil {
		return err
	}
	return s.Update(ctx, "alice", to("kept"))
}

// No bus answers, as in a container: the keychain says so, and what is used
// instead is named. Nothing here is an imitation; it takes a process of its own,
// since the keychain of this one is one.
func TestNoKeychain(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "absent", dir+"/grants", 0, "DBUS_SESSION_BUS_ADDRESS=unix:path="+dir+"/no-bus", "XDG_STATE_HOME="+dir+"/state")
	line, _ := p.output.ReadString('\n')
	t.Log(line)
	p.ends(t)
	if want := "encrypted in " + dir + "/grants because "; len(line) < len(want) || line[:len(want)] != want {
		t.Errorf("it said %q", line)
	}
	want(t, open(t, dir+"/grants"), "alice", "kept")
}

func init() {
	roles["absent"] = absentKeychain
	roles["unwritable"] = useUnwritable
}
