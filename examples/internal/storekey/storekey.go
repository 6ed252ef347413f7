// Package storekey reads the keys of stores in files from where operators of the examples put them.
package storekey

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// MakeOne says how a key is made.
const MakeOne = "make one with: openssl rand -base64 32"

// Parse reads keys with commas between them, the first to seal with, from what stands in a place
// of this name. Its errors quote nothing of it.
func Parse(place, text string) ([][]byte, error) {
	var keys [][]byte
	for one := range strings.SplitSeq(text, ",") {
		key := parse(strings.TrimSpace(one))
		if key == nil {
			return nil, fmt.Errorf("%s: key %d is not %d bytes in base64 or hexadecimal; %s", place, len(keys)+1, store.KeySize, MakeOne)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// parse returns nil for what is no key. 64 characters are hexadecimal: in base64
// they would be 48 bytes.
func parse(text string) []byte {
	decode := base64.RawStdEncoding.DecodeString
	switch text = strings.TrimRight(text, "="); {
	case len(text) == 2*store.KeySize:
		decode = hex.DecodeString
	case strings.ContainsAny(text, "-_"):
		decode = base64.RawURLEncoding.DecodeString
	}
	key, err := decode(text)
	if err != nil || len(key) != store.KeySize {
		return nil
	}
	return key
}
