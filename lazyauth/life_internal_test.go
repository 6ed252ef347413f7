package lazyauth

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

func aNotes(t *testing.T, client, issuer string) *Interceptor {
	auth, err := New(Service{Name: "Notes", Issuer: issuer, ClientID: client}, &Options{Store: store.Memory()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { auth.Close() })
	return auth
}

// What a grant is made into keeps all but what was changed.
func TestGrantsMadeOfGrants(t *testing.T) {
	auth := aNotes(t, "c", "https://as.example.test")
	g := auth.newGrant(&device.Token{Access: "a", Refresh: "r", Expires: time.Now().Add(time.Hour), Scopes: scopes.Of("profile")}, true)
	g.identity = Identity{Name: "ada"}
	g.open.Or(expired)
	for name, like := range map[string]*grant{"reduced": g.reduced(scopes.Set{}), "restarted": g.restarted(), "without refresh": g.withoutRefresh()} {
		if like.alive() || like.identity != g.identity || !like.renewed || (like.refresh == "") != (name == "without refresh") {
			t.Errorf("%s: alive %t, identity %v, renewed %t", name, like.alive(), like.identity, like.renewed)
		}
	}
}

func TestGrantTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		auth := aNotes(t, "c", "https://as.example.test")
		moments := map[time.Duration]bool{}
		for range 50 {
			g := auth.newGrant(&device.Token{Access: "a", Refresh: "r", Expires: time.Now().Add(time.Hour)}, false)
			began := time.Now()
			for g.open.Load()&due == 0 {
				time.Sleep(time.Second)
			}
			moments[time.Since(began)] = true
			if !g.alive() || time.Since(began) > 57*time.Minute+30*time.Second {
				t.Fatal("due too late")
			}
			g.retire()
			time.Sleep(time.Hour)
			if !g.alive() {
				t.Fatal("the timers of a retired grant run on")
			}
		}
		if len(moments) < 10 {
			t.Errorf("%d different moments", len(moments))
		}
		g := auth.newGrant(&device.Token{Access: "a", Expires: time.Now().Add(time.Hour)}, false)
		time.Sleep(time.Hour - 15*time.Second)
		if g.open.Load()&due != 0 {
			t.Error("a grant that cannot be refreshed is due")
		}
		g.retire()
	})
}

// The key of a grant is read as it was written, and by nobody else.
func TestKeysOfOthers(t *testing.T) {
	a := aNotes(t, "c", "https://as.example.test")
	who := Principal{Issuer: `i" "j`, Subject: "s\\ é", Account: `w "x" `}
	if got, ok := a.service.ofKey(a.service.storeKey(who)); !ok || got != who {
		t.Errorf("%+v, %t", got, ok)
	}
	if _, ok := a.service.ofKey(a.service.storeKey(Principal{Account: "a\x1b[2J"})); ok {
		t.Error("control characters come out of a store")
	}
	for _, b := range []*Interceptor{aNotes(t, "d", "https://as.example.test"), aNotes(t, "c", "https://as2.example.test")} {
		if _, ok := a.service.ofKey(b.service.storeKey(who)); ok {
			t.Error("the key of another service is taken for one's own")
		}
	}
}

// Whatever was granted is restored, as far as it can be granted.
func TestRecordsOfLargeGrants(t *testing.T) {
	auth := aNotes(t, "c", "https://as.example.test")
	for format, n := range map[string]int{
		"ServiceActivity.ReadWrite%d.All":                               150, // Entra was seen to
		"https://as.example.test/?a=b&<>&&&&&&&&&&&&&&&&&&&&&&&&&&&&%d": 1024,
	} {
		var granted strings.Builder
		for i := range n {
			fmt.Fprintf(&granted, format+" ", i)
		}
		set, dropped := scopes.ParseGranted(granted.String())
		if dropped != 0 {
			t.Fatalf("%s: %d dropped", format, dropped)
		}
		long := strings.Repeat("&", 16<<10)
		text := auth.newGrant(&device.Token{Access: long, Refresh: long, Scopes: set}, true).encode()
		if g, err := auth.decode(text); err != nil || g.scopes != set {
			t.Errorf("%s, in %d bytes: %v", format, len(text), err)
		}
	}
}

// Names are measured in characters, and are text.
func TestAccountNames(t *testing.T) {
	if checkAccount("a\xff") == nil {
		t.Error("not UTF-8")
	}
	if checkAccount(strings.Repeat("é", 64)) != nil {
		t.Error("64 characters")
	}
}

// What another process has stepped up to stays; what the API refused does not.
func TestKeepOverTheRefused(t *testing.T) {
	auth := aNotes(t, "c", "https://as.example.test")
	o := auth.local
	broad := auth.newGrant(&device.Token{Access: "broad", Scopes: scopes.Of("a", "b")}, false)
	narrow := auth.newGrant(&device.Token{Access: "narrow", Scopes: scopes.Of("a")}, false)
	has := func() string {
		text, err := auth.options.Store.Load(t.Context(), o.key)
		if err != nil || text == nil {
			t.Fatal(err)
		}
		g, err := auth.decode(text)
		if err != nil {
			t.Fatal(err)
		}
		return g.token.AccessToken
	}
	o.keep(t.Context(), broad)
	o.keep(t.Context(), narrow)
	if has() != "broad" {
		t.Error("a sibling's step-up was overwritten")
	}
	if err := o.discard(t.Context(), narrow); err != nil || has() != "broad" {
		t.Error("a sibling's grant was deleted")
	}
	o.refused = "broad"
	o.keep(t.Context(), narrow)
	if has() != "narrow" {
		t.Error("the refused token is still there")
	}
	if err := o.discard(t.Context(), narrow); err != nil {
		t.Error(err)
	}
	if text, _ := auth.options.Store.Load(t.Context(), o.key); text != nil {
		t.Error("it was not deleted")
	}
}
