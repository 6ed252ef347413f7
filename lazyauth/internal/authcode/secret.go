package authcode

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strconv"
)

// NewSecret returns 256 random bits in 43 letters, digits, dashes and underscores: fit for a
// state, a cookie, a path, and a code verifier (RFC 7636 §4.1).
func NewSecret() string {
	var bits [32]byte
	rand.Read(bits[:]) // it never fails
	return base64.RawURLEncoding.EncodeToString(bits[:])
}

// NewNonce returns 128 random bits in 22 of these characters, for a link that people read. It
// stands for no sign-in: that gets secrets of its own when the page is opened.
func NewNonce() string {
	var bits [16]byte
	rand.Read(bits[:])
	return base64.RawURLEncoding.EncodeToString(bits[:])
}

// Same compares in a time that does not depend on where the two differ.
func Same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// Challenge returns the code challenge of a verifier: S256 (RFC 7636 §4.2).
func Challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// maxQuote is how many bytes of what a server wrote an operator is shown.
const maxQuote = 160

// quote makes a text that somebody else wrote fit for an operator's log: cut short, on one
// line, in ASCII.
func quote(text string) string {
	if len(text) > maxQuote {
		return strconv.QuoteToASCII(text[:maxQuote]) + "..."
	}
	return strconv.QuoteToASCII(text)
}
