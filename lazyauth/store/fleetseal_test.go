package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// rowsOf returns all sealed rows.
func rowsOf(t *testing.T, s store.Shared) (rows []*store.Row) {
	t.Helper()
	ids, err := s.NotSealedBy(t.Context(), "", store.ID{}, 1000)
	for _, id := range must(t, ids, err) {
		row, err := s.Read(t.Context(), id)
		rows = append(rows, must(t, row, err))
	}
	return rows
}

// rewrite puts a content into a row, as who can write the database may.
func rewrite(t *testing.T, s store.Shared, id store.ID, f func(*store.Row)) {
	t.Helper()
	row, err := s.Read(t.Context(), id)
	if must(t, row, err); row == nil {
		t.Fatal("there is no row")
	}
	f(row)
	if err := s.Delete(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if ok, err := s.Insert(t.Context(), id, store.Change{Person: row.Person, Generation: row.Generation, SealedBy: row.SealedBy, Content: row.Content}); err != nil || !ok {
		t.Fatalf("Insert: %t, %v", ok, err)
	}
}

// Whoever reads the rows sees neither keys, nor persons, nor records; what is one person's is found.
func TestFleetSeal_ShowsNothing(t *testing.T) {
	d := newDatabase(nil)
	o := &store.FleetOptions{Classify: func(key string) (kind, person string) {
		kind, rest, _ := strings.Cut(key, " of ")
		return kind, rest
	}}
	f := aFleet(t, d, o)
	for _, key := range []string{"grant of alice", "flight of alice", "grant of bob"} {
		put(t, f, key, "token of "+key)
	}
	text := ""
	for _, row := range rowsOf(t, d) {
		text += fmt.Sprintf("%s %s %s %s %s %s", row.Kind, row.Key, row.Person, row.Owner, row.SealedBy, row.Content)
	}
	for _, secret := range []string{"alice", "bob", "token"} {
		if strings.Contains(text, secret) {
			t.Errorf("the rows show %q", secret)
		}
	}
	keys, err := f.KeysOf(t.Context(), "alice")
	if len(must(t, keys, err)) != 2 {
		t.Errorf("of alice: %q", keys)
	}
	wantKeys(t, f, "grant of alice", "flight of alice", "grant of bob")
	if err := f.Update(t.Context(), "grant of alice", remove); err != nil {
		t.Error(err)
	}
	if keys, err := f.KeysOf(t.Context(), "alice"); err != nil || len(keys) != 1 || keys[0] != "flight of alice" {
		t.Errorf("of alice: %q, %v", keys, err)
	}
	if err := f.Update(t.Context(), "mark of alice", to("x")); err == nil {
		t.Error("a record is of a kind that is the fleet's own")
	}
	if s := fmt.Sprintf("%#v %v", f, f); strings.Contains(s, "n4m3") || strings.Contains(s, "s3al") {
		t.Error("it shows its keys")
	}
}

// An older content, one of another row, and one that was altered do not open. They are set aside, and the record has ended.
func TestFleetSeal_Altered(t *testing.T) {
	for what, alter := range map[string]func(row, older, other *store.Row){
		"an older content":         func(row, older, _ *store.Row) { row.Content = older.Content },
		"another row's":            func(row, _, other *store.Row) { row.Content = other.Content; row.Generation = other.Generation },
		"another generation":       func(row, _, _ *store.Row) { row.Generation++ },
		"a changed byte":           func(row, _, _ *store.Row) { row.Content[20]++ },
		"cut short":                func(row, _, _ *store.Row) { row.Content = row.Content[:1] },
		"nothing but a changed id": func(row, _, _ *store.Row) { row.Content = append(row.Content, 0) },
	} {
		t.Run(what, func(t *testing.T) {
			d := newDatabase(nil)
			f := aFleet(t, d, nil)
			put(t, f, "alice", "first")
			older := rowsOf(t, d)[0]
			put(t, f, "alice", "second")
			put(t, f, "bob", "his")
			var other *store.Row
			for _, row := range rowsOf(t, d) {
				if row.ID != older.ID {
					other = row
				}
			}
			rewrite(t, d, older.ID, func(row *store.Row) { alter(row, older, other) })
			again := aFleet(t, d, nil) // which remembers nothing
			if _, err := again.Load(t.Context(), "alice"); !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), "kind damaged") {
				t.Errorf("Load: %v", err)
			}
			want(t, again, "alice", "")
			put(t, again, "alice", "anew")
			want(t, again, "alice", "anew")
			want(t, again, "bob", "his")
		})
	}
}

