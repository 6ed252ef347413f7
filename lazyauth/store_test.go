package lazyauth_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// lockedKeychain waits for a password that nobody types.
type lockedKeychain struct{}

func (lockedKeychain) Load(ctx context.Context, _ string) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (lockedKeychain) Update(ctx context.Context, _ string, _ func([]byte) ([]byte, error)) error {
	<-ctx.Done()
	return ctx.Err()
}

func (lockedKeychain) Keys(context.Context) ([]string, error) { return nil, nil }
func (lockedKeychain) String() string                         { return "in a locked keychain" }

// A store that does not answer costs no approved sign-in, and no refresh.
func TestStore_Locked(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}, options: lazyauth.Options{Store: lockedKeychain{}}})
		h := w.signedIn(era)
		for range 3 {
			later(time.Minute)
			h.gets("whoami", nil, "Ada")
		}
		later(2 * time.Hour)
		h.gets("whoami", nil, "Ada")
		h.wantPrompts(1)
		if !strings.Contains(w.log.String(), "in a locked keychain has not answered") {
			t.Error("the log does not name the store")
		}
	})
}

// blockable is a store whose updates can be made to wait: another process was stopped
// while it had the lock.
type blockable struct {
	store.Store
	block atomic.Bool
}

func (b *blockable) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	if b.block.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	return b.Store.Update(ctx, key, change)
}

// A refresh behind a lock that nobody gives back is made without the store. Who can wait no
// longer until then is told that it is the store.
func TestStore_StuckLock(t *testing.T) {
	for _, wait := range []time.Duration{0, 12 * time.Second} {
		t.Run(fmt.Sprint(wait), func(t *testing.T) {
			inBothEras(t, func(t *testing.T, era string) {
				b := &blockable{Store: store.Memory()}
				w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}, options: lazyauth.Options{Store: b, MaxWait: wait}})
				h := w.signedIn(era)
				b.block.Store(true)
				later(2 * time.Hour)
				if wait != 0 {
					r := <-h.call(t.Context(), "whoami", nil)
					r.fails(t, lazyauth.ReasonPending)
					if text := r.text(); !strings.Contains(text, "store") || contains(text, "authorization server", "browser") {
						t.Errorf("it is the store, and the text says %q", text)
					}
				}
				for range 5 {
					h.gets("whoami", nil, "Ada")
					later(10 * time.Minute)
				}
				h.wantPrompts(1)
			})
		})
	}
}

// Who waits for the authorization server is told that it is that.
func TestStore_NotToBlame(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}, options: lazyauth.Options{Store: store.Memory(), MaxWait: 10 * time.Second}})
		h := w.signedIn(era)
		later(2 * time.Hour)
		w.as.Script(fakeas.Refresh, fakeas.Pass().After(14*time.Second))
		r := <-h.call(t.Context(), "whoami", nil)
		r.fails(t, lazyauth.ReasonPending)
		if text := r.text(); !strings.Contains(text, "authorization server") || strings.Contains(text, "store") {
			t.Errorf("it is the authorization server, and the text says %q", text)
		}
	})
}

// Logging out where the store can be read and not written ends the tokens all the same, and
// what is left in the store is not used any more.
func TestStore_LogoutWhereNothingCanBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := store.Memory()
		first := newWorld(t, setup{options: lazyauth.Options{Store: kept}})
		first.signedIn(legacy)
		readOnly := &brokenStore{Store: kept, update: fmt.Errorf("the disk %w", store.ErrUnwritable)}
		w := newWorld(t, setup{shared: first.as, options: lazyauth.Options{Store: readOnly}})
		if err := w.auth.Revoke(t.Context(), lazyauth.LocalUser); err == nil || !strings.Contains(err.Error(), "cannot be written") {
			t.Errorf("the error is %v", err)
		}
		if n := w.as.Count(fakeas.Revocation, fakeas.OK); n != 2 {
			t.Errorf("%d tokens were revoked, want 2", n)
		}
		h := w.host(legacy, accepts)
		call := h.call(t.Context(), "whoami", nil)
		w.approves()
		(<-call).succeeds(t, "Ada")
		h.wantPrompts(1)
	})
}

// idle is a store that says yes to every update, and makes none.
type idle struct{ store.Store }

func (idle) Update(context.Context, string, func([]byte) ([]byte, error)) error { return nil }

// A store that does nothing at all costs no refresh, and the log says so.
func TestStore_ThatDoesNothing(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}, options: lazyauth.Options{Store: idle{store.Memory()}}})
		h := w.signedIn(era)
		later(2 * time.Hour)
		h.gets("whoami", nil, "Ada")
		h.wantPrompts(1)
		if !strings.Contains(w.log.String(), "without having called the change") {
			t.Error("the log does not say what the store did")
		}
	})
}
