package lazyauth

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/state"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A state and the call that it names end at the same moment of one clock: a state that
// opened for longer would have a handler's own round begun a second time. That clock is the
// monotonic one, which nobody sets; here it is set by hand, and the wall clock goes on.
func TestState_EndsWithItsCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, err := New(Service{Name: "Notes", Issuer: "https://as.example", ClientID: "c"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer i.Close()
		var clock time.Duration
		i.suspended.now = func() time.Duration { return clock }
		newCall := func() *suspended {
			call := &mcp.CallToolRequest{Params: &mcp.CallToolParamsRaw{Name: "t"}}
			return newSuspended(i.newGate("t", scopes.Of("x")), i.local, asking.Request{Ctx: t.Context(), Call: call})
		}
		const end = 10 * time.Minute
		sealed, err := i.sealer.Seal(state.State{Call: "round", Round: true, End: end}, state.Binding{})
		if err != nil {
			t.Fatal(err)
		}
		opens := func() (state.State, bool) {
			opened, err := i.sealer.Open(sealed, state.Binding{}, clock)
			return opened, err == nil
		}
		opened, _ := opens()
		s, _ := i.suspended.round(opened, newCall())
		if again, _ := i.suspended.round(opened, newCall()); s == nil || again != s {
			t.Fatal("a round begins twice")
		}
		time.Sleep(time.Hour) // by a clock that does not count
		synctest.Wait()
		if _, ok := opens(); !ok || i.suspended.get("round") != s {
			t.Errorf("before its end: opens %t, kept %t", ok, i.suspended.get("round") == s)
		}
		clock = end
		i.suspended.drop(s)
		if _, ok := opens(); ok || i.suspended.get("round") != nil {
			t.Errorf("at its end: opens %t, kept %t", ok, i.suspended.get("round") != nil)
		}
		// Nor does one whose state was opened in time, and whose call has ended meanwhile.
		if late, busy := i.suspended.round(opened, newCall()); late != nil || busy {
			t.Errorf("a round begins after its end: %v, busy %t", late != nil, busy)
		}
		if n := i.suspended.count[grants.Principal{}]; n != 0 {
			t.Errorf("%d calls count for nobody", n)
		}
	})
}

// A request that still waits when its call ends is answered with the call's outcome: that is
// complete, with the name of a handler's own round in it, before the request hears of it.
func TestState_OfARoundIsNamedBeforeAnybodyIsAnswered(t *testing.T) {
	i, err := New(Service{Name: "Notes", Issuer: "https://as.example", ClientID: "c"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	call := &mcp.CallToolRequest{Params: &mcp.CallToolParamsRaw{Name: "t"}}
	s := newSuspended(i.newGate("t", scopes.Of("x")), i.local, asking.Request{Ctx: t.Context(), Call: call})
	s.enter(&s.first)
	told := false
	s.first.stop = func(error) {
		told = true
		if s.round == "" || s.roundEnd == 0 {
			t.Error("a request is told of an outcome whose round has no name")
		}
	}
	s.finish(outcome{result: &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{"sure": &mcp.ElicitParams{}}}})
	if !told {
		t.Error("nobody was told")
	}
}

// A request that leaves serves nothing before it waits for what is being said to it: or the
// first progress of a call, which there is nothing to wait for before, could follow the answer.
func TestSuspended_LeavesBeforeItWaitsForProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, err := New(Service{Name: "Notes", Issuer: "https://as.example", ClientID: "c"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer i.Close()
		call := &mcp.CallToolRequest{Params: &mcp.CallToolParamsRaw{Name: "t"}}
		s := newSuspended(i.newGate("t", scopes.Of("x")), i.local, asking.Request{Ctx: t.Context(), Call: call})
		s.enter(&s.first)
		p, left := s.Progress(), false
		p.Lock() // a message is on its way
		go func() {
			s.leave(&s.first, nil)
			left = true
		}()
		synctest.Wait()
		if s.current() != nil || left {
			t.Errorf("serves %t, left %t, while a message is on its way; want neither", s.current() != nil, left)
		}
		p.Unlock()
		synctest.Wait()
		if !left {
			t.Error("it never leaves")
		}
	})
}
