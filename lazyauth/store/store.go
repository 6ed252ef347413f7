package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxKey is the length of the longest key in bytes.
	MaxKey = 1 << 10
	// MaxRecord is the length of the longest record in bytes.
	MaxRecord = 64 << 10
)

// What an error of a store can mean; compare with errors.Is. No error contains
// anything of a record or of a key.
var (
	// ErrUnavailable: there is no such store where the program runs, which no
	// repetition will change. It is what makes [FirstAvailable] go on.
	ErrUnavailable = errors.New("not available here")

	// ErrNoKeychain: no keychain serves this program: on Linux there is no
	// session bus or no Secret Service on it (a container, a server, cron), it
	// has no collection to keep anything in (before the first login to a
	// desktop, WSL), or a sandbox forbids its use (snap); on Windows the logon
	// session has no credentials (ssh, some services). It is an
	// [ErrUnavailable].
	ErrNoKeychain = fmt.Errorf("there is no keychain in this session: %w", ErrUnavailable)

	// ErrNoAnswer: the store did not answer while the caller waited, or another
	// process holds the lock of the record. The error says which, and what may be
	// the matter. If it comes from an Update that had called change, the record is
	// written as soon as the store answers.
	ErrNoAnswer = errors.New("no answer")

	// ErrUnwritable: the store can be read and not written: its disk is full or
	// read-only, its folder may not be changed, its keychain keeps nothing. change
	// was not called.
	ErrUnwritable = errors.New("cannot be written")

	// ErrDamaged: the record was cut short or altered. It was set aside, the
	// error says where, and there is no record of that key now.
	ErrDamaged = errors.New("damaged record")

	// ErrWrongKey: the file was sealed with none of the keys given, or is not
	// sealed although it should be, or the reverse. It was left as it is.
	ErrWrongKey = errors.New("no key that was given opens it")

	// ErrFormat is an [ErrWrongKey]: a later release wrote it, in a format that this one does not
	// know. It was left as it is.
	ErrFormat = errors.New("in a format of a later release")

	// ErrUnsafe: users other than the one who runs the program could have read
	// or written the file or its folder. It was left as it is, and the error
	// says what to do.
	ErrUnsafe = errors.New("not private")
)

// A Store keeps records under keys. It is safe for concurrent use, by several
// processes if it outlives one. Package storetest is this contract as a test.
//
// Keys are printable UTF-8 of 1 to [MaxKey] bytes, records have at most
// [MaxRecord] bytes. An empty record is a record. Errors contain nothing of a
// record, name the store, and say what to do.
//
// Every method returns soon after ctx has ended, whatever the store is doing: it
// may wait for a person who is not there, or for a disk that does not answer.
type Store interface {
	// Load returns the record of key, or nil if there is none. It waits for no
	// Update.
	Load(ctx context.Context, key string) ([]byte, error)

	// Update replaces the record of key by what change returns for the present
	// one; nil stands for none, and returning nil deletes. Whoever else updates
	// the same key waits meanwhile, in this process and in others, so change
	// may take the seconds that a network needs; it must not update the same
	// key itself.
	//
	// Update calls change once at the most, and only when it expects to be able
	// to write: change may spend a refresh token that is good for one use and
	// that other processes share, so a store that is locked, read-only or full
	// has to be found out before. It fails with an [ErrUnwritable] then.
	//
	// If change fails nothing is written, and its error is returned as it is.
	// When Update returns nil the new record is durable. After any other error
	// the record is the old one or the new one, and never a part of either.
	//
	// Until change is called ctx ends the wait. It does not stop the writing of
	// what change returned: a refresh token that was issued must not be lost
	// because somebody stopped waiting. Once ctx has ended Update waits for the
	// writing some seconds more, and returns an [ErrNoAnswer] if it is not over.
	Update(ctx context.Context, key string, change func(old []byte) (record []byte, err error)) error

	// Keys lists the keys that have records, in no particular order. Beside an
	// error it returns those that could be read.
	Keys(ctx context.Context) ([]string, error)

	// String says for people where records are kept: "in the keychain". It does
	// not wait for anything.
	String() string
}

// A place is where records lie, and what the stores here differ in. Names stand
// for keys in it, see nameOf. Its methods may take for ever, except for queue,
// lockName and String, and are called by way of its queue.
type place interface {
	// queue is nil if the place always answers.
	queue() *queue
	// tryLock takes the lock of a record, or returns nil if another process has it.
	tryLock(name string) (unlock func(), err error)
	lockName(name string) string // for errors
	// read returns nil if there is nothing of that name. An error of type
	// damage says that what is there is not a record, or was not one at the
	// moment of reading: only under the lock is that certain.
	read(name string) (*entry, error)
	// prepare finds out whether the record of key can be written. It is called
	// under the lock.
	prepare(ctx context.Context, name, key string) (draft, error)
	// setAside moves what is there out of the way and says where it is now. It
	// is called under the lock.
	setAside(name string) (where string, err error)
	names(ctx context.Context) ([]string, error)
	String() string
}

// A draft is room for a record. One of its methods is called, once, under the lock
// that it was prepared under.
type draft interface {
	write(e *entry) error
	remove() error // that there is nothing to remove is no error
	discard()
}

// An entry is a record and whose it is.
type entry struct {
	key    string
	record []byte
}

// damage says in what way something is not a record.
type damage string

func (d damage) Error() string { return string(d) }

// kept is a store of the records that lie in a place.
type kept struct {
	place place
	turns turns
}

func (k *kept) Load(ctx context.Context, key string) ([]byte, error) {
	if err := check(ctx, key); err != nil {
		return nil, err
	}
	e, err := k.read(ctx, nameOf(key))
	if e == nil || err != nil {
		return nil, err
	}
	return e.record, nil
}

