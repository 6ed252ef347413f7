package lazyauth_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func TestCompletion_ComesBeforeTheResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		w.Server.AddSendingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
			return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
				if method == "notifications/elicitation/complete" {
					world.Later(time.Second) // a slow host
				}
				return next(ctx, method, req)
			}
		})
		h := w.Host(world.Legacy, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		synctest.Wait()
		messages := w.Wire.Messages()
		at := func(part string) int {
			return slices.IndexFunc(messages, func(m []byte) bool { return bytes.Contains(m, []byte(part)) })
		}
		if completion, result := at("notifications/elicitation/complete"), at("Ada Example"); completion < 0 || result < completion {
			t.Errorf("the completion is message %d, the result %d", completion, result)
		}
	})
}

func TestCompletion_NotToAHostThatRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: world.OnePerson}})
		refuses, consents := w.Host(world.Legacy, world.Says("decline", 2*time.Second)), w.Host(world.Legacy, world.Accepts)
		one, two := refuses.Call(t.Context(), "whoami", nil), consents.Call(t.Context(), "whoami", nil)
		(<-one).Fails(t, lazyauth.ReasonDeclined)
		w.Approves()
		(<-two).Succeeds(t, "Ada")
		synctest.Wait()
		if n := len(refuses.Completions()); n != 0 {
			t.Errorf("%d completions for a host whose person had refused", n)
		}
	})
}

// Dialogs are taken down when the server ends.
func TestCompletion_AtClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		h := w.Host(world.Legacy, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		w.Person()
		synctest.Wait()
		w.Auth.Close()
		(<-call).Fails(t, lazyauth.ReasonUnavailable)
		synctest.Wait()
		if len(h.Completions()) != 1 {
			t.Errorf("completions: %d", len(h.Completions()))
		}
	})
}

// A dialog that was accepted is taken down though a later one was declined.
func TestCompletion_OfAnEarlierPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		h := w.Host(world.Legacy, world.InTurn(world.Accepts, world.Says("decline", 3*time.Second)))
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending)
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
		h.WantPrompts(2)
		w.AS.Approve(w.Person().UserCode)
		world.Later(20 * time.Second)
		synctest.Wait()
		got := fmt.Sprint(h.Completions())
		if !strings.Contains(got, h.Shown()[0].ElicitationID) {
			t.Errorf("the host that accepted the first link never learns that it is over: %s", got)
		}
	})
}

// While a host does not read that its prompt is completed, the grant is there and no call
// is refused.
func TestCompletion_ThatIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{MaxWait: 11 * time.Second}})
		w.Server.AddSendingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
			return func(ctx context.Context, m string, r mcp.Request) (mcp.Result, error) {
				if m == "notifications/elicitation/complete" {
					<-ctx.Done() // the host does not read
				}
				return next(ctx, m, r)
			}
		})
		h := w.Host(world.Legacy, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		code := w.Person().UserCode
		world.Later(9 * time.Second)
		w.AS.Approve(code) // seen at the poll after 10 s
		(<-call).Succeeds(t, "Ada")
	})
}
