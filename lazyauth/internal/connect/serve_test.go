package connect_test

import (
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/connect"
)

func isOfAlphabet(text string) bool {
	return strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// Whatever stands in the address of the page: no panic, and what is looked for is one text of 22 characters.
func FuzzLinkCode(f *testing.F) {
	for _, seed := range []string{"f=" + code, "f=" + code + "&f=" + code, "f=", "", "f=" + code + "A", "g=1&f=" + code, "%", "f=AAAAAAAAAAAAAAAAAAAA%00A", "a;b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		got, ok := connect.LinkCode(query)
		if ok != (len(got) == 22) || !isOfAlphabet(got) {
			t.Errorf("%q: %q, %t", query, got, ok)
		}
	})
}

// Whatever comes back as a state: no panic, and what is made of it can stand in the name of a cookie.
func FuzzAttemptOf(f *testing.F) {
	for _, seed := range []string{attempt + "." + strings.Repeat("B", 43), attempt + ".", ".", "", attempt, "AAAAAAAAAAAAAAA;." + strings.Repeat("B", 43)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, state string) {
		if id, ok := connect.AttemptOf(state); ok && (len(id) != 16 || !isOfAlphabet(id) || len(state) != 60) {
			t.Errorf("%q: %q", state, id)
		}
	})
}

// What a program calls itself is shown within bounds, and cannot look like the page's own words.
func TestShowable(t *testing.T) {
	for text, want := range map[string]string{
		"Claude Code": "Claude Code", "a\nb": `"a\nb"`, "x\u202ey": `"x\u202ey"`, "\xff": `"\xff"`,
		"\u05e9\u05dc": "\u2068\u05e9\u05dc\u2069", "0123456789abcdef": "0123456789ab…",
	} {
		if got := connect.Showable(text, 12); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := connect.Showable("äääääää", 8); got != "ääää…" {
		t.Errorf("%q", got)
	}
	if got := connect.Showable("a\nbcdefghijklmnop", 12); got != `"a\nbcdefghijk"…` {
		t.Errorf("%q", got)
	}
	if got := connect.Showable("äääääää", 9); got != "ääää…" {
		t.Errorf("cut within a character: %q", got)
	}
}
