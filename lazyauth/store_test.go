package lazyauth_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"

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
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour}, Options: lazyauth.Options{Store: lockedKeychain{}}})
		h := w.SignedIn(era)
		for range 3 {
			world.Later(time.Minute)
			h.Gets("whoami", nil, "Ada")
		}
		world.Later(2 * time.Hour)
		h.Gets("whoami", nil, "Ada")
		h.WantPrompts(1)
		if !strings.Contains(w.Log.String(), "in a locked keychain has not answered") {
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
			world.InBothEras(t, func(t *testing.T, era string) {
				b := &blockable{Store: store.Memory()}
				w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}, Options: lazyauth.Options{Store: b, MaxWait: wait}})
				h := w.SignedIn(era)
				b.block.Store(true)
				world.Later(2 * time.Hour)
				if wait != 0 {
					r := <-h.Call(t.Context(), "whoami", nil)
					r.Fails(t, lazyauth.ReasonPending)
					if text := r.Text(); !strings.Contains(text, "store") || contains(text, "authorization server", "browser") {
						t.Errorf("it is the store, and the text says %q", text)
					}
				}
				for range 5 {
					h.Gets("whoami", nil, "Ada")
					world.Later(10 * time.Minute)
				}
				h.WantPrompts(1)
			})
		})
	}
}

// Who waits for the authorization server is told that it is that.
func TestStore_NotToBlame(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour}, Options: lazyauth.Options{Store: store.Memory(), MaxWait: 10 * time.Second}})
		h := w.SignedIn(era)
		world.Later(2 * time.Hour)
		w.AS.Script(fakeas.Refresh, fakeas.Pass().After(14*time.Second))
		r := <-h.Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonPending)
		if text := r.Text(); !strings.Contains(text, "authorization server") || strings.Contains(text, "store") {
			t.Errorf("it is the authorization server, and the text says %q", text)
		}
	})
}

// Logging out where the store can be read and not written ends the tokens all the same, and
// what is left in the store is not used any more.
func TestStore_LogoutWhereNothingCanBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := store.Memory()
		first := world.New(t, world.Setup{Options: lazyauth.Options{Store: kept}})
		first.SignedIn(world.Legacy)
		readOnly := &brokenStore{Store: kept, update: fmt.Errorf("the disk %w", store.ErrUnwritable)}
		w := world.New(t, world.Setup{Shared: first.AS, Options: lazyauth.Options{Store: readOnly}})
		if err := w.Auth.Revoke(t.Context(), lazyauth.LocalUser); err == nil || !strings.Contains(err.Error(), "cannot be written") {
			t.Errorf("the error is %v", err)
		}
		if n := w.AS.Count(fakeas.Revocation, fakeas.OK); n != 2 {
			t.Errorf("%d tokens were revoked, want 2", n)
		}
		h := w.Host(world.Legacy, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		h.WantPrompts(1)
	})
}

// idle is a store that says yes to every update, and makes none.
type idle struct{ store.Store }

func (idle) Update(context.Context, string, func([]byte) ([]byte, error)) error { return nil }

// A store that does nothing at all costs no refresh, and the log says so.
func TestStore_ThatDoesNothing(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour}, Options: lazyauth.Options{Store: idle{store.Memory()}}})
		h := w.SignedIn(era)
		world.Later(2 * time.Hour)
		h.Gets("whoami", nil, "Ada")
		h.WantPrompts(1)
		if !strings.Contains(w.Log.String(), "without having called the change") {
			t.Error("the log does not say what the store did")
		}
	})
}
