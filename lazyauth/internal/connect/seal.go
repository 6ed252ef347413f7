package connect

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"
)

// maxSealed bounds what is opened, in bytes.
const maxSealed = 3 << 10

// A sealer seals what travels through a browser: the cookies of attempts, and the tokens of forms. Each opens for
// what it was sealed for alone. The key is the process's, or one that several share.
type sealer struct {
	aead  cipher.AEAD
	page  string
	names []byte // the key of names in addresses
}

func newSealer(page string) sealer {
	key := make([]byte, 32)
	rand.Read(key) // it never fails
	return sealerWith(page, key)
}

// sealerWith returns a sealer whose keys are made of this one.
func sealerWith(page string, key []byte) sealer {
	derive := func(what string) []byte {
		derived, err := hkdf.Key(sha256.New, key, nil, "lazyauth connect 1 "+what, 32)
		if err != nil {
			panic("connect: " + err.Error()) // the length is right
		}
		return derived
	}
	names := derive("names")
	block, err := aes.NewCipher(derive("seal"))
	if err != nil {
		panic("connect: " + err.Error()) // likewise
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("connect: " + err.Error())
	}
	return sealer{aead, page, names}
}

// associated encodes what something is sealed for, unambiguously.
func (s sealer) associated(bound []string) []byte {
	text := []byte("lazyauth connect 1")
	for _, part := range append([]string{s.page}, bound...) {
		text = strconv.AppendQuote(text, part)
	}
	return text
}

// seal returns v as a text that opens for the same bound alone.
func (s sealer) seal(v any, bound ...string) string {
	plain, err := json.Marshal(v)
	if err != nil {
		panic("connect: " + err.Error()) // of our own types
	}
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, plain, s.associated(bound)))
}

// open reads into v what was sealed for bound, and reports whether text is that.
func (s sealer) open(text string, v any, bound ...string) bool {
	if len(text) > maxSealed {
		return false
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return false
	}
	plain, err := s.aead.Open(nil, nil, sealed, s.associated(bound))
	return err == nil && json.Unmarshal(plain, v) == nil
}

// digest returns a digest of texts, as a text. It is not secret, and tells nothing of them if they cannot be guessed.
func digest(texts ...string) string {
	var all []byte
	for _, text := range texts {
		all = strconv.AppendQuote(all, text)
	}
	sum := sha256.Sum256(all)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (p Person) digest() string { return digest(p.Issuer, p.Subject) }

// A ticket is what the cookie of an attempt says, sealed. What is compared with it before a table is asked stands
// in it.
type ticket struct {
	Link     string `json:"l"` // as it stands in the address
	State    string `json:"s"` // a digest
	Person   string `json:"p"` // a digest of the identity
	Path     string `json:"c"` // the last part of the redirect URI's
	Issuer   string `json:"i"` // the recorded one, empty if none is
	Promised bool   `json:"r"` // the metadata says that answers name it
	Ends     int64  `json:"e"`
}

func (t ticket) isOver() bool { return time.Now().Unix() >= t.Ends }

// formTime is how long a page may be looked at before it is sent.
const formTime = 30 * time.Minute

// formToken returns what the form of a link's page has to bring back: it is good for that link and person.
func (s sealer) formToken(link string, identity Person) string {
	return s.seal(time.Now().Add(formTime).Unix(), "form", link, identity.digest())
}

// isFormToken reports whether a form was made for this link and person, not long ago.
func (s sealer) isFormToken(token, link string, identity Person) bool {
	var ends int64
	return s.open(token, &ends, "form", link, identity.digest()) && time.Now().Unix() < ends
}