// read reads without the lock, and again with it if that brought no record: it
// may just have been replaced.
func (k *kept) read(ctx context.Context, name string) (*entry, error) {
	e, err := ask(ctx, k.place.queue(), func() (*entry, error) { return k.place.read(name) }, nil)
	if _, ok := errors.AsType[damage](err); !ok {
		return e, k.named(err)
	}
	var again error
	_, h, err := locked(ctx, k, name, func() (struct{}, error) {
		e, again = readLocked(k.place, name)
		return struct{}{}, nil
	}, nil)
	if err != nil {
		return nil, err
	}
	ctx, cancel := afterwards(ctx)
	defer cancel()
	_ = finish(ctx, k.place.queue(), func() error { h.release(); return nil })
	return e, again
}

// readLocked sets aside what is damaged.
func readLocked(p place, name string) (*entry, error) {
	e, err := p.read(name)
	what, ok := errors.AsType[damage](err)
	if !ok {
		return e, err
	}
	where, err := p.setAside(name)
	if err != nil {
		return nil, fmt.Errorf("store: %w (%w), and it could not be set aside: %w", ErrDamaged, what, err)
	}
	return nil, fmt.Errorf("store: %w (%w): it is now %s", ErrDamaged, what, where)
}

// A begun update knows the old record, and that it can write a new one.
type begun struct {
	old   *entry
	draft draft
}

func (k *kept) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	name := nameOf(key)
	b, h, err := locked(ctx, k, name, func() (b begun, err error) {
		if b.old, err = readLocked(k.place, name); err == nil {
			b.draft, err = k.place.prepare(ctx, name, key)
		}
		return b, err
	}, func(b begun) { b.draft.discard() })
	if err != nil {
		return err
	}
	var end func() error // nil discards
	ended := false
	finally := func() error {
		ended = true
		ctx, cancel := afterwards(ctx)
		defer cancel()
		return k.named(finish(ctx, k.place.queue(), func() error {
			defer h.release()
			if end == nil {
				b.draft.discard()
				return nil
			}
			return end()
		}))
	}
	defer func() {
		if !ended { // change panicked
			_ = finally()
		}
	}()
	var old []byte
	if b.old != nil {
		old = b.old.record
	}
	record, err := change(old)
	switch {
	case err != nil:
		_ = finally() // nothing was to be written
		return err
	case len(record) > MaxRecord:
		err := finally()
		return errors.Join(fmt.Errorf("store: a record of %d bytes is over the limit of %d", len(record), MaxRecord), err)
	case record == nil:
		end = b.draft.remove
	default:
		e := &entry{key, record}
		end = func() error { return b.draft.write(e) }
	}
	return finally()
}

// writeGrace is how long an update whose context has ended waits for the writing of
// the record.
const writeGrace = 5 * time.Second

// afterwards returns a context that ends a grace after ctx does.
func afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	later, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(writeGrace, func() { cancel(context.Cause(ctx)) })
	})
	return later, func() { stop(); cancel(nil) }
}

func (k *kept) Keys(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	names, err := ask(ctx, k.place.queue(), func() ([]string, error) { return k.place.names(ctx) }, nil)
	if err != nil {
		return nil, k.named(err)
	}
	var keys []string
	var failed []error
	for _, name := range names {
		e, err := k.read(ctx, name)
		switch {
		case errors.Is(err, ErrNoAnswer): // nor will it answer for the others
			return keys, errors.Join(append(failed, err)...)
		case err != nil:
			failed = append(failed, err)
		case e != nil: // not deleted meanwhile
			keys = append(keys, e.key)
		}
	}
	return keys, errors.Join(failed...)
}

// named says in an error for want of an answer which store it is. The others name it
// themselves.
func (k *kept) named(err error) error {
	if silent, ok := errors.AsType[noAnswer](err); ok {
		return fmt.Errorf("store: grants %s: %w", k, silent)
	}
	return err
}

func (k *kept) String() string { return k.place.String() }

// GoString keeps records and sealing keys out of %#v.
func (k *kept) GoString() string { return "store.Store(" + k.String() + ")" }

// check refuses what cannot be a key. It does not repeat it.
func check(ctx context.Context, key string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if key == "" || len(key) > MaxKey {
		return fmt.Errorf("store: a key of %d bytes: it needs 1 to %d", len(key), MaxKey)
	}
	if !printable(key) {
		return errors.New("store: a key that is not printable text")
	}
	return nil
}

func printable(s string) bool {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return utf8.ValidString(s)
}

// nameOf returns the name under which the record of a key lies. It does not say
// whose that is. Nothing secret goes into it, because processes with different
// sealing keys have to agree on it.
func nameOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// encode returns e as it is sealed: the key after its length, then the record.
func (e *entry) encode() []byte {
	out := binary.AppendUvarint(nil, uint64(len(e.key)))
	out = append(out, e.key...)
	return append(out, e.record...)
}

// decode reverses encode, for what lies under name.
func decode(name string, text []byte) (*entry, error) {
	e, err := decodeEntry(text)
	if err == nil && nameOf(e.key) != name {
		return nil, damage("it belongs to another key")
	}
	return e, err
}

func decodeEntry(text []byte) (*entry, error) {
	n, size := binary.Uvarint(text)
	if size <= 0 || n > MaxKey || n > uint64(len(text)-size) {
		return nil, damage("its content is malformed")
	}
	key, record := text[size:size+int(n)], text[size+int(n):]
	if len(record) > MaxRecord {
		return nil, damage("its record is too long")
	}
	// Of its own, and not nil.
	return &entry{string(key), append(make([]byte, 0, len(record)), record...)}, nil
}

// gone reports whether err says that a file or folder does not exist.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) }

var _ Store = (*kept)(nil)
