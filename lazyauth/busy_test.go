package lazyauth_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A model that names one account after the other begins sixteen sign-ins, and no more; of whom
// else is asked meanwhile it learns nothing, and they are not kept waiting.
func TestBusy_AccountFlood(t *testing.T) {
	for name, react := range map[string]world.Reaction{"by a link": world.Accepts, "by text": nil} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{Options: lazyauth.Options{
					Account: lazyauth.AccountFromArgument("text"), Principal: world.ByClientName, VerifyUser: world.Anybody,
				}})
				mallory := w.HostWith(era, world.Manners{Name: "mallory", URL: react != nil, React: react})
				var calls []<-chan world.Reply
				for n := range 200 {
					calls = append(calls, mallory.Call(t.Context(), "create_note", world.Note{Text: fmt.Sprint("a", n)}))
					synctest.Wait()
				}
				world.Later(20 * time.Second)
				w.WantAuthorizations(16)
				if n := w.Trace.Count("failed"); n != 184 {
					t.Errorf("told of %d calls that were turned away", n)
				}
				ada := w.HostWith(era, world.Manners{Name: "ada", URL: true, React: world.Accepts})
				call := ada.Call(t.Context(), "whoami", nil)
				world.Later(time.Second)
				waiting := w.AS.Waiting()
				w.AS.Approve(waiting[len(waiting)-1].UserCode)
				(<-call).Succeeds(t, "Ada")
				w.Auth.Close()
				busy := 0
				for _, c := range calls {
					if r := <-c; r.Result != nil && r.Result.Meta[lazyauth.MetaReason] == string(lazyauth.ReasonBusy) {
						busy++
						if !strings.Contains(r.Text(), "Call again in a minute") {
							t.Fatalf("it does not say when to come back: %q", r.Text())
						}
					}
				}
				if busy != 184 {
					t.Errorf("%d were busy", busy)
				}
			})
		})
	}
}

// One person's calls that wait are a sixteenth of what may wait; the others' are let wait.
func TestBusy_CallFlood(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{
			AS:      fakeas.Options{CodeLifetime: time.Hour},
			Options: lazyauth.Options{MaxCalls: 320, Principal: world.ByClientName, VerifyUser: world.Anybody},
		})
		mallory := w.HostWith(era, world.Manners{Name: "mallory", URL: true, React: world.Never})
		for range 100 {
			mallory.Call(t.Context(), "whoami", nil)
		}
		world.Later(time.Second)
		if n := w.Trace.Count("failed"); n < 80 {
			t.Errorf("%d calls were turned away, want 80 at least", n)
		}
		ada := w.HostWith(era, world.Manners{Name: "ada", URL: true, React: world.Accepts})
		call := ada.Call(t.Context(), "whoami", nil)
		world.Later(time.Second)
		waiting := w.AS.Waiting()
		w.AS.Approve(waiting[len(waiting)-1].UserCode)
		(<-call).Succeeds(t, "Ada")
		w.Auth.Close()
	})
}

// Large calls count as many: what one person's calls keep in memory is bounded, also when a retry
// brings more than its call did.
func TestBusy_LargeCalls(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{
			AS:      fakeas.Options{CodeLifetime: time.Hour},
			Options: lazyauth.Options{MaxCalls: 320, Principal: world.ByClientName, VerifyUser: world.Anybody},
		})
		mallory := w.HostWith(era, world.Manners{Name: "mallory", URL: true, React: world.Never})
		for range 20 {
			mallory.Call(t.Context(), "create_note", world.Note{Text: strings.Repeat("x", 16<<10)})
		}
		world.Later(time.Second)
		if n := w.Trace.Count("failed"); n != 16 { // each of the four that wait counts as five
			t.Errorf("%d calls were turned away, want 16", n)
		}
		w.Auth.Close()
	})
}

// A retry that brings more than its call did counts for what it brings.
func TestBusy_LargeRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		who := func(context.Context, *mcp.CallToolRequest) (lazyauth.Principal, error) {
			return lazyauth.Principal{Subject: "mallory"}, nil
		}
		w := world.New(t, world.Setup{
			AS:      fakeas.Options{CodeLifetime: time.Hour},
			Options: lazyauth.Options{MaxCalls: 320, MaxWait: time.Second, Principal: who, VerifyUser: world.Anybody},
		})
		h := w.RawHost()
		calls := func(state, note string) world.Reply {
			result, err := h.Session.CallTool(t.Context(), &mcp.CallToolParams{
				Name: "whoami", RequestState: state, Meta: mcp.Meta{mcp.MetaKeyClientCapabilities: map[string]any{"elicitation": map[string]any{"url": map[string]any{}}}, "test/note": note},
			})
			return world.Reply{Result: result, Err: err}
		}
		first := calls("", "")
		state := first.State(t)
		calls(state, strings.Repeat("x", 200<<10)).Fails(t, lazyauth.ReasonBusy)
		again := calls(state, strings.Repeat("x", 60<<10)) // there is room for fifteen more
		if again.Result.Meta[lazyauth.MetaReason] == string(lazyauth.ReasonBusy) {
			t.Errorf("there is no room: %q", again.Text())
		}
		calls("", strings.Repeat("x", 20<<10)).Fails(t, lazyauth.ReasonBusy) // beside that
	})
}
