package lazyauth

import (
	"net/url"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// Whoever somebody is, a store takes their key, and no two people or services share one.
// Keys that were short enough are what they always were.
func TestKey_Long(t *testing.T) {
	long := strings.Repeat("x", 2000)
	hindi := strings.Repeat("काम", 64)
	people := []Principal{
		{}, {Subject: long}, {Subject: long + "y"}, {Issuer: long}, {Issuer: long, Subject: long}, {Account: long},
		{Issuer: "https://as.example.test", Subject: hindi}, {Issuer: hindi, Subject: hindi, Account: hindi},
		{Subject: hashed(long)}, {Issuer: long, Subject: hashed(long)}, {Issuer: hashed(long), Subject: long},
		{Subject: strings.Repeat("é", 140)}, {Subject: strings.Repeat("é", 160)}, {Subject: strings.Repeat("é", 161)},
	}
	params := []url.Values{nil, {"resource": {"https://api.example.test"}}, {"authorization_details": {long}}, {"authorization_details": {long + "y"}}}
	whose := make(map[string]string)
	kept := store.Memory()
	for n, p := range params {
		service := &Service{Name: "Notes", Issuer: "https://as.example.test", ClientID: "c", Params: p}
		for _, who := range people {
			key := service.storeKey(who)
			name := p.Encode() + who.key()
			if other, ok := whose[key]; ok {
				t.Errorf("%.80q and %.80q share a key", name, other)
			}
			whose[key] = name
			if err := kept.Update(t.Context(), key, func([]byte) ([]byte, error) { return []byte("grant"), nil }); err != nil {
				t.Errorf("params %d, %.80q: %v", n, who, err)
			}
			got, ok := service.ofKey(key)
			if ok && got != who {
				t.Errorf("%.80q was read as %.80q", who, got)
			}
			if short := who.key(); len(short) < 150 && !ok {
				t.Errorf("params %d: %.80q is not found again", n, who)
			}
			for m, q := range params {
				other := &Service{Name: "Notes", Issuer: "https://as.example.test", ClientID: "c", Params: q}
				if _, ok := other.ofKey(key); ok && n != m {
					t.Errorf("params %d: %.80q is taken for another service's", n, who)
				}
			}
		}
	}
	service := &Service{Name: "Notes", Issuer: "https://as.example.test", ClientID: "c"}
	if got, want := service.storeKey(Principal{Issuer: "i", Subject: "é", Account: "w"}), `"https://as.example.test" "c" "" "i" "\u00e9" "w"`; got != want {
		t.Errorf("%s; want %s", got, want)
	}
}