// What no key opens is left as it is.
func TestFleetSeal_WrongKey(t *testing.T) {
	d := newDatabase(nil)
	put(t, aFleet(t, d, nil), "alice", "hers")
	other, err := store.NewFleet(d, namesKey, [][]byte{nextKey}, nil)
	must(t, other, err)
	never := func([]byte) ([]byte, error) { t.Error("called"); return nil, nil }
	for range 2 {
		if _, err := other.Load(t.Context(), "alice"); !errors.Is(err, store.ErrWrongKey) {
			t.Errorf("Load: %v", err)
		}
		if err := other.Update(t.Context(), "alice", never); !errors.Is(err, store.ErrWrongKey) || !errors.Is(err, store.ErrNotBegun) {
			t.Errorf("Update: %v", err)
		}
	}
	if keys, err := other.Keys(t.Context()); !errors.Is(err, store.ErrWrongKey) || len(keys) != 0 {
		t.Errorf("Keys: %q, %v", keys, err)
	}
}

// Sealing keys are replaced while all machines work: what is left under the old one is counted, and what somebody works on is
// left to them.
func TestFleetRotate(t *testing.T) {
	d := newDatabase(nil)
	old := aFleet(t, d, nil)
	const rows = 1100 // more than two pages
	for n := range rows {
		put(t, old, fmt.Sprint("key ", n), fmt.Sprint("record ", n))
	}
	both, err := store.NewFleet(d, namesKey, [][]byte{nextKey, sealKey}, nil)
	must(t, both, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := both.Rotate(ctx); err == nil {
		t.Errorf("after the end: %+v", r)
	}
	err = old.Update(t.Context(), "key 7", func([]byte) ([]byte, error) {
		if r, err := both.Rotate(t.Context()); err != nil || r != (store.Rotation{Sealed: rows - 1, Left: 1}) {
			t.Errorf("Rotate: %+v, %v", r, err)
		}
		return []byte("written by the old key"), nil
	})
	if err != nil {
		t.Error(err)
	}
	if r, err := both.Rotate(t.Context()); err != nil || r != (store.Rotation{Sealed: 1}) {
		t.Errorf("Rotate: %+v, %v", r, err)
	}
	last, err := store.NewFleet(d, namesKey, [][]byte{nextKey}, nil)
	must(t, last, err)
	want(t, last, "key 7", "written by the old key")
	put(t, aFleet(t, d, nil), "lost", "by a key that was taken away too early")
	if r, err := last.Rotate(t.Context()); !errors.Is(err, store.ErrWrongKey) || r != (store.Rotation{Left: 1}) {
		t.Errorf("without the old key: %+v, %v", r, err)
	}
	want(t, last, "key 1099", "record 1099")
	want(t, both, "key 0", "record 0")
}

// A store that has failed over shows less than a process has seen. It gets that written back, ends too; what is no
// longer at hand is not used, and a new sign-in heals it.
func TestFleet_FailsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase(nil)
		f, other := aFleet(t, d, nil), aFleet(t, d, nil)
		put(t, f, "alice", "first")
		put(t, f, "bob", "first")
		standby := rowsOf(t, d)
		failOver := func() {
			for _, row := range standby {
				if err := d.Delete(t.Context(), row.ID); err != nil {
					t.Fatal(err)
				}
				if ok, err := d.Insert(t.Context(), row.ID, store.Change{Generation: row.Generation, Content: row.Content, SealedBy: row.SealedBy}); !ok || err != nil {
					t.Fatal(ok, err)
				}
			}
		}
		put(t, f, "alice", "rotated")
		if err := f.Update(t.Context(), "bob", remove); err != nil {
			t.Fatal(err)
		}
		failOver()
		want(t, aFleet(t, d, nil), "alice", "first") // who has not seen more cannot know
		err := f.Update(t.Context(), "alice", func(old []byte) ([]byte, error) {
			if string(old) != "rotated" {
				t.Errorf("from %q", old)
			}
			return append(old, " again"...), nil
		})
		if err != nil {
			t.Error(err)
		}
		want(t, f, "bob", "")
		want(t, other, "alice", "rotated again")
		want(t, other, "bob", "")
		if c := f.Counts(); c.FailedOver != 2 || c.Healed != 2 {
			t.Errorf("%+v", c)
		}
		// What ends by itself is not written back: it may have ended.
		short := &store.Terms{Life: time.Hour}
		if err := f.Update(store.WithTerms(t.Context(), short), "carol", to("first")); err != nil {
			t.Fatal(err)
		}
		standby = rowsOf(t, d)
		if err := f.Update(store.WithTerms(t.Context(), short), "carol", to("second")); err != nil {
			t.Fatal(err)
		}
		failOver()
		never := func([]byte) ([]byte, error) { t.Error("called"); return nil, nil }
		if err := f.Update(t.Context(), "carol", never); !errors.Is(err, store.ErrLags) || !errors.Is(err, store.ErrNotBegun) {
			t.Errorf("Update: %v", err)
		}
		if _, err := f.Load(t.Context(), "carol"); !errors.Is(err, store.ErrLags) {
			t.Errorf("Load: %v", err)
		}
		if err := f.Update(store.WithTerms(t.Context(), &store.Terms{Quick: true}), "carol", func(old []byte) ([]byte, error) {
			if old != nil {
				t.Errorf("from %q", old)
			}
			return []byte("anew"), nil
		}); err != nil {
			t.Error(err)
		}
		want(t, f, "carol", "anew")
		want(t, other, "carol", "anew")
	})
}

