package lazyauth_test

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// Who has not called for a while costs nothing any more, and finds the grant by the next call,
// without a prompt.
func TestIdle_NextCallFindsTheGrant(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{
			AS:      fakeas.Options{TokenLifetime: time.Hour},
			Options: lazyauth.Options{Principal: world.ByClientName, VerifyUser: world.Anybody, Store: store.Memory()},
		})
		ada := w.HostWith(era, world.Manners{Name: "ada", URL: true, React: world.Accepts})
		call := ada.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		for range 3 {
			world.Later(3 * time.Hour)
			runtime.GC()
			ada.Gets("whoami", nil, "Ada")
		}
		ada.WantPrompts(1)
		w.WantAuthorizations(1)
	})
}

// A person who declined is left alone for a minute, also if the call that asked them was made
// long ago.
func TestIdle_DeclineIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{
			AS:      fakeas.Options{CodeLifetime: time.Hour},
			Options: lazyauth.Options{Principal: world.ByClientName, VerifyUser: world.Anybody, Store: store.Memory(), MaxWait: time.Hour},
		})
		ada := w.HostWith(world.Legacy, world.Manners{Name: "ada", URL: true, React: world.Says("decline", 14*time.Minute+50*time.Second)})
		(<-ada.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
		world.Later(15 * time.Second)
		for range 3 {
			runtime.GC()
		}
		(<-ada.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
		ada.WantPrompts(1)
	})
}
