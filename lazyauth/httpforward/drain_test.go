package httpforward_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// ends has a replica end as a rolling restart has it: the proxy sends it nothing any more, while others may forward to it
// until nothing is left that it alone can go on with.
func (f *fleet) ends(n int) (ended <-chan error) {
	f.T.Helper()
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(f.T.Context(), 11*time.Minute)
		defer cancel()
		err := f.Worlds[n].Auth.Drain(ctx)
		f.gone.Store(string(rune('a'+n)), true)
		f.leaves[n]()
		if closed := f.Worlds[n].Auth.Close(); err == nil {
			err = closed
		}
		done <- err
	}()
	synctest.Wait()
	return done
}

// A replica that is to end, and drains, loses nobody's sign-in on the connect page, and no call: the link that it has
// handed out works, the call waits, and what the sign-in brings is there for who comes after it.
func TestForward_Draining(t *testing.T) {
	for _, when := range []string{"the host waits", "the host comes back later"} {
		t.Run(when, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, 3, (*fleet).redirects)
				first := <-f.Sends(0, world.Request{})
				retry := world.Request{State: first.State(t), Action: "accept"}
				link := first.Result.InputRequests[world.ResponseKey].(*mcp.ElicitParams).URL
				ended := f.ends(0)
				others := &fleet{Fleet: &world.Fleet{T: t, Seats: f.Seats[1:]}}
				var waiting <-chan world.Reply
				if when == "the host waits" {
					waiting = f.Sends(1, retry)
				}
				time.Sleep(10 * time.Second)
				browser := f.Worlds[0].Visitor(others, "ada")
				if page := browser.Connects(link); page.Name != "signed-in" {
					t.Errorf("the last page is %q: %s", page.Name, page.HTML)
				}
				if waiting != nil {
					(<-waiting).Succeeds(t, "ada")
				}
				if err := <-ended; err != nil {
					t.Error(err)
				}
				if waiting == nil {
					(<-f.Sends(2, retry)).Succeeds(t, "ada")
				}
				f.Wants("whoami", 1)
				prompts := 0
				for _, w := range f.Worlds {
					prompts += len(w.Trace.Channels())
				}
				if prompts != 1 {
					t.Errorf("%d prompts", prompts)
				}
			})
		})
	}
}

// What nobody finishes in time is asked for again, by another replica, of whoever comes back.
func TestForward_DrainedInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2, (*fleet).redirects)
		first := <-f.Sends(0, world.Request{})
		began := time.Now()
		if err := <-f.ends(0); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took < 9*time.Minute || took > 10*time.Minute+3*time.Second {
			t.Errorf("it took %v, and a link is good for 10 minutes", took)
		}
		again := <-f.Sends(1, world.Request{State: first.State(t), Action: "accept"})
		_ = again.State(t)
	})
}
