package oidcsignin

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
)

// maxSealed bounds what is opened and what is sealed, in bytes: browsers keep cookies of 4096 with their attributes.
const maxSealed = 3500

// A sealer seals what travels through a browser. Each opens for what it was sealed for alone: this purpose, page,
// issuer, client and kind of identity.
type sealer struct {
	keys  []cipher.AEAD // the first seals, all open
	bound []string
}

func newSealer(keys [][]byte, bound ...string) (sealer, error) {
	if len(keys) == 0 {
		key := make([]byte, keyLength)
		rand.Read(key) // it never fails
		keys = [][]byte{key}
	}
	s := sealer{bound: bound}
	for _, key := range keys {
		block, err := aes.NewCipher(key)
		if err != nil {
			return sealer{}, err
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return sealer{}, err
		}
		s.keys = append(s.keys, aead)
	}
	return s, nil
}

// associated encodes what something is sealed for, unambiguously.
func (s sealer) associated(purpose string) []byte {
	text := strconv.AppendQuote([]byte("lazyauth oidcsignin 1"), purpose)
	for _, part := range s.bound {
		text = strconv.AppendQuote(text, part)
	}
	return text
}

var errLong = errors.New("what is to be said of the person does not fit into a cookie")

// seal returns v as a text that opens for the same purpose alone.
func (s sealer) seal(v any, purpose string) (string, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(s.keys[0].Seal(nil, nil, plain, s.associated(purpose)))
	if len(text) > maxSealed {
		return "", errLong
	}
	return text, nil
}

// open reads into v what was sealed for a purpose, and reports whether text is that.
func (s sealer) open(text string, v any, purpose string) bool {
	if len(text) > maxSealed {
		return false
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return false
	}
	for _, key := range s.keys {
		if plain, err := key.Open(nil, nil, sealed, s.associated(purpose)); err == nil {
			return json.Unmarshal(plain, v) == nil
		}
	}
	return false
}

// newSecret returns 256 random bits in 43 characters.
func newSecret() string {
	var bits [32]byte
	rand.Read(bits[:]) // it never fails
	return base64.RawURLEncoding.EncodeToString(bits[:])
}

// digest returns a digest of texts, as a text.
func digest(texts ...string) string {
	var all []byte
	for _, text := range texts {
		all = strconv.AppendQuote(all, text)
	}
	sum := sha256.Sum256(all)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
