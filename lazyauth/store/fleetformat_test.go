package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// persons says of "grant of alice" that it is a grant, and hers.
func persons(key string) (kind, person string) {
	kind, person, _ = strings.Cut(key, " of ")
	return kind, person
}

// inFormat returns a machine that writes a format.
func inFormat(t *testing.T, d store.Shared, format int) *store.Fleet {
	t.Helper()
	return aFleet(t, d, &store.FleetOptions{Format: format, Classify: persons})
}

// formatsOf counts the sealed rows in each format.
func formatsOf(t *testing.T, d store.Shared) map[byte]int {
	t.Helper()
	formats := map[byte]int{}
	for _, row := range rowsOf(t, d) {
		formats[row.Content[0]]++
	}
	return formats
}

// As a release is rolled out: machines that write the format before work on the same records as those that write the
// later one, each goes on from what the other has written, and nothing has to be done at once.
func TestFleetFormat_SideBySide(t *testing.T) {
	d := newDatabase(nil)
	before, after := inFormat(t, d, 0), inFormat(t, d, store.Format2)
	put(t, before, "grant of alice", "1")
	put(t, after, "grant of bob", "1")
	if got := formatsOf(t, d); got[1] != 1 || got[2] != 1 {
		t.Errorf("formats %v: nobody was told to write another one than that of the release before, and one machine was", got)
	}
	for n := range 20 { // of which each writes what the other reads next
		more := func(old []byte) ([]byte, error) { return append(old, '1'), nil }
		for _, f := range []*store.Fleet{before, after} {
			for _, key := range []string{"grant of alice", "grant of bob"} {
				if err := f.Update(t.Context(), key, more); err != nil {
					t.Fatalf("%s, round %d: %v", key, n, err)
				}
			}
		}
	}
	for _, f := range []*store.Fleet{before, after} {
		want(t, f, "grant of alice", strings.Repeat("1", 41))
		want(t, f, "grant of bob", strings.Repeat("1", 41))
		wantKeys(t, f, "grant of alice", "grant of bob")
	}
	settings := map[string]string{"client": "notes"}
	for _, f := range []*store.Fleet{after, before, after} {
		if err := f.CheckSettings(t.Context(), settings); err != nil {
			t.Error(err)
		}
	}
	for _, f := range []*store.Fleet{before, after} {
		if err := f.Announce(t.Context(), "http://"+f.Incarnation(), time.Minute); err != nil {
			t.Error(err)
		}
	}
	for _, f := range []*store.Fleet{before, after} {
		for _, of := range []*store.Fleet{before, after} {
			if at, err := f.Address(t.Context(), of.Incarnation()); err != nil || at != "http://"+of.Incarnation() {
				t.Errorf("Address: %q, %v", at, err)
			}
		}
	}
	if err := after.Update(t.Context(), "grant of alice", remove); err != nil {
		t.Error(err)
	}
	want(t, before, "grant of alice", "")
}

// Rotate brings all rows into the format that is written, there and back, also together with another key.
func TestFleetFormat_Rotate(t *testing.T) {
	d := newDatabase(nil)
	const rows = 30
	for n := range rows {
		put(t, inFormat(t, d, store.Format1), fmt.Sprint("grant of person ", n), fmt.Sprint("record ", n))
	}
	nextKeyToo, err := store.NewFleet(d, namesKey, [][]byte{nextKey, sealKey}, &store.FleetOptions{Format: store.Format2, Classify: persons})
	must(t, nextKeyToo, err)
	for _, step := range []struct {
		f      *store.Fleet
		format byte
	}{{inFormat(t, d, store.Format2), 2}, {inFormat(t, d, store.Format1), 1}, {nextKeyToo, 2}} {
		for _, sealed := range []int{rows, 0} {
			if r, err := step.f.Rotate(t.Context()); err != nil || r != (store.Rotation{Sealed: sealed}) {
				t.Errorf("to format %d: %+v, %v", step.format, r, err)
			}
		}
		if got := formatsOf(t, d); got[step.format] != rows || len(got) != 1 {
			t.Errorf("to format %d: %v", step.format, got)
		}
		want(t, step.f, "grant of person 7", "record 7")
		if keys, err := step.f.KeysOf(t.Context(), "person 7"); err != nil || len(keys) != 1 {
			t.Errorf("to format %d: of person 7: %q, %v", step.format, keys, err)
		}
	}
}

