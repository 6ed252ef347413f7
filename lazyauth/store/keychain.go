package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

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
// ends the wait; at most one request is then left unanswered in the process, and
// while it is, the others fail with [ErrNoAnswer].
//
// What keeps several processes apart is a lock file in a folder of the user's:
// $XDG_STATE_HOME (~/.local/state) on Linux, ~/Library/Application Support on
// macOS, %LocalAppData% on Windows. It holds nothing.
func Keychain(service string) (Store, error) {
	if service == "" || len(service) > 100 || strings.Trim(service, serviceLetters) != "" || service[0] == '-' {
		return nil, errors.New("store: the keychain needs a service name of 1 to 100 ASCII letters, digits, dots, hyphens, " +
			"underscores, slashes and spaces, which does not begin with a hyphen")
	}
	return &kept{place: newKeychain(service)}, nil
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
	// absent returns why an error of the library means that there is no keychain,
	// or "".
	absent   func(error) string
	requests *queue
}

func newKeychain(service string) *keychain {
	return &keychain{service: service, library: platform{}, locks: sync.OnceValues(lockFolder), absent: noKeychain, requests: keychains}
}

// keychains lets one request of this process at a time through to the keychain: the
// library shares one connection, and one person answers its prompts.
var keychains = &queue{limit: 1, advice: "it may be asking for a password: unlock it, or answer its dialog"}

func (k *keychain) queue() *queue { return k.requests }

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

// do makes one request to the keychain. The library cannot be interrupted.
func (k *keychain) do(request func() error) error {
	err := guarded(request)
	if err == nil {
		return nil
	}
	if why := k.absent(err); why != "" {
		return fmt.Errorf("store: %w (%s: %w)", ErrNoKeychain, why, refusal{err})
	}
	if errors.Is(err, keyring.ErrNotFound) {
		return err
	}
	return fmt.Errorf("store: the keychain refused: %w", refusal{err})
}

// A refusal is what the keychain said, escaped and shortened.
type refusal struct{ err error }

func (r refusal) Error() string {
	const longest = 300
	text := []rune(strings.ToValidUTF8(r.err.Error(), "?"))
	if len(text) > longest {
		text = append(text[:longest], '…')
	}
	for n, c := range text {
		if !unicode.IsPrint(c) {
			text[n] = '?'
		}
	}
	return string(text)
}

