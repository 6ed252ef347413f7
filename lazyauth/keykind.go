package lazyauth

import (
	"context"
	"strconv"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// ClassifyKey says what kind of record a key of [Options].Store is that of, and whose, as
// [store.FleetOptions] want to know it: a database then finds all that a person has, which
// [Operator] goes by. It stays the same from release to release, since records are found by it.
func ClassifyKey(key string) (kind, person string) {
	switch {
	case strings.HasPrefix(key, "lazyauth flight "):
		return "flight", ""
	case strings.HasPrefix(key, "lazyauth person "):
		return "person", ""
	}
	fields := fieldsOf(key)
	if len(fields) != 6 {
		return "", ""
	}
	if issuer, subject := fields[3], fields[4]; issuer != `""` || subject != `""` {
		return "grant", hashedField(issuer) + hashedField(subject)
	}
	return "grant", "" // the local user's
}

// fieldsOf returns the fields of a key as they stand there; nil if it is none of a grant's.
func fieldsOf(key string) (fields []string) {
	for rest := key; rest != ""; rest = strings.TrimPrefix(rest, " ") {
		field, _, _ := strings.Cut(rest, " ")
		if !strings.HasPrefix(rest, "#") {
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				return nil
			}
			field = quoted
		}
		fields, rest = append(fields, field), rest[len(field):]
	}
	return fields
}

// hashedField is the same for a field that stands in a key and for one that was too long for that.
func hashedField(field string) string {
	if plain, err := strconv.Unquote(field); err == nil {
		return hashed(plain)
	}
	return field
}

// keysOf returns what lists the keys of what a person has, with those of others or without: all that
// there are if the store does not tell persons apart.
func keysOf(person Principal) func(context.Context, *Interceptor) ([]string, error) {
	return func(ctx context.Context, i *Interceptor) ([]string, error) {
		s := i.options.Store
		if w, ok := s.(interface{ Unwrap() store.Store }); ok {
			s = w.Unwrap()
		}
		if f, ok := s.(*store.Fleet); ok {
			if p := f.PersonOf(i.service.storeKey(person)); p != "" {
				return f.KeysOf(ctx, p)
			}
		}
		return allKeys(ctx, i)
	}
}
