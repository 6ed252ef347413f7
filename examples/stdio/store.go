package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/examples/internal/storekey"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"go.uber.org/zap"
)

// The kinds of stores that -store names.
const (
	memoryStore          = "memory"
	keychainStore        = "keychain"
	fileStore            = "file"
	unencryptedFileStore = "unencrypted-file"
)

// keychainName is where people find the grants in their keychain.
const keychainName = "notes-mcp"

// newStore returns the store of these kinds, or nil if grants are to be in memory.
// Nothing is opened yet.
func (c *config) newStore(kinds, dir string, dirGiven bool, key string) (store.Store, error) {
	list := strings.Split(kinds, ",")
	if len(list) > 2 || len(list) == 2 && (list[0] != keychainStore || list[1] == keychainStore) {
		return nil, errors.New("-store: nothing but a keychain can be absent: give one kind, or keychain and one to fall back to, such as keychain,file")
	}
	files := false
	for _, kind := range list {
		switch kind {
		case memoryStore, keychainStore:
		case fileStore, unencryptedFileStore:
			files = true
		default:
			return nil, fmt.Errorf("-store: %q is no kind of store: give memory, keychain, file or unencrypted-file", kind)
		}
	}
	if dirGiven && !files {
		return nil, errors.New("-store-dir is for -store file and -store unencrypted-file")
	}
	last := list[len(list)-1]
	if last == memoryStore && c.command != "" {
		// What is in the memory of a server cannot be seen from here.
		if list = list[:len(list)-1]; len(list) == 0 && (c.command == logoutCommand || c.token == nil) {
			return nil, fmt.Errorf("%s needs a store that outlives it: give -store keychain, or -store file, "+
				"to it and to the server", c.command)
		}
	}
	var stores []store.Store
	for _, kind := range list {
		one, err := storeOf(kind, dir, key)
		if err != nil {
			return nil, err
		}
		if one == nil && len(list) > 1 {
			one = store.Memory()
		}
		if one != nil {
			stores = append(stores, one)
		}
	}
	switch len(stores) {
	case 0:
		return nil, nil //nolint:nilnil // the interceptor keeps grants in memory by itself
	case 1:
		return stores[0], nil
	}
	return store.FirstAvailable(c.fellBack, stores...)
}

// storeOf returns a store of one kind; nil stands for memory.
func storeOf(kind, dir, key string) (store.Store, error) {
	switch kind {
	case memoryStore:
		return nil, nil //nolint:nilnil // see above
	case keychainStore:
		return store.Keychain(keychainName)
	}
	if dir == "" {
		home, err := os.UserConfigDir()
		if err != nil {
			return nil, errors.New("-store-dir is missing: there is no configuration folder here to keep grants in")
		}
		dir = filepath.Join(home, "notes-mcp", "grants")
	}
	if kind == unencryptedFileStore {
		return store.UnencryptedFile(dir)
	}
	keys, err := parseKeys(key)
	if err != nil {
		return nil, err
	}
	return store.File(dir, keys...)
}

// parseKeys reads the value of NOTES_STORE_KEY. Its errors quote nothing of it.
func parseKeys(text string) ([][]byte, error) {
	if strings.TrimSpace(text) == "" {
		return nil, fmt.Errorf("%s is not set: -store file needs a key of %d random bytes there, in base64 or hexadecimal; %s",
			keyVariable, store.KeySize, storekey.MakeOne)
	}
	return storekey.Parse(keyVariable, text)
}

// fellBack says aloud that grants are in another place than the first that -store
// names. It protects less, usually.
func (c *config) fellBack(used store.Store, why error) {
	c.say("there is no keychain in this session: grants are kept %s", used)
	c.log.Warn("the store fell back to the second choice", zap.String("kept", used.String()), zap.Error(why))
}

// explain puts an error of the store into words, with what to do.
func (c *config) explain(err error) string {
	text := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "lazyauth: "), "store: ")
	switch {
	case errors.Is(err, store.ErrNoKeychain):
		return "there is no keychain in this session, as over ssh, in a container or under cron: give -store file and a key in " +
			keyVariable + ", or -store keychain,file to use the keychain where there is one"
	case errors.Is(err, store.ErrWrongKey):
		return text + ": set " + keyVariable + " to the key that the grants were sealed with; if it is lost, remove them and sign in anew"
	case errors.Is(err, store.ErrDamaged):
		return text + ": sign in anew"
	}
	return text
}