func (r refusal) Unwrap() error { return r.err }

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
func (k *keychain) get(account string) (string, bool, error) {
	var text string
	err := k.do(func() (err error) {
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
func (k *keychain) put(account, text string) error {
	if err := k.do(func() error { return k.library.Set(k.service, account, text) }); err != nil {
		return err
	}
	got, ok, err := k.get(account)
	if err != nil {
		return err
	}
	if !ok || got != text {
		return errors.New("store: the keychain did not keep what it was given; it may be locked")
	}
	return nil
}

func (k *keychain) delete(account string) error {
	err := k.do(func() error { return k.library.Delete(k.service, account) })
	if errors.Is(err, keyring.ErrNotFound) && !errors.Is(err, ErrUnavailable) {
		return nil
	}
	return err
}

// lockOf is the lock of a record among those of all keychains.
func (k *keychain) lockOf(name string) string { return nameOf(k.service + "\n" + name) }

func (k *keychain) tryLock(name string) (func(), error) {
	locks, err := k.locks()
	if err != nil {
		return nil, err
	}
	return locks.tryLock(k.lockOf(name))
}

func (k *keychain) lockName(name string) string {
	locks, err := k.locks()
	if err != nil {
		return "in no folder"
	}
	return locks.join(lockFile(k.lockOf(name)))
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

// A keychainDraft is a record that has its place: its key is on the list, and an item
// beside it could be written a moment ago.
type keychainDraft struct {
	keychain *keychain
	name     string
	key      string
	listed   bool  // by this draft
	damaged  error // a new list was begun, which is to be known
}

func (k *keychain) prepare(ctx context.Context, name, key string) (draft, error) {
	d := &keychainDraft{keychain: k, name: name, key: key}
	var err error
	d.listed, err = k.list(ctx, key, true)
	if errors.Is(err, ErrDamaged) {
		d.damaged, err = err, nil
	}
	if err == nil {
		// Another text each time, or an old one would pass for it. It is removed with
		// the record only, since some keychains ask the person about removals.
		err = k.put(trialName(name), rand.Text())
	}
	if err != nil {
		d.discard()
		if errors.Is(err, ErrUnavailable) || errors.Is(err, ErrNoAnswer) {
			return nil, err
		}
		return nil, fmt.Errorf("store: the keychain %w: unlock it, or let this program write there: %w", ErrUnwritable, err)
	}
	return d, nil
}

func (d *keychainDraft) write(e *entry) error {
	return errors.Join(d.keychain.store(d.name, e), d.damaged)
}

func (d *keychainDraft) remove() error {
	if err := d.keychain.erase(d.name); err != nil {
		return err
	}
	d.delist()
	return d.damaged
}

// discard leaves nothing behind of a key that had no record before.
func (d *keychainDraft) discard() {
	if d.listed {
		_ = d.keychain.delete(trialName(d.name))
		d.delist()
	}
}

// delist takes the key off the list. Should this fail, the list has a key without a
// record, which does no harm.
func (d *keychainDraft) delist() { _, _ = d.keychain.list(context.Background(), d.key, false) }

// lockList waits for the lock of the list of keys, which is held for some requests only.
// In this process nobody else can have it, since it is taken by requests of the queue.
func (k *keychain) lockList(ctx context.Context) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, listWait)
	defer cancel()
	for {
		if unlock, err = k.tryLock(nameOf(index)); unlock != nil || err != nil {
			return unlock, err
		}
		select {
		case <-time.After(lockPause):
		case <-ctx.Done():
			return nil, fmt.Errorf("store: grants %s: %w", k, noAnswer{
				fmt.Sprintf("another process holds the lock of the list of grants (%s): if it is stopped, let it go on or end it",
					k.lockName(nameOf(index))), context.Cause(ctx),
			})
		}
	}
}

// listWait is how long to wait for the lock of the list.
const listWait = 10 * time.Second

// list puts a key on the list of those that have records, or takes it off, and reports
// whether it was not there, or was. It begins a new list if that was damaged, and returns
// the [ErrDamaged] as well.
func (k *keychain) list(ctx context.Context, key string, has bool) (changed bool, err error) {
	name := nameOf(index)
	// Most updates find the key there.
	if e, err := k.read(name); err == nil && slices.Contains(e.lines(), key) == has {
		return false, nil
	}
	unlock, err := k.lockList(ctx)
	if err != nil {
		return false, err
	}
	defer unlock()
	e, damaged := readLocked(k, name)
	if damaged != nil && !errors.Is(damaged, ErrDamaged) {
		return false, damaged
	}
	keys := e.lines()
	if slices.Contains(keys, key) == has {
		return false, damaged
	}
	if has {
		keys = append(keys, key)
	} else {
		keys = slices.DeleteFunc(keys, func(other string) bool { return other == key })
	}
	text := strings.Join(keys, "\n")
	if len(text) > MaxRecord {
		return false, fmt.Errorf("store: the keychain has %d grants under %q, and room for no more", len(keys)-1, k.service)
	}
	if err := k.store(name, &entry{index, []byte(text)}); err != nil {
		return false, err
	}
	return true, damaged
}

// lines returns the keys in the list of keys.
func (e *entry) lines() []string {
	if e == nil || len(e.record) == 0 {
		return nil
	}
	return strings.Split(string(e.record), "\n")
}

func (k *keychain) names(ctx context.Context) ([]string, error) {
	e, err := k.read(nameOf(index))
	if _, ok := errors.AsType[damage](err); ok {
		unlock, failed := k.lockList(ctx)
		if failed != nil {
			return nil, failed
		}
		defer unlock()
		e, err = readLocked(k, nameOf(index))
	}
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
