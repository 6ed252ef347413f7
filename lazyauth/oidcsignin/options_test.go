package oidcsignin_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/oidcsignin"
)

func TestNew_Refuses(t *testing.T) {
	for name, set := range map[string]func(*oidcsignin.Options){
		"no issuer":                   func(o *oidcsignin.Options) { o.Issuer = "" },
		"an issuer that is not safe":  func(o *oidcsignin.Options) { o.Issuer = "http://login.example.com" },
		"an issuer that is no URL":    func(o *oidcsignin.Options) { o.Issuer = "login.example.com" },
		"an issuer with a query":      func(o *oidcsignin.Options) { o.Issuer += "?x" },
		"an issuer with a fragment":   func(o *oidcsignin.Options) { o.Issuer += "#x" },
		"an issuer with a password":   func(o *oidcsignin.Options) { o.Issuer = "https://a:b@login.example.com" },
		"no page":                     func(o *oidcsignin.Options) { o.PublicURL = "" },
		"a page that is not safe":     func(o *oidcsignin.Options) { o.PublicURL = "http://mcp.example.com" },
		"a page with a long address":  func(o *oidcsignin.Options) { o.PublicURL += strings.Repeat("x", 600) },
		"no client":                   func(o *oidcsignin.Options) { o.ClientID = "" },
		"a session without an end":    func(o *oidcsignin.Options) { o.SessionLife = 31 * 24 * time.Hour },
		"a session of no time":        func(o *oidcsignin.Options) { o.SessionLife = time.Second },
		"a negative session":          func(o *oidcsignin.Options) { o.SessionLife = -1 },
		"a negative age":              func(o *oidcsignin.Options) { o.MaxAge = -1 },
		"an age of no time":           func(o *oidcsignin.Options) { o.MaxAge = 1 },
		"a prompt that shows nothing": func(o *oidcsignin.Options) { o.Prompt = "none" },
		"a short key":                 func(o *oidcsignin.Options) { o.Keys = [][]byte{make([]byte, 16)} },
		"many keys":                   func(o *oidcsignin.Options) { o.Keys = make([][]byte, 9) },
		"a scope that is two":         func(o *oidcsignin.Options) { o.Scopes = []string{"a b"} },
		"a claim without a name":      func(o *oidcsignin.Options) { o.NameClaims = []string{""} },
		"by an address":               by(oidcsignin.ByClaim("email")),
		"by a name":                   by(oidcsignin.ByClaim("preferred_username")),
		"by nothing":                  by(oidcsignin.ByClaim("")),
	} {
		o := options(newDouble(t), new(journal))
		set(&o)
		if _, err := oidcsignin.New(o); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Nothing that is logged has a secret in it.
func TestFormat(t *testing.T) {
	o := options(newDouble(t), new(journal))
	o.Keys = [][]byte{[]byte(strings.Repeat("K", 32))}
	s, err := oidcsignin.New(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		for _, v := range []any{o, s} {
			if text := fmt.Sprintf(verb, v); strings.Contains(text, secret) || strings.Contains(text, "KKKK") || strings.Contains(text, "4b4b4b") || strings.Contains(text, "75, 75") {
				t.Errorf("%s: %s", verb, text)
			}
		}
	}
}
