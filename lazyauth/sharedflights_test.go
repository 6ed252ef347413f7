package lazyauth_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// frequent is a store in memory that is for frequent writes, as one's own is.
type frequent struct{ store.Store }

// Who has declined is not asked by the next process of the same host for a minute. After that they
// are shown the same prompt, which is good.
func TestSharedFlights_Declined(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		kept := frequent{store.Memory()}
		w := world.New(t, world.Setup{Options: lazyauth.Options{Store: kept}})
		(<-w.Host(era, world.Says("decline", 3*time.Second)).Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
		synctest.Wait()
		if err := w.Auth.Close(); err != nil {
			t.Error(err)
		}
		next := world.New(t, world.Setup{Shared: w.AS, Options: lazyauth.Options{Store: kept}})
		h := next.Host(era, world.Accepts)
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
		h.WantPrompts(0)
		world.Later(61 * time.Second)
		call := h.Call(t.Context(), "whoami", nil)
		world.Later(10 * time.Second) // it looks first whether they have decided
		next.Approves()
		(<-call).Succeeds(t, "Ada")
		h.WantPrompts(1)
		next.WantAuthorizations(1)
	})
}

// onlyFlights is what a process sees of a store that is killed as it stores a grant.
type onlyFlights struct {
	store.Store
	never chan struct{}

	mu     sync.Mutex
	flight string // the key of the first record that it writes
}

func (s *onlyFlights) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	s.mu.Lock()
	if s.flight == "" {
		s.flight = key
	}
	is := s.flight == key
	s.mu.Unlock()
	if !is {
		<-s.never
		return context.Canceled
	}
	return s.Store.Update(ctx, key, change)
}

// A process that ends while it brings the grant is replaced after a minute and a half. Until then nobody
// is shown the code, which is used up, and calls say that nothing is to be done.
func TestSharedFlights_EndedWhileItBrought(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		kept := frequent{store.Memory()}
		killed := &onlyFlights{Store: kept, never: make(chan struct{})}
		w := world.New(t, world.Setup{Options: lazyauth.Options{Store: killed}})
		t.Cleanup(func() { close(killed.never) })
		_ = w.Host(era, world.Accepts).Call(t.Context(), "whoami", nil)
		world.Later(2 * time.Second)
		w.Approves()
		world.Later(5 * time.Second) // it has polled

		next := world.New(t, world.Setup{Shared: w.AS, Options: lazyauth.Options{Store: kept}})
		h := next.Host(era, world.Accepts)
		pending := <-h.Call(t.Context(), "whoami", nil)
		pending.Fails(t, lazyauth.ReasonPending)
		if text := pending.Text(); !strings.Contains(text, "another process of this server is finishing it") || strings.Contains(text, "open http") {
			t.Errorf("the call says: %s", text)
		}
		(<-h.Call(t.Context(), "whoami", nil)).Succeeds(t, "Ada")
		h.WantPrompts(0)
		next.WantAuthorizations(1)
	})
}

// Sign-ins that are not to be shared are each process's own.
func TestSharedFlights_Unshared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		options := lazyauth.Options{Store: frequent{store.Memory()}, UnsharedSignIns: true}
		w := world.New(t, world.Setup{Options: options})
		next := world.New(t, world.Setup{Shared: w.AS, Options: options})
		one, two := w.Host(world.Modern, world.Accepts).Call(t.Context(), "whoami", nil), next.Host(world.Modern, world.Accepts).Call(t.Context(), "whoami", nil)
		world.Later(2 * time.Second)
		for _, req := range w.AS.Waiting() {
			if err := w.AS.Approve(req.UserCode); err != nil {
				t.Fatal(err)
			}
		}
		(<-one).Succeeds(t, "Ada")
		(<-two).Succeeds(t, "Ada")
		w.WantAuthorizations(2)
	})
}

// Who has declined at one replica is left alone by all of them for a minute. Then the sign-in that is under way is taken up, wherever the call comes.
func TestSharedFlights_DeclinedAtAReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3, nil)
		state := (<-f.Sends(0, world.Request{})).State(t)
		time.Sleep(2 * time.Second)
		(<-f.Sends(0, world.Request{State: state, Action: "decline"})).Fails(t, lazyauth.ReasonDeclined)
		for range 5 {
			time.Sleep(11 * time.Second)
			for n := range f.Seats {
				(<-f.Sends(n, world.Request{})).Fails(t, lazyauth.ReasonDeclined)
			}
		}
		time.Sleep(6 * time.Second)
		again := (<-f.Sends(2, world.Request{})).State(t)
		f.Worlds[0].Approves()
		time.Sleep(20 * time.Second)
		(<-f.Sends(1, world.Request{State: again, Action: "accept"})).Succeeds(t, "ada")
		f.Worlds[0].WantAuthorizations(1)
	})
}

// What a sign-in asks for is known to all replicas: a call elsewhere that needs more joins it, and then asks for both; one that needs no more
// has what it needs.
func TestSharedFlights_WantedScopes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3, nil)
		who, notes, same := world.Request{}, world.Request{Tool: "list_notes"}, world.Request{}
		who.State = (<-f.Sends(0, who)).State(t)
		notes.State = (<-f.Sends(1, notes)).State(t)
		same.State = (<-f.Sends(2, same)).State(t)
		f.Worlds[0].WantAuthorizations(1)
		f.Worlds[0].Approves()
		time.Sleep(20 * time.Second)
		who.Action, notes.Action, same.Action = "accept", "accept", "accept"
		(<-f.Sends(1, who)).Succeeds(t, "ada")
		(<-f.Sends(0, same)).Succeeds(t, "ada")
		notes.State = (<-f.Sends(2, notes)).State(t)
		waiting := f.Worlds[0].AS.Waiting()
		if len(waiting) != 1 || !slices.Contains(waiting[0].Scopes, "profile") || !slices.Contains(waiting[0].Scopes, "notes:read") {
			t.Fatalf("asked for %+v", waiting)
		}
		f.Worlds[0].Approves()
		time.Sleep(20 * time.Second)
		(<-f.Sends(1, notes)).Succeeds(t, "[")
		f.Worlds[0].WantAuthorizations(2)
	})
}
