package bars

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// storeWait bounds every wait for the store.
const storeWait = 20 * time.Second

// A Barred error: the person may have no grant.
type Barred struct{ Bar }

func (*Barred) Error() string { return "lazyauth: an operator has barred this person" }

// What else an error of this package can mean; compare with errors.Is.
var (
	// ErrUnknown: the store did not say whether the person is barred, and so they are taken to be.
	ErrUnknown = errors.New("lazyauth: the store does not say who may have a grant")
	// ErrEnded: the person's grants were ended since the pass was given.
	ErrEnded = errors.New("lazyauth: the person's grants were ended meanwhile")
)

// A Book is what is known of the persons of one service. It is safe for concurrent use, as are
// several of one store, in as many processes.
type Book struct {
	store store.Store // nil: this process alone has it
	name  string      // a hash of the service's
	late  guard.Late  // calls of the store that it has not answered

	mu     sync.Mutex
	barred map[string]Bar // set here, and, with a store, not written there
	read   uint64         // how far News has read the journal …
	began  bool           // … once it has
}

// New returns the book of the service of this name, which lies in s; nil keeps it in memory.
func New(s store.Store, name string) *Book {
	return &Book{store: s, name: hash(name)[:16], barred: make(map[string]Bar)}
}

// keyPrefix is what the keys of records begin with.
func (b *Book) keyPrefix() string { return "lazyauth person " + b.name + " " }

func (b *Book) key(p Person) string { return b.keyPrefix() + b.hash(p) }

func (b *Book) journalKey() string { return "lazyauth ended " + b.name }

func (b *Book) hash(p Person) string { return hash(b.name, p.Issuer, p.Subject) }

func (b *Book) accountHash(p Person, account string) string {
	return hash(b.name, p.Issuer, p.Subject, "account", account)
}

// load reads a record; nil if there is none.
func (b *Book) load(ctx context.Context, key string) ([]byte, error) {
	return guard.Await(ctx, &b.late, "Options.Store", storeWait, func(ctx context.Context) ([]byte, error) {
		return b.store.Load(ctx, key)
	})
}

// update changes a record, unless change returns errUnchanged. Where machines share the store it waits
// for none of them, and change is called again if another was faster.
func (b *Book) update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	for again := 0; ; again++ {
		_, err := guard.Await(ctx, &b.late, "Options.Store", storeWait, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, b.store.Update(store.WithTerms(ctx, &store.Terms{Quick: true}), key, change)
		})
		switch {
		case errors.Is(err, errUnchanged):
			return nil
		case again < updates && (errors.Is(err, store.ErrFenced) || errors.Is(err, store.ErrEnded)):
			continue
		}
		return err
	}
}

// updates is how often another machine may be faster.
const updates = 10

var errUnchanged = errors.New("lazyauth: nothing to write")

// change changes what is kept of p, unless f reports that it has changed nothing.
func (b *Book) change(ctx context.Context, p Person, f func(*record) bool) error {
	return b.update(ctx, b.key(p), func(old []byte) ([]byte, error) {
		r, err := decodeRecord(old)
		if err != nil {
			return nil, err
		}
		if !f(r) {
			return nil, errUnchanged
		}
		return r.encode(), nil
	})
}

func (b *Book) recordOf(ctx context.Context, p Person) (*record, error) {
	text, err := b.load(ctx, b.key(p))
	if err != nil {
		return nil, err
	}
	return decodeRecord(text)
}

// here returns the bar of p that is in force in this process, whatever the store has.
func (b *Book) here(p Person) *Bar {
	b.mu.Lock()
	defer b.mu.Unlock()
	if bar, ok := b.barred[b.hash(p)]; ok && bar.Holds(time.Now()) {
		return &bar
	}
	return nil
}

// Of returns the bar of p that is in force; nil if there is none.
func (b *Book) Of(ctx context.Context, p Person) (*Bar, error) {
	if bar := b.here(p); bar != nil || b.store == nil {
		return bar, nil
	}
	r, err := b.recordOf(ctx, p)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrUnknown, err)
	case r.Bar == nil || !r.Bar.Holds(time.Now()):
		return nil, nil //nolint:nilnil // there is none
	}
	return r.Bar, nil
}

