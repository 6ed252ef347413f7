package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/storetest"
)

func init() {
	roles["absent"] = absentKeychain
	roles["present"] = presentKeychain
	roles["ignored"] = ignoredKeychain
	roles["unwritable"] = useUnwritable
}

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

// deniesSecrets is what the AppArmor policy of a snap does that is not connected to the
// password-manager-service interface.
func deniesSecrets(destination, _ string) bool { return destination == "org.freedesktop.secrets" }

// No bus answers, as in a container; or somebody serves keychains there and has none, as
// before the first login to a desktop; or a sandbox is in the way: the keychain says so,
// and what is used instead is named. It takes a process of its own, since the keychain of
// this one is an imitation.
func TestNoKeychain(t *testing.T) {
	for name, c := range map[string]struct {
		bus *secretService
		why string
	}{
		"no bus":        {nil, "no session bus answers"},
		"no collection": {&secretService{standard: noObject}, "has no collection"},
		"no default collection": {
			&secretService{standard: noObject, collections: []dbus.ObjectPath{"/org/freedesktop/secrets/collection/session"}}, "has no collection",
		},
		"snap":              {&secretService{standard: loginPath, collections: []dbus.ObjectPath{loginPath}, deny: deniesSecrets}, "a sandbox forbids it"},
		"may not even look": {&secretService{deny: func(_, member string) bool { return member != "Hello" }}, "a sandbox forbids it"},
		"may not enter":     {&secretService{deny: func(string, string) bool { return true }}, "does not let this program in"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			address := "unix:path=" + dir + "/no-bus"
			if c.bus != nil {
				address = c.bus.listen(t)
			}
			p := start(t, "absent", dir+"/grants", 0, "DBUS_SESSION_BUS_ADDRESS="+address, "XDG_STATE_HOME="+dir+"/state")
			line, _ := p.output.ReadString('\n')
			t.Log(line)
			p.ends(t)
			if !strings.HasPrefix(line, "encrypted in "+dir+"/grants because ") || !strings.Contains(line, c.why) {
				t.Errorf("it said %q", line)
			}
			want(t, open(t, dir+"/grants"), "alice", "kept")
		})
	}
}

// presentKeychain uses a keychain that is there, if it can.
func presentKeychain(dir string, _ int) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	keychain, err := store.Keychain("lazyauth-test")
	if err != nil {
		return err
	}
	s, err := store.FirstAvailable(func(store.Store, error) { fmt.Println("fell back") }, keychain, store.Memory())
	if err != nil {
		return err
	}
	long := strings.Repeat(secret, 300)
	for _, record := range []string{long, "short"} {
		if err := s.Update(ctx, "alice", to(record)); err != nil {
			return err
		}
		if got, err := s.Load(ctx, "alice"); err != nil || string(got) != record {
			return fmt.Errorf("Load: %.20q, %w", got, err)
		}
	}
	if keys, err := s.Keys(ctx); err != nil || len(keys) != 1 {
		return fmt.Errorf("Keys: %q, %w", keys, err)
	}
	return s.Update(ctx, "alice", remove)
}

// A keychain that is there is used; one that refuses is no reason to keep grants elsewhere.
func TestKeychainOnTheBus(t *testing.T) {
	login := []dbus.ObjectPath{loginPath}
	for name, c := range map[string]struct {
		bus   *secretService
		error string
	}{
		"login collection":   {&secretService{standard: noObject, collections: login}, ""},
		"default collection": {&secretService{standard: "/org/freedesktop/secrets/collection/kdewallet"}, ""},
		"prompt dismissed":   {&secretService{standard: loginPath, collections: login, unlock: "dismissed"}, "the keychain refused: failed to unlock"},
		"refuses to create": {
			&secretService{standard: loginPath, collections: login, deny: func(_, member string) bool { return member == "CreateItem" }},
			"the keychain cannot be written",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			p := start(t, "present", dir, 0, "DBUS_SESSION_BUS_ADDRESS="+c.bus.listen(t), "XDG_STATE_HOME="+dir+"/state")
			said, err := io.ReadAll(p.output)
			if must(t, said, err); len(said) > 0 {
				t.Errorf("it said %q", said)
			}
			err = p.cmd.Wait()
			if (err == nil) != (c.error == "") || !strings.Contains(p.errors.String(), c.error) {
				t.Errorf("%v: %s; want %q", err, p.errors.String(), c.error)
			}
			c.bus.mu.Lock()
			defer c.bus.mu.Unlock()
			for _, item := range c.bus.items {
				if strings.Contains(item.attributes["username"], ".") {
					t.Errorf("left behind: %v", item.attributes)
				}
			}
		})
	}
}

