package lazyauth

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/internal/names"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// storeKey is the key of a grant in a store: the service, by its issuer and the name of this
// program at it, and the principal's issuer, subject and account. Quoted, so that nothing in it
// can be read in two ways. The client's id is not part of it, which can change; the record has
// it. The parameters are part of the service: a resource or an audience makes its tokens good
// for something else (RFC 8707).
//
// What would be too long for a store has a hash in place of each long field, without
// quotes, so that it is no other key.
func (s *Service) storeKey(who Principal) string {
	return keyOf([]string{s.issuerName(), s.program(), s.allParams(), who.Issuer, who.Subject, who.Account})
}

// flightKey is the key of what processes share of a principal's sign-in under way. It is no grant's, and
// tells of nobody.
func (s *Service) flightKey(who Principal) string {
	sum := sha256.Sum256([]byte(s.storeKey(who)))
	return "lazyauth flight " + hex.EncodeToString(sum[:])
}

// placesKey names what a person may have under way for the service, in all processes. It tells of nobody.
func (s *Service) placesKey(person Principal) string {
	sum := sha256.Sum256([]byte(s.storeKey(person)))
	return "lazyauth sign-ins " + hex.EncodeToString(sum[:])
}

// bookName names the service for what is kept of persons beside their grants.
func (s *Service) bookName() string {
	return keyOf([]string{s.issuerName(), s.program(), s.allParams()})
}

// allParams encodes the parameters of all requests.
func (s *Service) allParams() string {
	if len(s.TokenParams) == 0 && len(s.RefreshParams) == 0 {
		return s.Params.Encode()
	}
	return s.Params.Encode() + "|" + s.TokenParams.Encode() + "|" + s.RefreshParams.Encode() // none of which has such a line
}

// keyOf is the key of a record with these fields, of which there are six at the most.
func keyOf(fields []string) string {
	quoted := make([]string, len(fields))
	for n, f := range fields {
		quoted[n] = strconv.QuoteToASCII(f)
	}
	if key := strings.Join(quoted, " "); len(key) <= store.MaxKey {
		return key
	}
	for n, f := range fields {
		if len(quoted[n]) > longField {
			quoted[n] = hashed(f)
		}
	}
	return strings.Join(quoted, " ")
}

// longField is the length of the longest quoted field that stays in a key that is too
// long. Six of them are short enough for every store.
const longField = 150

// hashed stands for a long field in a key.
func hashed(field string) string {
	sum := sha256.Sum256([]byte(field))
	return "#" + hex.EncodeToString(sum[:])
}

// ofKey is the inverse of storeKey; false if the key is another service's, or does not
// say whose it is because that is too long.
func (s *Service) ofKey(key string) (Principal, bool) {
	var fields []string
	for rest := key; rest != ""; {
		if strings.HasPrefix(rest, "#") {
			var field string
			field, rest, _ = strings.Cut(rest, " ")
			fields = append(fields, field)
			continue
		}
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return Principal{}, false
		}
		field, err := strconv.Unquote(quoted)
		if err != nil || !names.Check(field) {
			return Principal{}, false // not for a list that people read
		}
		fields = append(fields, field)
		rest = strings.TrimPrefix(rest[len(quoted):], " ")
	}
	if len(fields) != 6 {
		return Principal{}, false
	}
	// A hashed principal is not found again, and neither is another service.
	who := Principal{Issuer: fields[3], Subject: fields[4], Account: fields[5]}
	if s.storeKey(who) != key {
		return Principal{}, false
	}
	return who, true
}
