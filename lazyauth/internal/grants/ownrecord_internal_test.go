package grants

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// hasty is a store whose Update is the function.
type hasty struct {
	store.Store
	update func(change func([]byte) ([]byte, error)) error
}

func (h hasty) Update(_ context.Context, _ string, change func([]byte) ([]byte, error)) error {
	return h.update(change)
}

// A store that ends an update and has not called the change has failed, whatever it returns,
// and calls it in vain from then on: who waited has gone on without it.
func TestOwnRecord_StoreThatDoesNotAsk(t *testing.T) {
	for _, returned := range []error{nil, errors.New("the disk is full")} {
		synctest.Test(t, func(t *testing.T) {
			k := newKeeper(t)
			var late func([]byte) ([]byte, error)
			k.local.record.store = hasty{k.config.Store, func(change func([]byte) ([]byte, error)) error {
				late = change
				return returned
			}}
			decided := 0
			u, err := k.local.record.update(t.Context(), new(store.Terms), func(stored) decision { decided++; return decision{} })
			if err == nil || returned != nil && !errors.Is(err, returned) || u.made {
				t.Errorf("returned %v: update says %v, made %t", returned, err, u.made)
			}
			if _, err := late(nil); err == nil || decided != 0 {
				t.Errorf("returned %v: called later it says %v, and decided %d times", returned, err, decided)
			}
		})
	}
}

// A store that returns while the change runs elsewhere is waited for: what was decided counts.
func TestOwnRecord_StoreThatReturnsTooEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeeper(t)
		k.local.record.store = hasty{k.config.Store, func(change func([]byte) ([]byte, error)) error {
			go func() { _, _ = change(nil) }()
			time.Sleep(time.Second)
			return nil
		}}
		g := new(Grant)
		u, err := k.local.record.update(t.Context(), new(store.Terms), func(stored) decision {
			time.Sleep(2 * time.Second)
			return decision{use: g}
		})
		if err != nil || !u.made || u.use != g {
			t.Errorf("update says %v, made %t", err, u.made)
		}
	})
}
