package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
)

// FirstAvailable returns a store that is the first of stores that there is where
// the program runs, which it finds out when it is first used. A store is passed
// over only for an [ErrUnavailable], as an absent keychain is; any other error,
// such as a keychain that stays locked, is returned and not evaded. Once a store
// has worked it is the one for the life of the process.
//
// If that is not the first, report is told which it is and why those before it
// are not, once, before anything is kept there. A server shows that to the person
// or its operator: what comes later in the list usually protects less. A stdio
// server must not print it to its standard output. report must not use the store.
func FirstAvailable(report func(used Store, why error), stores ...Store) (Store, error) {
	if report == nil {
		return nil, errors.New("store: FirstAvailable needs to be told whom to tell what was fallen back to")
	}
	if len(stores) == 0 {
		return nil, errors.New("store: FirstAvailable needs a store")
	}
	for n, s := range stores {
		if s == nil {
			return nil, fmt.Errorf("store: store %d of FirstAvailable is nil", n+1)
		}
	}
	return &firstAvailable{report: report, stores: stores, choosing: make(chan struct{}, 1)}, nil
}

type firstAvailable struct {
	report   func(Store, error)
	stores   []Store
	choosing chan struct{} // holds one value while somebody looks
	chosen   atomic.Pointer[Store]
}

// try calls do with the chosen store, or chooses the one with which do works. do
// only reads.
func (f *firstAvailable) try(ctx context.Context, do func(Store) error) error {
	if s := f.chosen.Load(); s != nil {
		return do(*s)
	}
	select {
	case f.choosing <- struct{}{}:
		defer func() { <-f.choosing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if s := f.chosen.Load(); s != nil { // meanwhile
		return do(*s)
	}
	var why []error
	for _, s := range f.stores {
		err := do(s)
		if errors.Is(err, ErrUnavailable) {
			why = append(why, err)
			continue
		}
		if err != nil {
			return err
		}
		if why != nil {
			f.report(s, errors.Join(why...))
		}
		f.chosen.Store(&s)
		return nil
	}
	return errors.Join(why...)
}

func (f *firstAvailable) Load(ctx context.Context, key string) (record []byte, err error) {
	err = f.try(ctx, func(s Store) error {
		record, err = s.Load(ctx, key)
		return err
	})
	return record, err
}

func (f *firstAvailable) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	if f.chosen.Load() == nil {
		if _, err := f.Load(ctx, key); err != nil {
			return err
		}
	}
	return (*f.chosen.Load()).Update(ctx, key, change)
}

func (f *firstAvailable) Keys(ctx context.Context) (keys []string, err error) {
	err = f.try(ctx, func(s Store) error {
		keys, err = s.Keys(ctx)
		return err
	})
	return keys, err
}

// String says where records are kept, or, before that is known, may be.
func (f *firstAvailable) String() string {
	if s := f.chosen.Load(); s != nil {
		return (*s).String()
	}
	var all []string
	for _, s := range f.stores {
		all = append(all, s.String())
	}
	return strings.Join(all, ", or else ")
}

func (f *firstAvailable) GoString() string { return "store.Store(" + f.String() + ")" }
