package store_test

import (
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// own is a store of somebody's own.
type own struct{ store.Store }

// around wraps another store, and says which.
type around struct {
	own
	next store.Store
}

func (a around) Unwrap() store.Store { return a.next }

// Folders, and stores that do not say otherwise, are for frequent writes; what is in front of another
// store is what that is, once it is known.
func TestSuitsFrequentWrites(t *testing.T) {
	folder, err := store.UnencryptedFile(t.TempDir() + "/grants")
	if err != nil {
		t.Fatal(err)
	}
	keychain, err := store.Keychain("lazyauth-test")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		store store.Store
		want  bool
	}{
		{"a folder", folder, true}, {"a keychain", keychain, false}, {"memory", store.Memory(), false}, {"one's own", own{store.Memory()}, true},
		{"around a keychain", around{own{keychain}, keychain}, false}, {"around a folder", around{own{folder}, folder}, true},
	} {
		if store.SuitsFrequentWrites(test.store) != test.want {
			t.Errorf("%s: %t", test.name, !test.want)
		}
	}
	first, err := store.FirstAvailable(func(store.Store, error) {}, folder, store.Memory())
	if err != nil {
		t.Fatal(err)
	}
	if store.SuitsFrequentWrites(first) {
		t.Error("before it is known which store it is")
	}
	if _, err := first.Load(t.Context(), "a"); err != nil || !store.SuitsFrequentWrites(first) {
		t.Errorf("%v; not for frequent writes, though the folder is", err)
	}
}
