package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zalando/go-keyring"
)

// Keychain returns a store in the keychain of the user's session: the login
// keychain of macOS, the Credential Manager of Windows, elsewhere the Secret
// Service (GNOME Keyring, KWallet, KeePassXC) on the session bus. It contacts
// nothing before it is used; where there is no keychain its methods then fail
// with [ErrNoKeychain].
//
// The service is the name under which the entries stand there, 1 to 100 ASCII
// letters, digits, dots, hyphens, underscores, slashes and spaces. Programs that
// give the same service share their grants.
//
// A keychain may ask the person for a password and take any time to answer. ctx
// ends the wait; at most one request is then left unanswered in the process.
//
// What keeps several processes apart is a lock file in a folder of the user's:
// $XDG_STATE_HOME (~/.local/state) on Linux, ~/Library/Application Support on
// macOS, %LocalAppData% on Windows. It holds nothing.
func Keychain(service string) (Store, error) {
	if service == "" || len(service) > 100 || strings.Trim(service, serviceLetters) != "" || service[0] == '-' {
		return nil, errors.New("store: the keychain needs a service name of 1 to 100 ASCII letters, digits, dots, hyphens, " +
			"underscores, slashes and spaces, which does not begin with a hyphen")
	}
	return &kept{newKeychain(service)}, nil
}

const serviceLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_/ "

// A keychain keeps an entry in items, small texts under account names: see
// items.go. The keys that have records are listed in an entry of their own,
// since no library lists what a keychain has. A key gets into the list before
// its record, and out of it after.
type keychain struct {
	service string
	library library
	locks   func() (*folder, error)
	// absent reports whether an error of the library means that there is no
	// keychain.
	absent func(error) bool
	hung   atomic.Int32 // requests that nobody waits for any more, and may still take effect
}

func newKeychain(service string) *keychain {
	return &keychain{service: service, library: platform{}, locks: sync.OnceValues(lockFolder), absent: noKeychain}
}

// A library reaches the keychain of the platform. What is not there is a
// keyring.ErrNotFound.
type library interface {
	Get(service, account string) (string, error)
	Set(service, account, text string) error
	Delete(service, account string) error
}

type platform struct{}

func (platform) Get(service, account string) (string, error) { return keyring.Get(service, account) }
func (platform) Set(service, account, text string) error {
	return keyring.Set(service, account, text)
}
func (platform) Delete(service, account string) error { return keyring.Delete(service, account) }

// index is the key of the entry that lists keys, one a line. No record has it,
// because it is not printable.
const index = "\n"

// writePatience is how long the keychain may take to write a record, which the
// caller's context does not end. A person may have to type a password.
const writePatience = 2 * time.Minute

// line lets one request of this process at a time through to the keychain: the
// library shares one connection, and one person answers its prompts.
var line = make(chan struct{}, 1)

// do sends a request to the keychain and waits for the answer or for ctx. The
// library cannot be interrupted.
func (k *keychain) do(ctx context.Context, request func() error) error {
	select {
	case line <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("store: the keychain has not answered an earlier request: %w", context.Cause(ctx))
	}
	const finished, abandoned = 1, 2
	var state atomic.Int32
	answer := make(chan error, 1)
	go func() { // ends with the answer
		err := guarded(request)
		switch {
		case err == nil:
		case k.absent(err):
			err = fmt.Errorf("store: %w (%w)", ErrNoKeychain, err)
		case !errors.Is(err, keyring.ErrNotFound):
			err = fmt.Errorf("store: the keychain refused: %w", err)
		}
		answer <- err
		if !state.CompareAndSwap(0, finished) {
			k.hung.Add(-1)
		}
		<-line
	}()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		k.hung.Add(1)
		if !state.CompareAndSwap(0, abandoned) {
			k.hung.Add(-1)
		}
		return fmt.Errorf("store: the keychain has not answered, it may be asking for a password: %w", context.Cause(ctx))
	}
}

// guarded turns a panic into an error: the library trusts what comes over the bus
// to have the right types.
func guarded(request func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("its answer could not be understood")
		}
	}()
	return request()
}

// get returns "" and false if there is no such item.
func (k *keychain) get(ctx context.Context, account string) (string, bool, error) {
	var text string
	err := k.do(ctx, func() (err error) {
		text, err = k.library.Get(k.service, account)
		return err
	})
	if errors.Is(err, keyring.ErrNotFound) && !errors.Is(err, ErrUnavailable) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	return text, true, nil
}

