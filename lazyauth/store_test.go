package lazyauth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// The server is started anew, and finds the grant where the last one left it.
func TestStore_Restart(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		first := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}, Options: lazyauth.Options{Store: kept}})
		first.SignedIn(era)
		if err := first.Auth.Close(); err != nil {
			t.Fatal(err)
		}
		second := world.New(t, world.Setup{Shared: first.AS, Options: lazyauth.Options{Store: kept}})
		h := second.Host(era, world.Accepts)
		h.Gets("whoami", nil, "Ada")
		world.Later(2 * time.Hour)
		h.Gets("whoami", nil, "Ada") // refreshed
		call := h.Call(t.Context(), "list_notes", nil)
		second.Approves() // more, beside what was restored
		(<-call).Succeeds(t, "[]")
		h.WantPrompts(1)
		third := world.New(t, world.Setup{Shared: first.AS, Options: lazyauth.Options{Store: kept}})
		g := third.Host(era, world.Accepts)
		g.Gets("list_notes", nil, "[]")
		g.Gets("whoami", nil, "Ada")
		g.WantPrompts(0)
		// By another client id the program finds it, and another program does not.
		if _, err := first.ClientNamed("other", kept).Status(t.Context(), lazyauth.LocalUser); err != nil {
			t.Errorf("by another client id: %v", err)
		}
		other := world.New(t, world.Setup{Shared: first.AS, Options: lazyauth.Options{Store: kept}, Service: func(s *lazyauth.Service) { s.Program = "other" }})
		if s, err := other.Auth.Status(t.Context(), lazyauth.LocalUser); !errors.Is(err, lazyauth.ErrNoGrant) {
			t.Errorf("another program finds %+v, %v", s, err)
		}
	})
}

// No secret is in a stored record's place where it does not belong: keys are for people.
func TestStore_Keys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := store.Memory()
		w := world.New(t, world.Setup{Options: lazyauth.Options{Store: kept}})
		w.SignedIn(world.Legacy)
		keys, err := kept.Keys(t.Context())
		if err != nil || len(keys) != 1 {
			t.Fatal(keys, err)
		}
		credentials, _ := w.Secrets.All()
		for _, s := range credentials {
			if strings.Contains(keys[0], s) {
				t.Error("a secret is in a key")
			}
		}
		text, err := kept.Load(t.Context(), keys[0])
		if err != nil || !json.Valid(text) || !bytes.Contains(text, []byte(w.Secrets.Last())) {
			t.Error("the record has not the grant") // and says no more
		}
	})
}

// Two services of one client, told apart by their resource (RFC 8707), share nothing.
func TestStore_TwoResources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := store.Memory()
		w := world.New(t, world.Setup{Service: func(s *lazyauth.Service) {
			s.Name, s.Program = "Mail", "suite"
			s.Params = map[string][]string{"resource": {"https://mail.example"}}
		}, Options: lazyauth.Options{Store: kept}})
		w.Tolerated = append(w.Tolerated, "unexpected-parameter")
		w.SignedIn(world.Legacy)
		two := world.New(t, world.Setup{Shared: w.AS, Service: func(s *lazyauth.Service) {
			s.Name, s.Program = "Calendar", "suite"
			s.APIOrigins = []string{"https://calendar.example"}
			s.Params = map[string][]string{"resource": {"https://calendar.example"}}
		}, Options: lazyauth.Options{Store: kept}})
		if s, err := two.Auth.Status(t.Context(), lazyauth.LocalUser); !errors.Is(err, lazyauth.ErrNoGrant) {
			t.Errorf("the calendar finds the mail's grant: %+v, %v", s, err)
		}
	})
}

// brokenStore is one that fails as the story says.
type brokenStore struct {
	store.Store
	load, update error
}

func (s *brokenStore) Load(ctx context.Context, key string) ([]byte, error) {
	if s.load != nil {
		return nil, s.load
	}
	return s.Store.Load(ctx, key)
}

func (s *brokenStore) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	if s.update != nil {
		return s.update
	}
	return s.Store.Update(ctx, key, change)
}

// A store that fails is said aloud and costs no call: the grant is in memory.
func TestStore_Fails(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		broken := &brokenStore{Store: store.Memory(), load: errors.New("no disk"), update: errors.New("disk full")}
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: 10 * time.Minute, DetectReuse: true}, Options: lazyauth.Options{Store: broken}})
		h := w.SignedIn(era)
		if n := w.Trace.Count("storefailed"); n != 3 { // for a grant, for a sign-in under way, and to write
			t.Errorf("the failures were said %d times, want 3", n)
		}
		world.Later(20 * time.Minute)
		h.Gets("whoami", nil, "Ada")
		h.WantPrompts(1)
		if n := w.Trace.Count("storefailed"); n != 5 { // read again, and not written
			t.Errorf("the failures were said %d times, want 5", n)
		}
		synctest.Wait()
		if log := w.Log.String(); !strings.Contains(log, "disk full") || !strings.Contains(log, "the store of grants failed") {
			t.Errorf("the log does not say so: %s", log)
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
	world.InBothEras(t, func(t *testing.T, era string) {
		b := &blockable{Store: store.Memory()}
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}, Options: lazyauth.Options{Store: b, MaxWait: 12 * time.Second}})
		h := w.SignedIn(era)
		b.block.Store(true)
		world.Later(2 * time.Hour)
		r := <-h.Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonPending)
		if text := r.Text(); !strings.Contains(text, "store") || contains(text, "authorization server", "browser") {
			t.Errorf("it is the store, and the text says %q", text)
		}
		h.Gets("whoami", nil, "Ada")
		h.WantPrompts(1)
		if !strings.Contains(w.Log.String(), "has not answered") {
			t.Error("the log does not say what the store does")
		}
	})
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
