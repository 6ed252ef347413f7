package lazyauth_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// newFleet returns replicas whose tokens live for ten minutes.
func newFleet(t *testing.T, size int, tools func(*world.World)) *world.Fleet {
	t.Helper()
	as := fakeas.New(&fakeas.Options{Interval: time.Second, TokenLifetime: 10 * time.Minute})
	return world.NewFleet(t, size, as, func(int) world.Setup {
		return world.Setup{Tools: tools, Options: lazyauth.Options{VerifyUser: world.Anybody}}
	})
}

// The first request of a call meets one replica, and its retry another one: it is the same call,
// of which the person has seen the prompt, and its handler runs there.
func TestReplicas_CallGoesOnAtAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3, nil)
		state := (<-f.Sends(0, world.Request{})).State(t)
		f.Worlds[0].Approves()
		time.Sleep(5 * time.Second) // it is polled for, and stored
		(<-f.Sends(1, world.Request{State: state, Action: "accept"})).Succeeds(t, "ada")
		f.Wants("whoami", 1)

		// Whoever presents the state after that does not have it run again.
		gone := <-f.Sends(2, world.Request{State: state, Action: "accept"})
		gone.Fails(t, lazyauth.ReasonAbandoned)
		if !strings.Contains(gone.Text(), "may be done") {
			t.Errorf("the model is told %q", gone.Text())
		}
		(<-f.Sends(0, world.Request{State: state, Action: "accept"})).Fails(t, lazyauth.ReasonAbandoned)
		(<-f.Sends(1, world.Request{State: state, Action: "accept"})).Succeeds(t, "ada") // what it came to
		f.Wants("whoami", 1)
	})
}

// Two replicas are presented a state at once.
func TestReplicas_HandlerStartsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3, nil)
		state := (<-f.Sends(0, world.Request{})).State(t)
		f.Worlds[0].Approves()
		time.Sleep(5 * time.Second)
		var replies []<-chan world.Reply
		for n := range f.Seats {
			replies = append(replies, f.Seats[n].Send(t.Context(), world.Request{State: state, Action: "accept", Caps: world.URLAlone}))
		}
		done := 0
		for _, reply := range replies {
			if r := <-reply; r.Result != nil && !r.Result.IsError {
				done++
			} else {
				r.Fails(t, lazyauth.ReasonAbandoned)
			}
		}
		if done != 1 {
			t.Errorf("%d replicas have run it", done)
		}
		f.Wants("whoami", 1)
	})
}

// A handler in its middle stays where it is; another replica does not start it once more.
func TestReplicas_HandlerInItsMiddleStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2, world.WithSaga)
		first := (<-f.Sends(0, world.Request{Tool: "saga", Text: "x"})).State(t)
		again := f.Sends(0, world.Request{Tool: "saga", Text: "x", State: first, Action: "accept"})
		f.Worlds[0].Approves()
		second := (<-again).State(t) // it has created a note, and needs more
		f.Worlds[0].WantSaga(1, 1)
		(<-f.Sends(1, world.Request{Tool: "saga", Text: "x", State: second, Action: "accept"})).Fails(t, lazyauth.ReasonAbandoned)
		f.Wants("saga", 1)

		last := f.Sends(0, world.Request{Tool: "saga", Text: "x", State: second, Action: "accept"})
		f.Worlds[0].Approves()
		(<-last).Succeeds(t, "x")
		f.Worlds[0].WantSaga(1, 1)
	})
}

// A handler that had its grant at once, and needs more later, is marked before the host has a state
// that names its call.
func TestReplicas_HandlerThatHadItsGrantStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2, world.WithSaga)
		note := world.Request{Tool: "create_note", Text: "x"}
		note.State, note.Action = (<-f.Sends(0, note)).State(t), "accept"
		created := f.Sends(0, note)
		f.Worlds[0].Approves()
		(<-created).Succeeds(t, "x")

		saga := world.Request{Tool: "saga", Text: "y"} // starts at once
		saga.State, saga.Action = (<-f.Sends(0, saga)).State(t), "accept"
		(<-f.Sends(1, saga)).Fails(t, lazyauth.ReasonAbandoned)
		f.Wants("saga", 1)
	})
}