// put writes an item and looks whether it is there: the library takes a prompt
// that was dismissed for an answer on Linux, and on macOS a command that failed
// for one that did not (go-keyring issue 153).
func (k *keychain) put(ctx context.Context, account, text string) error {
	if err := k.do(ctx, func() error { return k.library.Set(k.service, account, text) }); err != nil {
		return err
	}
	got, ok, err := k.get(ctx, account)
	if err != nil {
		return err
	}
	if !ok || got != text {
		return errors.New("store: the keychain did not keep what it was given; it may be locked")
	}
	return nil
}

func (k *keychain) delete(ctx context.Context, account string) error {
	err := k.do(ctx, func() error { return k.library.Delete(k.service, account) })
	if errors.Is(err, keyring.ErrNotFound) && !errors.Is(err, ErrUnavailable) {
		return nil
	}
	return err
}

// guard keeps the lock beyond release while a request that nobody waits for can
// still change the record.
func (k *keychain) guard(ctx context.Context, name string) (func(), error) {
	locks, err := k.locks()
	if err != nil {
		return nil, err
	}
	release, err := locks.guard(ctx, nameOf(k.service+"\n"+name))
	if err != nil {
		return nil, err
	}
	return func() {
		if k.hung.Load() == 0 {
			release()
			return
		}
		go func() { // ends when the keychain answers
			line <- struct{}{}
			<-line
			release()
		}()
	}, nil
}

// lockFolder is where the lock files of keychains are. It must be the same for
// all processes of a user, and nothing may clean it up.
func lockFolder() (*folder, error) {
	var base string
	var err error
	switch runtime.GOOS {
	case "windows": // %LocalAppData%, which does not roam
		base, err = os.UserCacheDir()
	case "darwin", "ios":
		base, err = os.UserConfigDir()
	default:
		if base = os.Getenv("XDG_STATE_HOME"); !filepath.IsAbs(base) {
			base, err = os.UserHomeDir()
			base = filepath.Join(base, ".local", "state")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("store: there is no folder for the keychain's locks: %w", err)
	}
	return &folder{path: filepath.Join(base, "lazyauth", "locks")}, nil
}

func (k *keychain) write(ctx context.Context, name string, e *entry) error {
	ctx, cancel := context.WithTimeout(ctx, writePatience)
	defer cancel()
	damaged := k.list(ctx, e.key, true)
	if damaged != nil && !errors.Is(damaged, ErrDamaged) {
		return damaged
	}
	// A new list was begun, which is to be known, and the record is kept.
	return errors.Join(k.store(ctx, name, e), damaged)
}

func (k *keychain) remove(ctx context.Context, name, key string) error {
	ctx, cancel := context.WithTimeout(ctx, writePatience)
	defer cancel()
	if err := k.erase(ctx, name); err != nil {
		return err
	}
	// Should this fail, the list has a key without a record, which does no harm.
	_ = k.list(ctx, key, false)
	return nil
}

// list puts a key on the list of those that have records, or takes it off. It
// begins a new list if that was damaged, and returns the [ErrDamaged] as well.
func (k *keychain) list(ctx context.Context, key string, has bool) error {
	name := nameOf(index)
	release, err := k.guard(ctx, name)
	if err != nil {
		return err
	}
	defer release()
	e, damaged := (&kept{k}).readGuarded(ctx, name)
	if damaged != nil && !errors.Is(damaged, ErrDamaged) {
		return damaged
	}
	keys := e.lines()
	if slices.Contains(keys, key) == has {
		return damaged
	}
	if has {
		keys = append(keys, key)
	} else {
		keys = slices.DeleteFunc(keys, func(other string) bool { return other == key })
	}
	text := strings.Join(keys, "\n")
	if len(text) > MaxRecord {
		return fmt.Errorf("store: the keychain has %d grants under %q, and room for no more", len(keys)-1, k.service)
	}
	return errors.Join(k.store(ctx, name, &entry{index, []byte(text)}), damaged)
}

// lines returns the keys in the list of keys.
func (e *entry) lines() []string {
	if e == nil || len(e.record) == 0 {
		return nil
	}
	return strings.Split(string(e.record), "\n")
}

func (k *keychain) names(ctx context.Context) ([]string, error) {
	e, err := (&kept{k}).read(ctx, nameOf(index))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, key := range e.lines() {
		names = append(names, nameOf(key))
	}
	return names, nil
}

func (k *keychain) String() string { return "in the keychain" }