// Whatever stands in a row, it is opened as what was sealed, or not at all.
func FuzzFleetRow(f *testing.F) {
	rows, id := map[string]*store.Row{}, store.ID{} // both are of one record
	for _, format := range []int{store.Format1, store.Format2} {
		d := newDatabase(nil)
		fleet, err := store.NewFleet(d, namesKey, [][]byte{sealKey}, &store.FleetOptions{Format: format, Classify: persons})
		if err != nil {
			f.Fatal(err)
		}
		if err := fleet.Update(f.Context(), "grant of alice", to("the record")); err != nil {
			f.Fatal(err)
		}
		ids, err := d.NotSealedBy(f.Context(), "", store.ID{}, 1)
		if err != nil || len(ids) != 1 {
			f.Fatal(ids, err)
		}
		row, err := d.Read(f.Context(), ids[0])
		if err != nil {
			f.Fatal(err)
		}
		rows[row.SealedBy], id = row, row.ID
		person := row.Person[:]
		f.Add(row.Content, row.Generation, row.SealedBy, person)
		f.Add(row.Content[:28], row.Generation, row.SealedBy, person)
		f.Add(row.Content, row.Generation+1, row.SealedBy, person)
		f.Add(row.Content, row.Generation, "", person)
		f.Add(row.Content, row.Generation, row.SealedBy, []byte{})
		f.Add([]byte{row.Content[0]}, uint64(1), row.SealedBy, person)
		f.Add(append([]byte{row.Content[0] ^ 3}, row.Content[1:]...), row.Generation, row.SealedBy, person)
		f.Add([]byte{3}, uint64(1), row.SealedBy+"/3", person)
	}
	f.Fuzz(func(t *testing.T, content []byte, generation uint64, sealedBy string, person []byte) {
		if len(content) == 0 || len(content) > store.MaxContent || generation == 0 || generation == 1<<64-1 {
			return
		}
		var whose store.Hash
		copy(whose[:], person)
		d := newDatabase(nil)
		row := rows[sealedBy]
		if ok, err := d.Insert(t.Context(), id, store.Change{Person: whose, Generation: generation, Content: content, SealedBy: sealedBy}); err != nil || !ok {
			t.Fatal(ok, err)
		}
		record, err := inFormat(t, d, 0).Load(t.Context(), "grant of alice")
		same := row != nil && bytes.Equal(content, row.Content) && generation == row.Generation && (whose == row.Person || content[0] == store.Format1)
		if same && err != nil || err == nil && string(record) != "the record" || err != nil && record != nil { // workers have contents of their own
			t.Errorf("%q, %v of %x", record, err, content)
		}
	})
}

// NewFleet refuses what cannot work.
func TestNewFleet_Refuses(t *testing.T) {
	d := newDatabase(nil)
	same := bytes.Repeat([]byte{7}, store.KeySize)
	for what, make := range map[string]func() (*store.Fleet, error){
		"no store":     func() (*store.Fleet, error) { return store.NewFleet(nil, namesKey, [][]byte{sealKey}, nil) },
		"no names":     func() (*store.Fleet, error) { return store.NewFleet(d, nil, [][]byte{sealKey}, nil) },
		"names of one": func() (*store.Fleet, error) { return store.NewFleet(d, same, [][]byte{sealKey}, nil) },
		"a format that is none": func() (*store.Fleet, error) {
			return store.NewFleet(d, namesKey, [][]byte{sealKey}, &store.FleetOptions{Format: 3})
		},
		"a format below zero": func() (*store.Fleet, error) {
			return store.NewFleet(d, namesKey, [][]byte{sealKey}, &store.FleetOptions{Format: -1})
		},
		"no keys":     func() (*store.Fleet, error) { return store.NewFleet(d, namesKey, nil, nil) },
		"a short key": func() (*store.Fleet, error) { return store.NewFleet(d, namesKey, [][]byte{sealKey[1:]}, nil) },
		"a short lease": func() (*store.Fleet, error) {
			return store.NewFleet(d, namesKey, [][]byte{sealKey}, &store.FleetOptions{Lease: 20 * time.Second})
		},
		"below zero": func() (*store.Fleet, error) {
			return store.NewFleet(d, namesKey, [][]byte{sealKey}, &store.FleetOptions{Bound: -1})
		},
		"short memory": func() (*store.Fleet, error) {
			return store.NewFleet(d, namesKey, [][]byte{sealKey}, &store.FleetOptions{Ended: time.Minute})
		},
	} {
		if f, err := make(); f != nil || err == nil {
			t.Errorf("%s: %v, %v", what, f, err)
		}
	}
}
