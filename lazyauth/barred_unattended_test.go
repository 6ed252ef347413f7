package lazyauth_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// A barred person's bearer token is exchanged for nothing, whether they had something before or not, nobody is asked in
// its place, and the bar's end gives it back. Others are not concerned.
func TestBar_Unattended(t *testing.T) {
	for name, elsewhere := range map[string]bool{"here": false, "elsewhere": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kept := store.Memory()
				stored := func(_ *lazyauth.Unattended, o *lazyauth.Options) { o.Store = kept }
				w := exchanges(t, fakeas.Options{TokenLifetime: time.Hour}, thenAsk, stored)
				by := w.Auth
				if elsewhere {
					by = world.New(t, world.Setup{Shared: w.AS, Options: lazyauth.Options{Store: kept, VerifyUser: world.Anybody}}).Auth
				}
				op := lazyauth.NewOperator(by, "olga")
				had, grace := w.bearer("ada", 10*time.Hour), w.bearer("grace", 10*time.Hour)
				w.calls("whoami", had).Succeeds(t, "Ada")
				w.calls("whoami", grace).Succeeds(t, "Grace")
				who := lazyauth.Principal{Issuer: w.AS.Issuer(), Subject: "ada"}
				if _, err := op.Bar(t.Context(), who, time.Time{}); err != nil {
					t.Fatal(err)
				}
				w.calls("whoami", w.bearer("ada", 10*time.Hour)).Fails(t, lazyauth.ReasonBarred) // which has had nothing
				if elsewhere {
					world.Later(30 * time.Second)
				}
				w.calls("whoami", had).Fails(t, lazyauth.ReasonBarred)
				w.calls("whoami", grace).Succeeds(t, "Grace")
				w.exchanged(2)
				if _, err := op.Lift(t.Context(), who); err != nil {
					t.Fatal(err)
				}
				w.calls("whoami", had).Succeeds(t, "Ada")
				w.exchanged(3)
			})
		})
	}
}

// The exchange is on its way when the person is barred: what it brings is not used.
func TestBar_AnExchangeInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := exchanges(t, fakeas.Options{TokenLifetime: time.Hour})
		bearer := w.bearer("ada", time.Hour)
		w.AS.Script(fakeas.TokenExchange, fakeas.Pass().After(3*time.Second))
		call := w.Send(t.Context(), world.Request{Tool: "whoami", User: bearer, Caps: world.URLAlone})
		world.Later(time.Second)
		if _, err := lazyauth.NewOperator(w.Auth, "olga").Bar(t.Context(), lazyauth.Principal{Issuer: w.AS.Issuer(), Subject: "ada"}, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if r := <-call; r.Err != nil || !r.Result.IsError {
			t.Errorf("the call came to %q, %v", r.Text(), r.Err)
		}
		w.calls("whoami", bearer).Fails(t, lazyauth.ReasonBarred)
		w.exchanged(1)
		if n := w.AS.Count(fakeas.Me, ""); n != 0 {
			t.Errorf("the token was used %d times", n)
		}
	})
}