// What a later release has written is no damage: whoever cannot open it leaves every byte as it is, whatever they are asked to do, and
// says what is to be done.
func TestFleetFormat_Later(t *testing.T) {
	for _, format := range []int{store.Format1, store.Format2} {
		t.Run(fmt.Sprint("to a release that writes ", format), func(t *testing.T) {
			d := newDatabase(nil)
			later := inFormat(t, d, format)
			put(t, later, "grant of alice", "hers")
			if err := errors.Join(later.CheckSettings(t.Context(), nil), later.Announce(t.Context(), "http://later", time.Hour)); err != nil {
				t.Fatal(err)
			}
			for _, row := range rowsOf(t, d) {
				rewrite(t, d, row.ID, func(row *store.Row) { row.Content[0], row.SealedBy = 3, row.SealedBy[:32]+"/3" })
			}
			before := rowsOf(t, d)
			f := inFormat(t, d, format)
			refuses := func(what string, err error) {
				t.Helper()
				if !errors.Is(err, store.ErrFormat) || errors.Is(err, store.ErrDamaged) {
					t.Errorf("%s: %v", what, err)
				} else if text := err.Error(); !strings.Contains(text, "update this machine") || !strings.Contains(text, "FleetOptions.Format") || strings.Contains(text, "hers") {
					t.Errorf("%s says %q", what, text)
				}
			}
			never := func([]byte) ([]byte, error) { t.Error("called"); return []byte("mine"), nil }
			for range 2 {
				record, err := f.Load(t.Context(), "grant of alice")
				refuses("Load", err)
				if record != nil {
					t.Errorf("Load: %q", record)
				}
				err = f.Update(t.Context(), "grant of alice", never)
				refuses("Update", err)
				if !errors.Is(err, store.ErrNotBegun) || !errors.Is(err, store.ErrWrongKey) {
					t.Errorf("Update: %v", err)
				}
				refuses("Update, quickly", f.Update(store.WithTerms(t.Context(), &store.Terms{Quick: true}), "grant of alice", never))
				_, err = f.Keys(t.Context())
				refuses("Keys", err)
				_, err = f.KeysOf(t.Context(), "alice")
				refuses("KeysOf", err)
				_, err = f.Rotate(t.Context())
				refuses("Rotate", err)
				refuses("CheckSettings", f.CheckSettings(t.Context(), nil))
				_, err = f.Address(t.Context(), later.Incarnation())
				refuses("Address", err)
			}
			after := rowsOf(t, d)
			for n, row := range after {
				if was := before[n]; row.ID != was.ID || row.Generation != was.Generation || !bytes.Equal(row.Content, was.Content) || row.SealedBy != was.SealedBy || row.Owner != "" {
					t.Errorf("a row of kind %s has become %+v", row.Kind, row)
				}
			}
			if len(after) != len(before) {
				t.Errorf("%d rows have become %d", len(before), len(after))
			}
		})
	}
}

// A machine that has seen what the store then loses writes it back in its own format, whatever that was sealed in.
func TestFleetFormat_FailsOver(t *testing.T) {
	d := newDatabase(nil)
	before, after := inFormat(t, d, store.Format1), inFormat(t, d, store.Format2)
	put(t, before, "grant of alice", "first")
	standby := rowsOf(t, d)[0]
	put(t, after, "grant of alice", "second")
	want(t, before, "grant of alice", "second") // has seen it
	rewrite(t, d, standby.ID, func(row *store.Row) { *row = *standby })
	want(t, before, "grant of alice", "second")
	want(t, after, "grant of alice", "second")
	if got := formatsOf(t, d); got[1] != 1 {
		t.Errorf("formats %v", got)
	}
}

// Who can write the rows can take one from what is listed for a person. In Format2 it is of no use then: ending all of that
// person's ends it, too. Nor does one that is put into another person's list open for them.
func TestFleetFormat_Person(t *testing.T) {
	for format, use := range map[int]string{store.Format1: "hers", store.Format2: ""} {
		d := newDatabase(nil)
		f := inFormat(t, d, format)
		put(t, f, "grant of bob", "his")
		bob := rowsOf(t, d)[0].Person
		put(t, f, "grant of alice", "hers")
		var alice store.ID
		for _, row := range rowsOf(t, d) {
			if row.Person != bob {
				alice = row.ID
			}
		}
		rewrite(t, d, alice, func(row *store.Row) { row.Person = bob })
		again := inFormat(t, d, format)
		keys, err := again.KeysOf(t.Context(), "bob")
		if listed := len(keys) == 2; listed != (format == store.Format1) || (err != nil) != (format == store.Format2) {
			t.Errorf("format %d: of bob: %q, %v", format, keys, err)
		}
		record, err := again.Load(t.Context(), "grant of alice")
		if string(record) != use || errors.Is(err, store.ErrDamaged) != (use == "") {
			t.Errorf("format %d: alice's is used as %q, %v", format, record, err)
		}
		want(t, again, "grant of alice", use)
		want(t, again, "grant of bob", "his")
	}
}

// In Format2 the length of a content tells less of what is in it.
func TestFleetFormat_Lengths(t *testing.T) {
	lengths := map[int]map[int]bool{}
	for _, format := range []int{store.Format1, store.Format2} {
		d := newDatabase(nil)
		f := inFormat(t, d, format)
		lengths[format] = map[int]bool{}
		for _, n := range []int{0, 1, 2, 100, 200, 222, 223, 224, 225, 255, 256, 257, store.MaxRecord - 1} {
			record := strings.Repeat("\x80", n) // which is what padding begins with
			put(t, f, "grant of alice", record+"\x00")
			want(t, f, "grant of alice", record+"\x00")
			lengths[format][len(rowsOf(t, d)[0].Content)] = true
		}
	}
	if len(lengths[store.Format1]) != 13 || len(lengths[store.Format2]) != 3 {
		t.Errorf("%v", lengths)
	}
}