// Bar bars p: here from now on, whatever the store does, and in all processes that share it once
// they look. What p has is not ended by that.
func (b *Book) Bar(ctx context.Context, p Person, bar Bar) error {
	bar.Since, bar.Until, bar.By = bar.Since.Round(0), bar.Until.Round(0), shortened(bar.By)
	b.mu.Lock()
	b.barred[b.hash(p)] = bar
	b.mu.Unlock()
	if b.store == nil {
		return nil
	}
	err := b.change(ctx, p, func(r *record) bool {
		r.Issuer, r.Subject, r.Bar = p.Issuer, p.Subject, &bar
		return true
	})
	if err != nil {
		return err
	}
	b.mu.Lock()
	delete(b.barred, b.hash(p)) // the store has it, where it can be lifted by others
	b.mu.Unlock()
	return b.publish(ctx, b.hash(p))
}

// Lift ends the bar of p, and reports whether there was one.
func (b *Book) Lift(ctx context.Context, p Person) (was bool, err error) {
	if b.store != nil {
		err = b.change(ctx, p, func(r *record) bool {
			if was = r.Bar != nil; was {
				r.Bar = nil
			}
			return was
		})
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	_, here := b.barred[b.hash(p)]
	if err == nil {
		delete(b.barred, b.hash(p))
	}
	return was || here, err
}

// Forget erases what is kept of p, all but that they are barred: of that a hash is left, and until
// when.
func (b *Book) Forget(ctx context.Context, p Person) error {
	if b.store == nil {
		return nil
	}
	if err := b.forgetNames(ctx, p); err != nil {
		return err
	}
	return b.change(ctx, p, func(r *record) bool {
		kept := &record{}
		if r.Bar != nil && r.Bar.Holds(time.Now()) {
			kept.Bar = &Bar{Since: r.Bar.Since, Until: r.Bar.Until}
		}
		*r = *kept
		return true
	})
}

// Note notes that p has a grant for this account, so that it is found without looking at
// everybody's. The account without a name needs no note.
func (b *Book) Note(ctx context.Context, p Person, account string) error {
	if b.store == nil || account == "" {
		return nil
	}
	r, err := b.recordOf(ctx, p)
	if err != nil || !r.add(account) {
		return err
	}
	return b.change(ctx, p, func(r *record) bool { return r.add(account) })
}

// Begin notes that a sign-in of p's for this account begins. It may lie in the store when its process is gone, under a
// key that does not say whose it is.
func (b *Book) Begin(ctx context.Context, p Person, account string) error {
	if b.store == nil || account == "" {
		return nil
	}
	r, err := b.recordOf(ctx, p)
	if err != nil || !r.begin(account) {
		return err
	}
	return b.change(ctx, p, func(r *record) bool { return r.begin(account) })
}

// Accounts returns the accounts with a name that were noted for p, and those may have neither a grant nor a sign-in
// any more. more says that there were too many with a grant to be remembered.
func (b *Book) Accounts(ctx context.Context, p Person) (accounts []string, more bool, err error) {
	if b.store == nil {
		return nil, false, nil
	}
	r, err := b.recordOf(ctx, p)
	if err != nil {
		return nil, false, err
	}
	return slices.Concat(r.Accounts, r.Begun), r.More, nil
}

// A Listed bar is one of all. Its person is the zero one if they were erased.
type Listed struct {
	Person
	Bar
}

// All returns the bars in force. It looks at every key of the store.
func (b *Book) All(ctx context.Context) (all []Listed, err error) {
	if b.store == nil {
		return nil, nil
	}
	keys, err := guard.Await(ctx, &b.late, "Options.Store", storeWait, b.store.Keys)
	for _, key := range keys {
		if !strings.HasPrefix(key, b.keyPrefix()) {
			continue
		}
		text, failed := b.load(ctx, key)
		if failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		r, failed := decodeRecord(text)
		if failed != nil {
			err = errors.Join(err, failed)
		} else if r.Bar != nil && r.Bar.Holds(time.Now()) {
			all = append(all, Listed{Person{Issuer: r.Issuer, Subject: r.Subject}, *r.Bar})
		}
	}
	return all, err
}
