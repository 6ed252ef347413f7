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
		s := i.suspended.round(opened, newCall())
		if s == nil || i.suspended.round(opened, newCall()) != s {
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
		if n := i.suspended.count[grants.Principal{}]; n != 0 {
			t.Errorf("%d calls count for nobody", n)
		}
	})
}
