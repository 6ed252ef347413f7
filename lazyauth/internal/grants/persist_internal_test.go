package grants

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// What another process has stepped up to stays; what the API refused does not.
func TestPersist_OverWhatIsStored(t *testing.T) {
	k := newKeeper(t)
	o := k.local
	broad := newGrant(k.config.Hierarchy, &oauth.Token{Access: "broad", Scopes: scopes.Of("a", "b")}, false)
	narrow := newGrant(k.config.Hierarchy, &oauth.Token{Access: "narrow", Scopes: scopes.Of("a")}, false)
	broad.asked, narrow.asked = broad.scopes, narrow.scopes
	has := func() string {
		t.Helper()
		text, err := k.config.Store.Load(t.Context(), o.record.key)
		if err != nil || text == nil {
			t.Fatal(err)
		}
		g, err := decode(k.config.Hierarchy, k.config.Declared, text)
		if err != nil {
			t.Fatal(err)
		}
		return g.token.AccessToken
	}
	save := func(g *Grant) {
		o.mu.Lock()
		o.adopt(g)
		o.mu.Unlock()
		o.save(t.Context(), g)
	}
	save(broad)
	save(narrow)
	if has() != "broad" {
		t.Error("a sibling's step-up was overwritten")
	}
	o.remove(t.Context(), narrow)
	if has() != "broad" {
		t.Error("a sibling's grant was deleted")
	}
	o.rejected = "broad"
	save(narrow)
	if has() != "narrow" {
		t.Error("the rejected token is still there")
	}
	o.remove(t.Context(), narrow)
	if text, _ := k.config.Store.Load(t.Context(), o.record.key); text != nil {
		t.Error("it was not deleted")
	}
}

// Whatever was granted is restored, as far as it can be granted.
func TestRecord_Large(t *testing.T) {
	k := newKeeper(t)
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
		text := newGrant(k.config.Hierarchy, &oauth.Token{Access: long, Refresh: long, Scopes: set}, true).encode()
		if g, err := decode(k.config.Hierarchy, k.config.Declared, text); err != nil || g.scopes != set {
			t.Errorf("%s, in %d bytes: %v", format, len(text), err)
		}
	}
}
