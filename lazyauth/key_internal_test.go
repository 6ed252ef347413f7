package lazyauth

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
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
	whose := make(map[string]string)
	// Parameters of all requests count, and the same in another request are others.
	for n, s := range []*Service{{}, {Params: url.Values{"a": {"1"}}}, {TokenParams: url.Values{"a": {"1"}}}, {RefreshParams: url.Values{"a": {"1"}}}, {Program: "p"}} {
		key := s.storeKey(Principal{})
		if whose[key] != "" {
			t.Errorf("services %s and %d share a key", whose[key], n)
		}
		whose[key] = fmt.Sprint("service ", n)
	}
	params := []url.Values{nil, {"resource": {"https://api.example.test"}}, {"authorization_details": {long}}, {"authorization_details": {long + "y"}}}
	kept := store.Memory()
	for n, p := range params {
		service := &Service{Name: "Notes", Issuer: "https://as.example.test", ClientID: "c", Params: p}
		for _, who := range people {
			key := service.storeKey(who)
			name := p.Encode() + grants.Principal(who).Key()
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
			if short := grants.Principal(who).Key(); len(short) < 150 && !ok {
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
	if got, want := service.storeKey(Principal{Issuer: "i", Subject: "é", Account: "w"}), `"https://as.example.test" "Notes" "" "i" "\u00e9" "w"`; got != want {
		t.Errorf("%s; want %s", got, want)
	}
}

func aNotes(t *testing.T, client, issuer string) *Interceptor {
	auth, err := New(Service{Name: "Notes", Issuer: issuer, ClientID: client}, &Options{Store: store.Memory()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { auth.Close() })
	return auth
}

// The key of a grant is read as it was written, and by nobody else.
func TestKey_OfOthers(t *testing.T) {
	a := aNotes(t, "c", "https://as.example.test")
	who := Principal{Issuer: `i" "j`, Subject: "s\\ é", Account: `w "x" `}
	if got, ok := a.service.ofKey(a.service.storeKey(who)); !ok || got != who {
		t.Errorf("%+v, %t", got, ok)
	}
	if _, ok := a.service.ofKey(a.service.storeKey(Principal{Account: "a\x1b[2J"})); ok {
		t.Error("control characters come out of a store")
	}
	if got, ok := aNotes(t, "d", "https://as.example.test").service.ofKey(a.service.storeKey(who)); !ok || got != who {
		t.Errorf("by another client id of the program: %+v, %t", got, ok)
	}
	other := aNotes(t, "c", "https://as.example.test")
	other.service.Program = "another program"
	for _, b := range []*Interceptor{other, aNotes(t, "c", "https://as2.example.test")} {
		if _, ok := a.service.ofKey(b.service.storeKey(who)); ok {
			t.Error("the key of another service is taken for one's own")
		}
	}
}

// Names are measured in characters, and are text.
func TestKey_AccountNames(t *testing.T) {
	if checkAccount("a\xff") == nil {
		t.Error("not UTF-8")
	}
	if checkAccount(strings.Repeat("é", 64)) != nil {
		t.Error("64 characters")
	}
}
