package lazyauth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
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
		// Another client of the same store has another key.
		if s, err := first.ClientNamed("other", kept).Status(t.Context(), lazyauth.LocalUser); !errors.Is(err, lazyauth.ErrNoGrant) {
			t.Errorf("another client finds %+v, %v", s, err)
		}
	})
}

// Two processes with one store: one refresh for both, and no login lost though the
// server takes every second use of a refresh token for theft.
func TestStore_TwoProcesses(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		one := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: 10 * time.Minute, DetectReuse: true, Latency: 100 * time.Millisecond}, Options: lazyauth.Options{Store: kept}})
		a := one.SignedIn(era)
		two := world.New(t, world.Setup{Shared: one.AS, Options: lazyauth.Options{Store: kept}})
		b := two.Host(era, world.Accepts)
		b.Gets("whoami", nil, "Ada")
		for round := 1; round <= 20; round++ {
			world.Later(15 * time.Minute)
			first, second := a.Call(t.Context(), "whoami", nil), b.Call(t.Context(), "whoami", nil)
			(<-first).Succeeds(t, "Ada")
			(<-second).Succeeds(t, "Ada")
			if n := one.AS.Count(fakeas.Refresh, ""); n != round {
				t.Fatalf("%d refreshes after %d expiries", n, round)
			}
		}
		// One signs in for more; the other finds it, and nobody is asked twice.
		call := a.Call(t.Context(), "list_notes", nil)
		one.Approves()
		(<-call).Succeeds(t, "[]")
		b.Gets("list_notes", nil, "[]")
		a.WantPrompts(2)
		b.WantPrompts(0)
	})
}

// plant puts a record in the place of the local user's.
func plant(t *testing.T, w *world.World, kept store.Store, text string) {
	t.Helper()
	key := localKey(w)
	if err := kept.Update(t.Context(), key, func([]byte) ([]byte, error) { return []byte(text), nil }); err != nil {
		t.Fatal(err)
	}
}

// fixed is a store that has this for everybody.
type fixed string

func (f fixed) Load(context.Context, string) ([]byte, error) { return []byte(f), nil }

func (f fixed) Update(_ context.Context, _ string, change func([]byte) ([]byte, error)) error {
	_, err := change([]byte(f))
	return err
}

func (f fixed) Keys(context.Context) ([]string, error) { return nil, nil }

func (f fixed) String() string { return "nowhere" }

// What is stored and is not a grant, or one of a later version, is left alone.
func TestStore_RecordOfAnotherKind(t *testing.T) {
	for name, text := range map[string]string{
		"garbage":       "garbage",
		"later version": `{"v":2,"grant":"x"}`,
		"bad token":     `{"v":1,"access":"a b","scopes":"profile"}`,
		"bad scopes":    `{"v":1,"access":"ab","scopes":"\u0000"}`,
		"too long":      `{"v":1,"access":"` + strings.Repeat("a", 1<<17) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kept := store.Memory()
				w := world.New(t, world.Setup{Options: lazyauth.Options{Store: kept}})
				if len(text) < 1<<16 {
					plant(t, w, kept, text)
				} else {
					w.Auth.Close()
					w = world.New(t, world.Setup{Options: lazyauth.Options{Store: fixed(text)}})
				}
				w.SignedIn(world.Legacy)
				if w.Trace.Count("storefailed") == 0 {
					t.Error("nothing was said about it")
				}
			})
		})
	}
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

// localKey is the key of the local user's grant.
func localKey(w *world.World) string {
	return fmt.Sprintf("%q %q %q %q %q %q", w.AS.Issuer(), fakeas.DefaultClientID, "", "", "", "")
}

// Records of later versions are left alone, and what cannot be read is not said to be
// revoked.
func TestStore_RecordOfALaterVersion(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		const later2 = `{"v":2,"grant":"x"}`
		kept := store.Memory()
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: 10 * time.Minute}, Options: lazyauth.Options{Store: kept}})
		plant(t, w, kept, later2)
		h := w.SignedIn(era)
		key := localKey(w)
		if got, _ := kept.Load(t.Context(), key); string(got) != later2 {
			t.Errorf("after the sign-in the record is %.20q", got)
		}
		plant(t, w, kept, later2)
		world.Later(20 * time.Minute)
		h.Gets("whoami", nil, "Ada")
		if got, _ := kept.Load(t.Context(), key); string(got) != later2 {
			t.Errorf("after the refresh the record is %.20q", got)
		}
		plant(t, w, kept, later2)
		w.AS.RevokeRefreshTokens()
		world.Later(20 * time.Minute)
		c := h.Call(t.Context(), "whoami", nil)
		w.Person()
		synctest.Wait()
		if got, _ := kept.Load(t.Context(), key); string(got) != later2 {
			t.Errorf("after the refused refresh the record is %.20q", got)
		}
		w.Auth.Close()
		(<-c).Fails(t, lazyauth.ReasonUnavailable)
		two := world.New(t, world.Setup{Shared: w.AS, Options: lazyauth.Options{Store: kept}})
		plant(t, two, kept, later2)
		if err := two.Auth.Revoke(t.Context(), lazyauth.LocalUser); err == nil {
			t.Error("Revoke of what cannot be read says that all went well")
		}
	})
}

