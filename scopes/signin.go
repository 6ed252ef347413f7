package scopes

import "strings"

// signInHelps says whether the challenges of a 401 leave it to the person to sign
// in anew: see [BearerDemand]. Unlike [ParseChallenges] it reads whatever it is
// given, as far as the limits go, since nothing but a yes or no comes of it.
func signInHelps(values []string) bool {
	r := looseReader{any: len(values) > maxValues}
	left := maxValueBytes
	for _, value := range values[:min(len(values), maxValues)] {
		value = value[:min(len(value), left)]
		left -= len(value)
		r.read(value)
	}
	return !r.any || r.bearer && (r.token || !r.coded)
}

// A looseReader looks for Bearer challenges and their error codes among the
// values of WWW-Authenticate.
type looseReader struct {
	any    bool // there is some challenge
	bearer bool // there is a Bearer challenge
	token  bool // one has a code that speaks of the token
	coded  bool // one has a code

	inBearer bool   // the last scheme was Bearer
	rest     string // of the value in hand
}

// read reads one value.
func (r *looseReader) read(value string) {
	r.rest = value
	schemes := true // a scheme may come next: not after a bare word, which may be one of a description
	for {
		r.rest = strings.TrimLeft(r.rest, " \t")
		if r.rest == "" {
			return
		}
		switch r.rest[0] {
		case ',', ';':
			r.rest = r.rest[1:]
			schemes = true
			continue
		case '=', '"', '\'':
			r.any = true
			_, schemes = r.value()
			continue
		}
		r.any = true
		word := r.until(" \t,;=")
		r.rest = strings.TrimLeft(r.rest, " \t")
		switch {
		case strings.HasPrefix(r.rest, "="):
			var value string
			value, schemes = r.value()
			if r.inBearer && strings.EqualFold(word, "error") && value != "" {
				r.coded = true
				r.token = r.token || strings.Contains(strings.ToLower(value), "token")
			}
		case schemes:
			r.inBearer = strings.EqualFold(word, "bearer")
			r.bearer = r.bearer || r.inBearer
			schemes = false
		}
	}
}

// value reads what comes after equals signs, and whether it is in quotes. If they
// are left open it goes to the end.
func (r *looseReader) value() (value string, quoted bool) {
	r.rest = strings.TrimLeft(r.rest, "= \t")
	if r.rest == "" {
		return "", false
	}
	quote := r.rest[0]
	if quote != '"' && quote != '\'' {
		return r.until(" \t,;"), false
	}
	var b strings.Builder
	for n := 1; n < len(r.rest); n++ {
		c := r.rest[n]
		if c == quote {
			r.rest = r.rest[n+1:]
			return b.String(), true
		}
		if c == '\\' && n+1 < len(r.rest) {
			n++
			c = r.rest[n]
		}
		b.WriteByte(c)
	}
	r.rest = ""
	return b.String(), true
}

// until reads up to one of the bytes in end, which may be the first.
func (r *looseReader) until(end string) string {
	n := strings.IndexAny(r.rest, end)
	if n < 0 {
		n = len(r.rest)
	}
	text := r.rest[:n]
	r.rest = r.rest[n:]
	return text
}