// The keychain keeps the contract by way of the real libraries. That takes a process of
// its own, which this test is also run in.
func TestContract_SecretService(t *testing.T) {
	const inside = "LAZYAUTH_STORE_TEST_CONTRACT"
	if os.Getenv(inside) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestContract_SecretService$", "-test.v")
		cmd.Env = append(os.Environ(), inside+"=yes")
		said, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(said), "--- PASS: TestContract_SecretService/silent") {
			t.Errorf("%v: %s", err, said)
		}
		return
	}
	bus := &secretService{standard: loginPath, collections: []dbus.ObjectPath{loginPath}}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", bus.listen(t))
	services := 0
	storetest.Run(t, func(t *testing.T) storetest.Subject {
		t.Setenv("XDG_STATE_HOME", t.TempDir())
		services++
		service := fmt.Sprint("notes-", services)
		return storetest.Subject{
			Open:     func() (store.Store, error) { return store.Keychain(service) },
			ReadOnly: bus.readOnly,
			Silence:  bus.silence,
		}
	})
}

// ignoredKeychain uses a keychain whose prompt nobody sees, until its input ends.
func ignoredKeychain(string, int) error {
	keychain, err := store.Keychain("lazyauth-test")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	gone := errors.New("given up")
	before := runtime.NumGoroutine()
	var wg sync.WaitGroup
	check := func(err error) {
		if !errors.Is(err, store.ErrNoAnswer) || !errors.Is(err, gone) || errors.Is(err, store.ErrUnavailable) {
			fmt.Println(err)
		}
	}
	const many = 50
	for n := range many {
		wg.Go(func() {
			switch n % 3 {
			case 0:
				_, err := keychain.Load(ctx, "alice")
				check(err)
			case 1:
				_, err := keychain.Keys(ctx)
				check(err)
			default:
				check(keychain.Update(ctx, "alice", func([]byte) ([]byte, error) { fmt.Println("change was called"); return nil, nil }))
			}
		})
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	if !becomes(func() bool { return parked(requestWaiter)+parked(turnWaiter)+parked(lockWaiter) == many }) {
		fmt.Println("not all wait")
	}
	cancel(gone)
	wg.Wait()
	// The one request, the library's connection with what it needs, and the standard input's. Who is done may take
	// a moment to end.
	if left := 0; !becomes(func() bool { left = runtime.NumGoroutine() - before; return left <= 5 }) {
		fmt.Printf("%d goroutines are left behind\n", left)
	}
	return nil
}

// A Secret Service asks for its password where nobody sees it, and never gets an answer.
func TestStuck_PromptIsNeverAnswered(t *testing.T) {
	bus := &secretService{standard: loginPath, collections: []dbus.ObjectPath{loginPath}, unlock: "ignored"}
	dir := t.TempDir()
	p := start(t, "ignored", dir, 0, "DBUS_SESSION_BUS_ADDRESS="+bus.listen(t), "XDG_STATE_HOME="+dir+"/state")
	<-bus.prompted
	p.input.Close()
	said, err := io.ReadAll(p.output)
	if must(t, said, err); len(said) > 0 {
		t.Errorf("it said %s", said)
	}
	p.ends(t)
}