// A record that has expired is no grant, and keeps none from being stored.
func TestStore_ExpiredRecord(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: 10 * time.Minute, NoRefresh: true}, Options: lazyauth.Options{Store: kept}})
		if err := w.Auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("profile", "notes:read"), approving(w)); err != nil {
			t.Fatal(err)
		}
		world.Later(time.Hour)
		two := world.New(t, world.Setup{Shared: w.AS, Options: lazyauth.Options{Store: kept}})
		h := two.Host(era, world.Accepts)
		c := h.Call(t.Context(), "whoami", nil)
		two.Approves("profile")
		(<-c).Succeeds(t, "Ada")
		for _, e := range two.AS.Journal() {
			if e.Status == 401 {
				t.Errorf("an expired token was sent: %+v", e)
			}
		}
		three := world.New(t, world.Setup{Shared: w.AS, Options: lazyauth.Options{Store: kept}})
		g := three.Host(era, world.Accepts)
		c = g.Call(t.Context(), "whoami", nil)
		world.Later(20 * time.Second)
		three.Answers(c, "Ada")
	})
}

// A step-up that came to nothing leaves in the store what was there.
func TestStore_StepUpForNothing(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}, Service: func(s *lazyauth.Service) { s.Scopes = scopes.Set{} }, Options: lazyauth.Options{Store: kept}})
		h := w.Host(era, world.Accepts)
		c := h.Call(t.Context(), "list_notes", nil)
		w.Approves()
		(<-c).Succeeds(t, "[]")
		done := make(chan error)
		go func() {
			done <- w.Auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("notes:read", "notes:write", "profile"), nil)
		}()
		w.Approves("profile")
		if err := <-done; reasonOf(err) != lazyauth.ReasonNarrowed {
			t.Errorf("the step-up ended with %v", err)
		}
		synctest.Wait()
		h.Gets("list_notes", nil, "[]")
		world.Later(59 * time.Minute)
		h.Gets("list_notes", nil, "[]")
		world.Later(time.Minute)
		c = h.Call(t.Context(), "list_notes", nil)
		world.Later(20 * time.Second)
		w.Answers(c, "[]")
	})
}

// damagedOnce finds its record damaged once, and sets it aside.
type damagedOnce struct {
	store.Store
	damaged atomic.Bool
}

func (d *damagedOnce) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	if d.damaged.CompareAndSwap(true, false) {
		_ = d.Store.Update(ctx, key, func([]byte) ([]byte, error) { return nil, nil })
		return store.ErrDamaged
	}
	return d.Store.Update(ctx, key, change)
}

// A damaged record is written anew by whoever finds it, before another one refreshes.
func TestStore_DamagedRecordOfTwoProcesses(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		d := &damagedOnce{Store: store.Memory()}
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}, Options: lazyauth.Options{Store: d}})
		a := w.SignedIn(era)
		two := world.New(t, world.Setup{Shared: w.AS, Options: lazyauth.Options{Store: d}})
		b := two.Host(era, world.Accepts)
		b.Gets("whoami", nil, "Ada")
		world.Later(59*time.Minute + 40*time.Second)
		d.damaged.Store(true)
		a.Gets("whoami", nil, "Ada") // refreshed ahead
		world.Later(time.Second)
		b.Gets("whoami", nil, "Ada")
		world.Later(2 * time.Hour)
		c := b.Call(t.Context(), "whoami", nil)
		world.Later(20 * time.Second)
		two.Answers(c, "Ada")
	})
}

// Two services of one client, told apart by their resource (RFC 8707), share nothing.
func TestStore_TwoResources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := store.Memory()
		w := world.New(t, world.Setup{Service: func(s *lazyauth.Service) {
			s.Name = "Mail"
			s.Params = map[string][]string{"resource": {"https://mail.example"}}
		}, Options: lazyauth.Options{Store: kept}})
		w.Tolerated = append(w.Tolerated, "unexpected-parameter")
		w.SignedIn(world.Legacy)
		two := world.New(t, world.Setup{Shared: w.AS, Service: func(s *lazyauth.Service) {
			s.Name = "Calendar"
			s.APIOrigins = []string{"https://calendar.example"}
			s.Params = map[string][]string{"resource": {"https://calendar.example"}}
		}, Options: lazyauth.Options{Store: kept}})
		if s, err := two.Auth.Status(t.Context(), lazyauth.LocalUser); !errors.Is(err, lazyauth.ErrNoGrant) {
			t.Errorf("the calendar finds the mail's grant: %+v, %v", s, err)
		}
	})
}
