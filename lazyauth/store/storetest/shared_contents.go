package storetest

import (
	"bytes"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// A row is made by the first attempt, written, and ended.
func lifeOfARow(r *sharedRun) {
	s, another := r.open(), r.open()
	id := grant(1)
	if row := r.read(s, id); row != nil {
		r.Fatalf("there is a row: %+v", row)
	}
	before, fence := r.attempt(s, id, store.Attempt{Person: hash("alice", 1), Owner: "one", Lease: long, Ends: long})
	if before != nil || fence == 0 {
		r.Fatalf("Begin: %+v, fence %d; want no row, and a fence", before, fence)
	}
	row := r.wantRow(another, id, none)
	if row.Person != hash("alice", 1) || row.Generation != 0 || row.Fence != fence || row.Owner != "one" || row.Until.IsZero() || !row.Due.IsZero() || row.Ends.IsZero() || row.SealedBy != "" {
		r.Errorf("begun: %+v", row)
	}
	content := secret + "\x00\xff"
	r.write(s, id, fence, 0, store.Change{Person: hash("bob", 2), Content: []byte(content), SealedBy: "k1", Release: true}, true)
	row = r.wantRow(another, id, content)
	if row.Person != hash("bob", 2) || row.Generation != 1 || row.Fence != fence || row.Owner != "" || !row.Until.IsZero() || !row.Due.IsZero() || !row.Ends.IsZero() || row.SealedBy != "k1" {
		r.Errorf("written: %+v", row)
	}
	before, next := r.begin(another, id, "two")
	if before == nil || string(before.Content) != content || before.Owner != "" || before.Fence != fence || before.Generation != row.Generation || next <= fence {
		r.Fatalf("begun again: fence %d after %d, %+v", next, fence, before)
	}
	r.write(another, id, next, row.Generation, store.Change{Ends: long, Release: true}, true)
	ended := r.wantRow(s, id, none)
	if ended.Generation != row.Generation+1 || ended.SealedBy != "" || ended.Ends.IsZero() || ended.Person != (store.Hash{}) {
		r.Errorf("ended: %+v after generation %d", ended, row.Generation)
	}
	if r.read(s, grant(2)) != nil || r.read(s, store.ID{Kind: "flight", Key: id.Key}) != nil {
		r.Errorf("there are rows that nobody made")
	}
	if err := s.Delete(r.Context(), id); err != nil {
		r.Errorf("Delete: %v", err)
	}
	if row := r.read(another, id); row != nil {
		r.Errorf("after Delete: %+v", row)
	}
	if err := s.Delete(r.Context(), id); err != nil {
		r.Errorf("Delete of what is not there: %v", err)
	}
}

// A name says where the rows are, in a few words.
func sharedName(r *sharedRun) {
	s := r.open()
	if text := s.String(); text == "" || strings.ContainsAny(text, "\n\r") || len(text) > 300 {
		r.Errorf("its name is %.400q", text)
	}
}

// Contents may be anything, as long as the longest, and belong to who gave or got them.
func contents(r *sharedRun) {
	s := r.open()
	large := bytes.Repeat([]byte("012345\x00\xff"), store.MaxContent/8)
	for n, content := range [][]byte{{0}, []byte("\xff\xfe"), []byte("'; --"), large} {
		id := grant(n)
		given := bytes.Clone(content)
		r.insert(s, id, store.Change{Content: given, SealedBy: "k1"}, true)
		given[0]++
		got := r.wantRow(s, id, string(content)).Content
		got[0]++
		r.wantRow(s, id, string(content))
	}
	r.insert(s, grant(9), store.Change{Content: []byte("open to all")}, true)
	if row := r.wantRow(s, grant(9), "open to all"); row.SealedBy != "" {
		r.Errorf("sealed by %q, though it is not", row.SealedBy)
	}
	r.insert(s, grant(10), store.Change{Ends: long}, true)
	r.wantRow(s, grant(10), none)
}

// What an engine cannot keep it refuses, and keeps nothing of it.
func whatIsNone(r *sharedRun) {
	s := r.open()
	huge := bytes.Repeat([]byte("x"), store.MaxContent+1)
	for what, f := range map[string]func(store.ID) error{
		"too long": func(id store.ID) error {
			_, err := s.Insert(r.Context(), id, store.Change{Content: huge, Generation: 1})
			return err
		},
		"empty content": func(id store.ID) error {
			_, err := s.Insert(r.Context(), id, store.Change{Content: []byte{}, Generation: 1})
			return err
		},
		"no owner": func(id store.ID) error {
			_, _, err := s.Begin(r.Context(), id, store.Attempt{Lease: long})
			return err
		},
		"an owner of two lines": func(id store.ID) error {
			_, _, err := s.Begin(r.Context(), id, store.Attempt{Owner: "a\nb", Lease: long})
			return err
		},
		"no lease": func(id store.ID) error {
			_, _, err := s.Begin(r.Context(), id, store.Attempt{Owner: "one"})
			return err
		},
		"a generation of 0": func(id store.ID) error {
			_, err := s.Insert(r.Context(), id, store.Change{Content: []byte("x")})
			return err
		},
		"due before now": func(id store.ID) error {
			_, err := s.Insert(r.Context(), id, store.Change{Content: []byte("x"), Due: -1, Generation: 1})
			return err
		},
	} {
		if err := f(grant(1)); err == nil {
			r.Errorf("%s: taken", what)
		}
	}
	for _, kind := range []string{"", "Grant", "grant*", strings.Repeat("k", 17)} {
		if _, err := s.Insert(r.Context(), store.ID{Kind: kind, Key: grant(1).Key}, next(0, "x")); err == nil {
			r.Errorf("kind %q: taken", kind)
		}
	}
	if row := r.read(s, grant(1)); row != nil {
		r.Errorf("there is %+v", row)
	}
}
