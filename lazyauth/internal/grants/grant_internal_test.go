package grants

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// silent observes nothing.
type silent struct{}

func (silent) ClientChosen(*Flight, ClientChoice)                                                 {}
func (silent) Waiting(context.Context, *Owner, string, scopes.Set)                                {}
func (silent) Polled(*Flight, device.PollEvent)                                                   {}
func (silent) Redirected(*Flight, authcode.Event)                                                 {}
func (silent) Ended(*Flight, time.Duration)                                                       {}
func (silent) Refreshed(context.Context, *Owner, *Grant, time.Duration)                           {}
func (silent) RefreshFailed(context.Context, *Owner, *Grant, time.Duration, error, bool)          {}
func (silent) TokenFailed(context.Context, *Owner, error)                                         {}
func (silent) StoreFailed(context.Context, *Owner, error)                                         {}
func (silent) Unidentified(context.Context, *Owner, error)                                        {}
func (silent) Changed(*Owner)                                                                     {}
func (silent) CallbackFailed(context.Context, string, error)                                      {}
func (silent) Drawn(context.Context, Principal, string, *Grant, scopes.Set, time.Duration, error) {}

func newKeeper(t *testing.T) *Keeper {
	t.Helper()
	k := New(Config{
		Store: store.Memory(), Key: func(who Principal) string { return "key of " + who.Key() }, Observer: silent{},
		Words: func(scopes.Set) []string { return nil },
	})
	t.Cleanup(func() {
		k.Close()
		if k.Join(time.Second) != nil {
			t.Error("something goes on after Close")
		}
	})
	return k
}

// A grant that is made of another keeps all but what was changed.
func TestGrant_Like(t *testing.T) {
	k := newKeeper(t)
	g := newGrant(k.config.Hierarchy, &oauth.Token{Access: "a", Refresh: "r", Expires: time.Now().Add(time.Hour), Scopes: scopes.Of("profile")}, true)
	g.identity = Identity{Name: "ada"}
	g.state.Or(expired)
	for name, like := range map[string]*Grant{"reduced": g.like(scopes.Set{}, g.refresh), "without refresh": g.withoutRefresh()} {
		if like.Alive() || like.identity != g.identity || !like.refreshed || (like.refresh == "") != (name == "without refresh") || like.serial == g.serial {
			t.Errorf("%s: alive %t, identity %v, refreshed %t", name, like.Alive(), like.identity, like.refreshed)
		}
	}
}

func TestGrant_Timers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeeper(t)
		moments := map[time.Duration]bool{}
		for range 50 {
			g := newGrant(k.config.Hierarchy, &oauth.Token{Access: "a", Refresh: "r", Expires: time.Now().Add(time.Hour)}, false)
			g.start(func() {})
			began := time.Now()
			for g.state.Load()&due == 0 {
				time.Sleep(time.Second)
			}
			moments[time.Since(began)] = true
			if !g.Alive() || time.Since(began) > 57*time.Minute+30*time.Second {
				t.Fatal("due too late")
			}
			g.stop()
			time.Sleep(time.Hour)
			if !g.Alive() {
				t.Fatal("the timers of a grant that was replaced run on")
			}
		}
		if len(moments) < 10 {
			t.Errorf("%d different moments", len(moments))
		}
		g := newGrant(k.config.Hierarchy, &oauth.Token{Access: "a", Expires: time.Now().Add(time.Hour)}, false)
		g.start(func() {})
		time.Sleep(time.Hour - 15*time.Second)
		if g.state.Load()&due != 0 {
			t.Error("a grant that cannot be refreshed is due")
		}
		g.stop()
	})
}