// withTwoServices adds a tool that needs a second service, whose interceptor is younger, and alone.
func withTwoServices(w *world.World) {
	time.Sleep(time.Hour)
	drive, err := lazyauth.New(lazyauth.Service{Name: "Drive", Issuer: w.AS.Issuer(), ClientID: fakeas.DefaultClientID, APIOrigins: []string{w.AS.API()}},
		&lazyauth.Options{Transport: w.AS.Transport(), VerifyUser: world.Anybody})
	if err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(func() {
		if err := drive.Close(); err != nil {
			w.T.Error(err)
		}
	})
	w.AddTools()
	lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "both"}, scopes.Of("profile"),
		lazyauth.Also(drive, "both", scopes.Of("notes:read"), world.Counted(w, "both",
			func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
				return world.ReadAnswer(w.Auth.Client(ctx).Get(w.AS.API() + "/me"))
			})))
}

// A call is the first service's, whichever of them asks: it is marked where that has its calls, and its
// states last as long as that keeps it.
func TestReplicas_SecondServiceAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2, withTwoServices)
		whoami := world.Request{}
		whoami.State, whoami.Action = (<-f.Sends(0, whoami)).State(t), "accept"
		signedIn := f.Sends(0, whoami)
		f.Worlds[0].Approves()
		(<-signedIn).Succeeds(t, "ada")

		both := world.Request{Tool: "both"} // the first service has its grant, and no state names the call yet
		both.State, both.Action = (<-f.Sends(0, both)).State(t), "accept"
		(<-f.Sends(1, both)).Fails(t, lazyauth.ReasonAbandoned)
		last := f.Sends(0, both)
		f.Worlds[0].Approves()
		(<-last).Succeeds(t, "ada")
		f.Wants("both", 1)
	})
}

// While its call cannot be marked a handler shows no prompt, and is told so: no state would bring a
// request to it, and other replicas would not know of it.
func TestReplicas_HandlerAsksNobodyUnmarked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2, world.WithSaga)
		note := world.Request{Tool: "create_note", Text: "x"}
		note.State, note.Action = (<-f.Sends(0, note)).State(t), "accept"
		created := f.Sends(0, note)
		f.Worlds[0].Approves()
		(<-created).Succeeds(t, "x")

		f.MarksFail(errors.New("the database is gone"))
		(<-f.Sends(0, world.Request{Tool: "saga", Text: "y"})).Fails(t, lazyauth.ReasonUnavailable)
		if n := f.Worlds[0].Stops("saga"); n != 1 {
			t.Errorf("%d of its handlers have ended, want 1: it waits for who can never come", n)
		}
	})
}

// A handler's own round begins once among all replicas, and goes on with what it was given.
func TestReplicas_RoundBeginsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3, world.WithConfirm)
		state := (<-f.Sends(0, world.Request{Tool: "confirm"})).State(t)
		again := f.Sends(0, world.Request{Tool: "confirm", State: state, Action: "accept"})
		f.Worlds[0].Approves()
		state = (<-again).State(t)
		(<-f.Sends(1, world.Request{Tool: "confirm", State: state, Sure: "accept"})).Succeeds(t, "accept step-2")
		(<-f.Sends(2, world.Request{Tool: "confirm", State: state, Sure: "accept"})).Fails(t, lazyauth.ReasonAbandoned)
		(<-f.Sends(0, world.Request{Tool: "confirm", State: state, Sure: "accept"})).Fails(t, lazyauth.ReasonAbandoned)
		(<-f.Sends(1, world.Request{Tool: "confirm", State: state, Sure: "accept"})).Succeeds(t, "accept step-2")
		f.Wants("confirm", 2)
	})
}

// While it cannot be marked no handler starts, and the host may present the state again.
func TestReplicas_NothingStartsUnmarked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2, nil)
		state := (<-f.Sends(0, world.Request{})).State(t)
		f.Worlds[0].Approves()
		time.Sleep(5 * time.Second)
		f.MarksFail(errors.New("the database is gone"))
		for n := range f.Seats {
			(<-f.Sends(n, world.Request{State: state, Action: "accept"})).Fails(t, lazyauth.ReasonUnavailable)
		}
		f.Wants("whoami", 0)
		f.MarksFail(nil)
		(<-f.Sends(1, world.Request{State: state, Action: "accept"})).Succeeds(t, "ada")
		f.Wants("whoami", 1)
	})
}

