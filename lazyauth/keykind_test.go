package lazyauth_test

import (
	"bytes"
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// What belongs to one person is found under one name, whatever the account, and however long the names are.
func TestClassifyKey(t *testing.T) {
	long := strings.Repeat("x", 900)
	const before = `"https://as.example" "notes" "" `
	hash := "#" + strings.Repeat("0", 64)
	classes := make(map[string]string)
	for key, want := range map[string]string{
		before + `"https://id.example" "alice" ""`:        "grant alice",
		before + `"https://id.example" "alice" "work"`:    "grant alice",
		before + `"https://id.example" "a \"b\" c" ""`:    "grant spaces",
		before + `"https://id.example" "` + long + `" ""`: "grant long",
		before + hash + ` "alice" ""`:                     "grant of a hash",
		before + `"" "" ""`:                               "grant ",
		"lazyauth flight 0123":                            "flight ",
		"lazyauth person 0123 4567":                       "person ",
		"lazyauth ended 0123":                             " ",
		`"one" "two"`:                                     " ",
		`"one" two "three`:                                " ",
		"":                                                " ",
	} {
		kind, person := lazyauth.ClassifyKey(key)
		name, whose, _ := strings.Cut(want, " ")
		if kind != name || (person == "") != (whose == "") {
			t.Errorf("%.80s: %q, %q; want %q", key, kind, person, want)
		}
		if was, ok := classes[whose]; ok && was != person {
			t.Errorf("%.80s: %q is another person than %q", key, person, was)
		}
		classes[whose] = person
	}
	seen := make(map[string]string)
	for whose, person := range classes {
		if other, ok := seen[person]; ok && person != "" {
			t.Errorf("%q and %q are one person", whose, other)
		}
		seen[person] = whose
	}
}

// A counted database counts how often it is asked for all that there is.
type counted struct {
	*store.SharedMemory
	scans atomic.Int32
}

func (c *counted) NotSealedBy(ctx context.Context, key string, after store.ID, limit int) ([]store.ID, error) {
	c.scans.Add(1)
	return c.SharedMemory.NotSealedBy(ctx, key, after, limit)
}

// An operator finds what a person has in a database by that person, and not by looking at all records.
func TestOperator_FindsByPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &counted{SharedMemory: store.NewSharedMemory(nil)}
		f, err := store.NewFleet(d, bytes.Repeat([]byte("n4m3"), 8), [][]byte{bytes.Repeat([]byte("s3al"), 8)}, &store.FleetOptions{Classify: lazyauth.ClassifyKey})
		if err != nil {
			t.Fatal(err)
		}
		o := newAudited(t, f, nil, nil)
		h := o.Host(world.Modern, world.Accepts)
		o.signsIn(h, "work")
		o.signsIn(h, "home")
		all, err := lazyauth.NewOperator(newAudited(t, f, o.AS, nil).Auth, "op").Grants(t.Context(), ada)
		if err != nil || len(all) != 2 || all[0].Principal.Account != "home" || all[1].Principal.Account != "work" {
			t.Errorf("%+v, %v", all, err)
		}
		if n := d.scans.Load(); n != 0 {
			t.Errorf("all records were looked at %d times", n)
		}
	})
}
