package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/examples/internal/storekey"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// storeKeyVariable has the key that grants are sealed with.
const storeKeyVariable = "NOTES_STORE_KEY"

// openStore has grants kept in files, if -store says where: then they survive the process, and the commands find
// them. keyFile is a file with the key, or empty; key is what the environment has.
func (c *config) openStore(keyFile, key string) error {
	switch {
	case c.storeDir == "" && keyFile != "":
		return errors.New("-store-key is for -store: say where grants are kept, too")
	case c.storeDir == "":
		return nil
	case strings.Contains(c.storeDir, "://"): // which may have a password, and is not repeated
		return errors.New("-store is a folder of this machine, and no URL: for a database that several machines share, see docs/scale.md and examples/replicas")
	case c.SingleUser:
		return errors.New("-store is for many people, and with -single-user every caller is one: leave out one of them")
	}
	place := cmp.Or(keyFile, storeKeyVariable)
	if keyFile != "" {
		var err error
		if key, err = readKeyFile(keyFile); err != nil {
			return err
		}
	} else if strings.TrimSpace(key) == "" {
		return fmt.Errorf("-store needs a key of %d random bytes, in base64 or hexadecimal, in %s or in a file that -store-key names; %s", store.KeySize, storeKeyVariable, storekey.MakeOne)
	}
	keys, err := storekey.Parse(place, strings.TrimSpace(key))
	if err != nil {
		return err
	}
	c.Options.Store, err = store.File(c.storeDir, keys...)
	return err
}

// readKeyFile reads a key that nobody else can read.
func readKeyFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("-store-key: %w: give a file that this user can read", err)
	}
	defer f.Close() //nolint:errcheck // it was read
	info, err := f.Stat()
	if err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("-store-key: %s can be read by other users: chmod 600 it, and make a new key if they may have", name)
	}
	text, err := io.ReadAll(io.LimitReader(f, 4<<10))
	if err != nil {
		return "", fmt.Errorf("-store-key: %w", err)
	}
	return string(text), nil
}
