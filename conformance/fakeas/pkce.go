package fakeas

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
)

// PKCE says what a server makes of code challenges (RFC 7636). The one method
// is S256: plain is refused (RFC 9700 §2.1.1).
type PKCE int

// What a server can make of them.
const (
	PKCEDefault  PKCE = iota // as the option says
	PKCERequired             // refuse requests without
	PKCEOptional             // hold the client to what it sent
	PKCEIgnored              // not heard of it: metadata does not say it either
)

// completePKCE fills in the defaults.
func (o *settings) completePKCE() error {
	if o.PKCE == PKCEDefault {
		o.PKCE = PKCERequired
	}
	if o.DevicePKCE == PKCEDefault {
		o.DevicePKCE = PKCEOptional
		if o.PKCE == PKCEIgnored {
			o.DevicePKCE = PKCEIgnored
		}
	}
	for _, p := range []PKCE{o.PKCE, o.DevicePKCE} {
		if p < PKCERequired || p > PKCEIgnored {
			return fmt.Errorf("fakeas: %d is no PKCE", p)
		}
	}
	return nil
}

// pkceNamed reports whether the metadata names the method.
func (o *settings) pkceNamed() bool {
	return !o.NoAuthorization && o.PKCE != PKCEIgnored || !o.NoDevice && o.DevicePKCE != PKCEIgnored
}

// readChallenge takes the code challenge of a request, or says which rule was
// broken and how that is put. Empty and no rule: there is none, and none is
// needed.
func readChallenge(p PKCE, challenge, method string) (string, Rule, string) {
	switch {
	case p == PKCEIgnored:
		return "", "", ""
	case challenge == "" && method == "" && p == PKCEOptional:
		return "", "", ""
	case challenge == "":
		return "", MissingChallenge, "code_challenge required"
	case method != "S256": // without a method it is plain (RFC 7636 §4.3)
		return "", WeakChallenge, "transform algorithm not supported"
	case len(challenge) != 43 || strings.ContainsFunc(challenge, notBase64URL):
		return "", MalformedChallenge, "code_challenge is no SHA-256 in base64url"
	}
	return challenge, "", ""
}

func notBase64URL(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// isVerifier reports whether a text has the form of a code verifier (RFC 7636
// §4.1).
func isVerifier(text string) bool {
	return len(text) >= 43 && len(text) <= 128 &&
		!strings.ContainsFunc(text, func(r rune) bool { return notBase64URL(r) && r != '.' && r != '~' })
}

// verifies reports whether a verifier belongs to a challenge (RFC 7636 §4.6).
func verifies(verifier, challenge string) bool {
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}
