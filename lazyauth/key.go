package lazyauth

import (
	"strconv"
	"strings"
	"unicode"
)

// storeKey is the key of somebody's grant in a store: the service, who vouches for them,
// who they are, and the account. Quoted, so that nothing in it can be read in two ways.
// The parameters are part of the service: a resource or an audience makes its tokens good
// for something else (RFC 8707).
func (s *Service) storeKey(who Principal) string {
	fields := []string{s.issuerName(), s.ClientID, s.Params.Encode(), who.Issuer, who.Subject, who.Account}
	for n, f := range fields {
		fields[n] = strconv.QuoteToASCII(f)
	}
	return strings.Join(fields, " ")
}

// ofKey is the inverse of storeKey; false if the key is another service's.
func (s *Service) ofKey(key string) (Principal, bool) {
	var fields []string
	for key != "" {
		quoted, err := strconv.QuotedPrefix(key)
		if err != nil {
			return Principal{}, false
		}
		field, err := strconv.Unquote(quoted)
		if err != nil || strings.ContainsFunc(field, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return Principal{}, false // not for a list that people read
		}
		fields = append(fields, field)
		key = strings.TrimPrefix(key[len(quoted):], " ")
	}
	if len(fields) != 6 || fields[0] != s.issuerName() || fields[1] != s.ClientID || fields[2] != s.Params.Encode() {
		return Principal{}, false
	}
	return Principal{Issuer: fields[3], Subject: fields[4], Account: fields[5]}, true
}
