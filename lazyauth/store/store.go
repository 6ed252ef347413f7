package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
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

	// ErrNoKeychain: no keychain serves this session: on Linux there is no
	// session bus or no Secret Service on it (a container, a server, cron), on
	// Windows the logon session has no credentials (ssh, some services). It is
	// an [ErrUnavailable].
	ErrNoKeychain = fmt.Errorf("there is no keychain in this session: %w", ErrUnavailable)

	// ErrDamaged: the record was cut short or altered. It was set aside, the
	// error says where, and there is no record of that key now.
	ErrDamaged = errors.New("damaged record")

	// ErrWrongKey: the file was sealed with none of the keys given, or is not
	// sealed although it should be, or the reverse. It was left as it is.
	ErrWrongKey = errors.New("no key that was given opens it")

	// ErrUnsafe: users other than the one who runs the program could have read
	// or written the file or its folder. It was left as it is, and the error
	// says what to do.
	ErrUnsafe = errors.New("not private")
)

// A Store keeps records under keys. It is safe for concurrent use, by several
// processes if it outlives one.
//
// Keys are printable UTF-8 of 1 to [MaxKey] bytes, records have at most
// [MaxRecord] bytes. An empty record is a record.
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
	// If change fails nothing is written, and its error is returned as it is.
	// When Update returns nil the new record is durable. After any other error
	// the record is the old one or the new one, and never a part of either.
	//
	// ctx ends the wait for others. It does not stop the writing of what change
	// returned: a refresh token that was issued must not be lost because
	// somebody stopped waiting.
	Update(ctx context.Context, key string, change func(old []byte) (record []byte, err error)) error

	// Keys lists the keys that have records, in no particular order. Beside an
	// error it returns those that could be read.
	Keys(ctx context.Context) ([]string, error)

	// String says for people where records are kept: "in the keychain".
	String() string
}

// A place is where records lie, and what the stores here differ in. Names stand
// for keys in it, see nameOf.
type place interface {
	// guard waits until nobody else updates the record.
	guard(ctx context.Context, name string) (release func(), err error)
	// read returns nil if there is nothing of that name. An error of type
	// damage says that what is there is not a record, or was not one at the
	// moment of reading: only under the guard is that certain.
	read(ctx context.Context, name string) (*entry, error)
	// write and remove are called under the guard. Removing nothing is no error.
	write(ctx context.Context, name string, e *entry) error
	remove(ctx context.Context, name, key string) error
	// setAside moves what is there out of the way and says where it is now. It
	// is called under the guard.
	setAside(ctx context.Context, name string) (where string, err error)
	names(ctx context.Context) ([]string, error)
	String() string
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
type kept struct{ place place }

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

// read reads without the guard, and again with it if that brought no record: it
// may just have been replaced.
func (k *kept) read(ctx context.Context, name string) (*entry, error) {
	e, err := k.place.read(ctx, name)
	if _, ok := errors.AsType[damage](err); !ok {
		return e, err
	}
	release, err := k.place.guard(ctx, name)
	if err != nil {
		return nil, err
	}
	defer release()
	return k.readGuarded(ctx, name)
}

// readGuarded sets aside what is damaged.
func (k *kept) readGuarded(ctx context.Context, name string) (*entry, error) {
	e, err := k.place.read(ctx, name)
	what, ok := errors.AsType[damage](err)
	if !ok {
		return e, err
	}
	where, err := k.place.setAside(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("store: %w (%w), and it could not be set aside: %w", ErrDamaged, what, err)
	}
	return nil, fmt.Errorf("store: %w (%w): it is now %s", ErrDamaged, what, where)
}

func (k *kept) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	name := nameOf(key)
	release, err := k.place.guard(ctx, name)
	if err != nil {
		return err
	}
	defer release()
	e, err := k.readGuarded(ctx, name)
	if err != nil {
		return err
	}
	var old []byte
	if e != nil {
		old = e.record
	}
	record, err := change(old)
	if err != nil {
		return err
	}
	if len(record) > MaxRecord {
		return fmt.Errorf("store: a record of %d bytes is over the limit of %d", len(record), MaxRecord)
	}
	ctx = context.WithoutCancel(ctx)
	if record == nil {
		return k.place.remove(ctx, name, key)
	}
	return k.place.write(ctx, name, &entry{key, record})
}

func (k *kept) Keys(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	names, err := k.place.names(ctx)
	if err != nil {
		return nil, err
	}
	var keys []string
	var failed []error
	for _, name := range names {
		switch e, err := k.read(ctx, name); {
		case err != nil:
			failed = append(failed, err)
		case e != nil: // not deleted meanwhile
			keys = append(keys, e.key)
		}
	}
	return keys, errors.Join(failed...)
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
	n, size := binary.Uvarint(text)
	if size <= 0 || n > MaxKey || n > uint64(len(text)-size) {
		return nil, damage("its content is malformed")
	}
	key, record := text[size:size+int(n)], text[size+int(n):]
	if nameOf(string(key)) != name {
		return nil, damage("it belongs to another key")
	}
	if len(record) > MaxRecord {
		return nil, damage("its record is too long")
	}
	// Of its own, and not nil.
	return &entry{string(key), append(make([]byte, 0, len(record)), record...)}, nil
}

// gone reports whether err says that a file or folder does not exist.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) }

var _ Store = (*kept)(nil)
