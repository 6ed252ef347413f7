package store_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// A written row is one as a release has written it, for all that come after it to open.
type writtenRow struct {
	Kind       string
	Key        []byte
	Person     []byte
	Generation uint64
	SealedBy   string
	Content    []byte
}

// What earlier releases have written is found, and opens, whatever a machine writes itself. The files are never to be changed:
// a new format gets one of its own.
func TestFleetFormat_WrittenBefore(t *testing.T) {
	files, err := filepath.Glob("testdata/formats/*.json")
	if must(t, files, err); len(files) != store.Format2 {
		t.Fatalf("%d files for %d formats", len(files), store.Format2)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		var w writtenRow
		if err := json.Unmarshal(must(t, text, err), &w); err != nil {
			t.Fatal(err)
		}
		for _, format := range []int{store.Format1, store.Format2} {
			for _, keys := range [][][]byte{{sealKey}, {nextKey, sealKey}} {
				d := newDatabase(nil)
				id := store.ID{Kind: w.Kind, Key: store.Hash(w.Key)}
				c := store.Change{Person: store.Hash(w.Person), Generation: w.Generation, SealedBy: w.SealedBy, Content: w.Content}
				if ok, err := d.Insert(t.Context(), id, c); err != nil || !ok {
					t.Fatal(ok, err)
				}
				f, err := store.NewFleet(d, namesKey, keys, &store.FleetOptions{Format: format, Classify: persons})
				must(t, f, err)
				want(t, f, "grant of alice", "the record")
				if keys, err := f.KeysOf(t.Context(), "alice"); err != nil || len(keys) != 1 || keys[0] != "grant of alice" {
					t.Errorf("%s: of alice: %q, %v", name, keys, err)
				}
				put(t, f, "grant of alice", "anew")
				want(t, f, "grant of alice", "anew")
			}
		}
	}
}

// Nor are these, of which there is one in each of the two formats of files.
func TestFile_WrittenBefore(t *testing.T) {
	for format, opens := range map[string]func(dir string) store.Store{
		"encrypted": func(dir string) store.Store { return open(t, dir, testKey(2), testKey(1)) },
		"plain":     func(dir string) store.Store { return openPlain(t, dir) },
	} {
		written, err := filepath.Glob("testdata/formats/" + format + "-*.grant")
		if must(t, written, err); len(written) != 1 {
			t.Fatalf("%s: %q", format, written)
		}
		text, err := os.ReadFile(written[0])
		must(t, text, err)
		dir := filepath.Join(t.TempDir(), "grants")
		name := strings.TrimPrefix(filepath.Base(written[0]), format+"-")
		if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, name), text, 0o600)); err != nil {
			t.Fatal(err)
		}
		s := opens(dir)
		want(t, s, "notes of alice", "the record")
		put(t, s, "notes of alice", "anew")
		want(t, s, "notes of alice", "anew")
	}
}
