package bars_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/bars"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

var (
	one     = bars.Person{Issuer: "tenant", Subject: "1"}
	adaHere = bars.Person{Issuer: "https://web.example", Subject: "pairwise-of-ada"}
)

// Who is known by another identity is found by that, in every process, until they are erased.
func TestBook_NamesOfOnePerson(t *testing.T) {
	s := store.Memory()
	b := bars.New(s, "notes")
	for _, p := range []bars.Person{ada, adaHere, ada} {
		if err := b.Name(t.Context(), one, p); err != nil {
			t.Fatal(err)
		}
	}
	another := bars.New(s, "notes")
	if all, err := another.Named(t.Context(), one); err != nil || !slices.Equal(all, []bars.Person{ada, adaHere}) {
		t.Errorf("%v, %v", all, err)
	}
	if all, err := bars.New(s, "mail").Named(t.Context(), one); err != nil || len(all) != 0 {
		t.Errorf("of another service: %v, %v", all, err)
	}
	if err := another.Forget(t.Context(), ada); err != nil {
		t.Fatal(err)
	}
	if all, err := b.Named(t.Context(), one); err != nil || !slices.Equal(all, []bars.Person{adaHere}) {
		t.Errorf("once she was erased: %v, %v", all, err)
	}
	if err := b.Forget(t.Context(), adaHere); err != nil {
		t.Fatal(err)
	}
	if keys, err := s.Keys(t.Context()); err != nil || len(keys) != 0 {
		t.Errorf("the store has %q, %v", keys, err)
	}
}

// An identity that is erased is nobody's, and those who were known by it are noted anew by their next sign-in.
func TestBook_AnErasedIdentity(t *testing.T) {
	s := store.Memory()
	b := bars.New(s, "notes")
	if err := b.Name(t.Context(), one, ada); err != nil {
		t.Fatal(err)
	}
	if err := b.Forget(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	if keys, err := s.Keys(t.Context()); err != nil || len(keys) != 0 {
		t.Errorf("the store has %q, %v", keys, err)
	}
	if err := b.Name(t.Context(), one, ada); err != nil {
		t.Fatal(err)
	}
	if all, err := b.Named(t.Context(), one); err != nil || len(all) != 1 {
		t.Errorf("%v, %v", all, err)
	}
}

// What is remembered is bounded, and nothing is where people have one name.
func TestBook_NamesAreBounded(t *testing.T) {
	s := store.Memory()
	b := bars.New(s, "notes")
	if err := b.Name(t.Context(), ada, ada); err != nil {
		t.Error(err)
	}
	if keys, err := s.Keys(t.Context()); err != nil || len(keys) != 0 {
		t.Errorf("the store has %q, %v", keys, err)
	}
	if err := b.Name(t.Context(), one, bars.Person{Subject: strings.Repeat("x", 2000)}); err == nil {
		t.Error("a name of 2000 bytes is remembered")
	}
	for n := range 20 {
		if err := b.Name(t.Context(), one, bars.Person{Issuer: "i", Subject: strings.Repeat("\u2028", n+150)}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := b.Named(t.Context(), one)
	if err != nil || len(all) != 8 || len(all[7].Subject) != 169*3 {
		t.Errorf("%d are remembered, %v", len(all), err)
	}
}
