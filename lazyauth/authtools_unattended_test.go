package lazyauth_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
)

// What auth_status says of a grant without a person is the same before and after its first use,
// and is that of the very bearer token of the call: another one's is not in the hand of a caller
// whom nobody got one for.
func TestAuthTools_StatusUnattended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := exchanges(t, fakeas.Options{}, thenAsk, func(u *lazyauth.Unattended, o *lazyauth.Options) {
			u.Callers = func(c lazyauth.Caller) bool { return c.Info != nil && len(c.Info.Scopes) > 1 }
		})
		lazyauth.AddAuthTools(w.Server, w.Auth, nil)
		full, poor := w.bearer("ada", time.Hour), w.bearer("ada", time.Hour, "profile")
		status := func(bearer string) map[string]any {
			t.Helper()
			return content(t, <-w.Send(t.Context(), world.Request{Tool: "auth_status", User: bearer, Caps: world.URLAlone}))
		}
		for _, when := range []string{"before", "after"} {
			if got := status(full); got["signed_in"] != true || got["unattended"] != true {
				t.Errorf("%s its use: %v", when, got)
			}
			if got := status(poor); got["signed_in"] != false {
				t.Errorf("%s the use of another token: %v", when, got)
			}
			r := <-w.Send(t.Context(), world.Request{Tool: "auth_login", User: full, Caps: world.URLAlone})
			r.Succeeds(t, "This server gets access to Notes for its caller by itself, and nobody needs to sign in.")
		}
	})
}