// A state is good for its person and its call at every replica, and ends at all of them.
func TestReplicas_StateIsBoundEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2, world.WithSaga)
		note := world.Request{Tool: "create_note", Text: "x", Action: "accept"}
		note.State = (<-f.Sends(0, world.Request{Tool: "create_note", Text: "x"})).State(t)
		for _, change := range []func(*world.Request){
			func(r *world.Request) { r.User = "eve" },
			func(r *world.Request) { r.Tool = "saga" },
			func(r *world.Request) { r.Text = "y" },
		} {
			other := note
			change(&other)
			(<-f.Sends(1, other)).RefusesState(t)
		}
		time.Sleep(time.Hour)
		(<-f.Sends(1, note)).RefusesState(t)
		f.Wants("create_note", 0)
	})
}

// Without a store that replicas share a call stays in its process, as it always did.
func TestReplicas_AloneWithoutAStoreOfTheirs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := store.Memory()
		as := fakeas.New(&fakeas.Options{Interval: time.Second})
		setup := world.Setup{Shared: as, Options: lazyauth.Options{VerifyUser: world.Anybody, Store: shared}}
		one, other := world.New(t, setup), world.New(t, setup)
		r := world.Request{Caps: world.URLAlone}
		r.State = (<-one.Endpoint().Send(t.Context(), r)).State(t)
		one.Approves()
		time.Sleep(5 * time.Second)
		r.Action = "accept"
		(<-other.Endpoint().Send(t.Context(), r)).RefusesState(t)
		(<-one.Endpoint().Send(t.Context(), r)).Succeeds(t, "ada")
	})
}

// A wrapped store is one that an author has put something of theirs around.
type wrapped struct{ store.Store }

func (w wrapped) Unwrap() store.Store { return w.Store }

// What an author puts around the replicas' store does not leave them alone.
func TestReplicas_StoreIsWrapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rows := store.NewSharedMemory(nil)
		as := fakeas.New(&fakeas.Options{Interval: time.Second})
		join := func() *world.World {
			return world.New(t, world.Setup{Shared: as, Options: lazyauth.Options{VerifyUser: world.Anybody, Store: wrapped{wrapped{world.JoinFleet(t, rows)}}}})
		}
		one, other := join(), join()
		r := world.Request{Caps: world.URLAlone}
		r.State = (<-one.Endpoint().Send(t.Context(), r)).State(t)
		one.Approves()
		time.Sleep(5 * time.Second)
		r.Action = "accept"
		(<-other.Endpoint().Send(t.Context(), r)).Succeeds(t, "ada")
		(<-one.Endpoint().Send(t.Context(), r)).Fails(t, lazyauth.ReasonAbandoned)
	})
}

// A refresh token that was refused to one replica, while it was in doubt whether a third one had used it
// up, is not presented by another that still has it in memory.
func TestReplicas_RefusedTokenIsPresentedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2, nil)
		state := (<-f.Sends(0, world.Request{})).State(t)
		f.Worlds[0].Approves()
		time.Sleep(5 * time.Second)
		(<-f.Sends(0, world.Request{State: state, Action: "accept"})).Succeeds(t, "ada")
		(<-f.Sends(1, world.Request{})).Succeeds(t, "ada")

		time.Sleep(10 * time.Minute) // the access token is over, and a replica that dies has begun to refresh
		ids, err := f.Rows.NotSealedBy(t.Context(), "", store.ID{}, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			if _, _, err := f.Rows.Begin(t.Context(), id, store.Attempt{Owner: "dead", Lease: 5 * time.Second}); err != nil {
				t.Fatal(err)
			}
		}
		f.Worlds[0].AS.RevokeRefreshTokens() // as if it had been used up
		one, other := f.Sends(0, world.Request{}), f.Sends(1, world.Request{})
		(<-one).State(t) // the person is asked
		(<-other).State(t)
		if n := f.Worlds[0].AS.Count(fakeas.Refresh, ""); n != 1 {
			t.Errorf("the token was presented %d times, want once", n)
		}
	})
}
