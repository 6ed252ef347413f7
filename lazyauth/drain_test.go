package lazyauth_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// drains has an interceptor drain for so long, and returns what comes of that.
func drains(t *testing.T, i *lazyauth.Interceptor, wait time.Duration) <-chan error {
	t.Helper()
	drained := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		drained <- i.Drain(ctx)
	}()
	synctest.Wait()
	return drained
}

// drainsStill demands that it does, some time later.
func drainsStill(t *testing.T, drained <-chan error, after time.Duration) {
	t.Helper()
	time.Sleep(after)
	synctest.Wait()
	select {
	case err := <-drained:
		t.Fatalf("drained after %v, with %v", after, err)
	default:
	}
}

// wantDrained demands that it has drained, two seconds later.
func wantDrained(t *testing.T, drained <-chan error) {
	t.Helper()
	time.Sleep(2 * time.Second)
	synctest.Wait()
	select {
	case err := <-drained:
		if err != nil {
			t.Fatal(err)
		}
	default:
		t.Fatal("it drains still")
	}
}

// What another replica goes on with does not keep a process: a sign-in by the device flow, and a call whose handler
// has not started.
func TestDrain_WhatMovesIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2, nil)
		state := (<-f.Sends(0, world.Request{})).State(t)
		wantDrained(t, drains(t, f.Worlds[0].Auth, time.Minute))
		if err := f.Worlds[0].Auth.Close(); err != nil {
			t.Error(err)
		}
		retry := f.Sends(1, world.Request{State: state, Action: "accept"})
		f.Worlds[1].Approves()
		(<-retry).Succeeds(t, "ada")
		f.Wants("whoami", 1)
		if n := len(f.Worlds[1].Trace.Channels()); n != 0 {
			t.Errorf("%d prompts more", n)
		}
	})
}

// What a request begins that came just before is waited for, too.
func TestDrain_LastRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2, world.WithSaga)
		drained := drains(t, f.Worlds[0].Auth, time.Hour)
		drainsStill(t, drained, 850*time.Millisecond) // no look, every 100 ms, is at the moment of a request or an answer
		saga := world.Request{Tool: "saga", Text: "x"}
		saga.State, saga.Action = (<-f.Sends(0, saga)).State(t), "accept"
		again := f.Sends(0, saga)
		f.Worlds[0].Approves()
		saga.State = (<-again).State(t)
		drainsStill(t, drained, 10*time.Second)
		f.Worlds[0].Approves()
		(<-f.Sends(0, saga)).Succeeds(t, "x")
		wantDrained(t, drained)
	})
}

// A handler in its middle keeps its process until its host has fetched what it came to.
func TestDrain_HandlerInItsMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2, world.WithSaga)
		saga := world.Request{Tool: "saga", Text: "x"}
		saga.State, saga.Action = (<-f.Sends(0, saga)).State(t), "accept"
		again := f.Sends(0, saga)
		f.Worlds[0].Approves()
		saga.State = (<-again).State(t) // it has created a note, and needs more
		drained := drains(t, f.Worlds[0].Auth, time.Hour)
		drainsStill(t, drained, 30*time.Second)
		f.Worlds[0].Approves() // before the host comes back, as after a while it does
		drainsStill(t, drained, 3*time.Second)
		(<-f.Sends(0, saga)).Succeeds(t, "x")
		wantDrained(t, drained)
		f.Worlds[0].WantSaga(1, 1)
	})
}

// A call that waits for its person may begin to run at any moment, and its host may hang up then, and come back: it keeps its
// process until that is over, too.
func TestDrain_CallThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goesOn := make(chan struct{})
		f := newFleet(t, 2, func(w *world.World) {
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "long"}, scopes.Of("notes:write"), world.Counted(w, "long",
				func(context.Context, *mcp.CallToolRequest, world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					<-goesOn
					return nil, world.Answer{}, nil
				}))
		})
		long := world.Request{Tool: "long", Caps: world.URLAlone}
		long.State, long.Action = (<-f.Sends(0, long)).State(t), "accept"
		hold, hangUp := context.WithCancel(t.Context())
		waiting := f.Seats[0].Send(hold, long)
		synctest.Wait()
		drained := drains(t, f.Worlds[0].Auth, time.Hour)
		drainsStill(t, drained, 5*time.Second)
		f.Worlds[0].Approves()
		drainsStill(t, drained, 5*time.Second)
		f.Wants("long", 1)
		hangUp()
		<-waiting
		drainsStill(t, drained, 5*time.Second)
		close(goesOn)
		drainsStill(t, drained, 5*time.Second)
		if reply := <-f.Sends(0, long); reply.Result.IsError {
			t.Errorf("the host that comes back gets %s", reply.Text())
		}
		wantDrained(t, drained)
		f.Wants("long", 1)
	})
}

// A host that has gone does not keep a process for long.
func TestDrain_NobodyFetches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2, world.WithSaga)
		saga := world.Request{Tool: "saga", Text: "x"}
		saga.State, saga.Action = (<-f.Sends(0, saga)).State(t), "accept"
		again := f.Sends(0, saga)
		f.Worlds[0].Approves()
		saga.State = (<-again).State(t)
		drained := drains(t, f.Worlds[0].Auth, time.Hour)
		f.Worlds[0].Approves()
		time.Sleep(65 * time.Second) // the handler waits for its host for 30 s, and so does the result
		wantDrained(t, drained)
	})
}

// A process that is alone waits for all of its calls, and says what is left when its time is over.
func TestDrain_Alone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{VerifyUser: world.Anybody}})
		seat := w.Endpoint()
		r := world.Request{Caps: world.URLAlone}
		r.State, r.Action = (<-seat.Send(t.Context(), r)).State(t), "accept"
		err := <-drains(t, w.Auth, time.Minute)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 sign-ins, 1 calls") {
			t.Errorf("Drain: %v", err)
		}
		drained := drains(t, w.Auth, time.Hour)
		drainsStill(t, drained, 10*time.Second)
		retry := seat.Send(t.Context(), r)
		w.Approves()
		(<-retry).Succeeds(t, "ada")
		wantDrained(t, drained)
		wantDrained(t, drains(t, w.Auth, time.Minute))
		if err := w.Auth.Close(); err != nil {
			t.Error(err)
		}
		wantDrained(t, drains(t, w.Auth, time.Minute))
	})
}

// A sign-in on the connect page keeps its process until the person has seen the last page, or the link has ended.
func TestDrain_SignInOnPage(t *testing.T) {
	for _, comes := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			o := newOffice(t, world.Setup{})
			call, link := o.asks(world.Modern)
			drained := drains(t, o.Auth, time.Hour)
			if !comes {
				drainsStill(t, drained, 9*time.Minute)
				time.Sleep(time.Minute)
				wantDrained(t, drained)
				(<-call).Fails(t, lazyauth.ReasonPending)
				return
			}
			drainsStill(t, drained, 10*time.Second)
			ada := o.Visitor(o.page, "ada")
			back := ada.Get(ada.SignsIn(ada.Continues(link), "ada"))
			(<-call).Succeeds(t, "ada")
			if back.Status != http.StatusSeeOther {
				t.Fatalf("status %d", back.Status)
			}
			drainsStill(t, drained, 3*time.Second) // the browser is on its way to the last page
			if page := ada.Follows(back); page.Name != "signed-in" {
				t.Errorf("the last page is %q", page.Name)
			}
			wantDrained(t, drained)
		})
	}
}
