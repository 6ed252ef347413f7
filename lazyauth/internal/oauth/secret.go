package oauth

import (
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// secrets are texts that must not appear in a Detail, should a server or a
// transport repeat one.
type secrets []string

// maxQuote is how many bytes of a text quote shows; escaped it is at most four
// times as long, and two quotation marks.
const maxQuote = 160

// quote makes a text that somebody else wrote fit for an operator's log: secrets
// blotted out, cut short, on one line, in ASCII.
func (s secrets) quote(text string) string {
	text = s.blot(text)
	more := ""
	if len(text) > maxQuote {
		text, more = text[:maxQuote], "..."
	}
	return strconv.QuoteToASCII(text) + more
}

// blot replaces the secrets, in every form that they are sent in.
func (s secrets) blot(text string) string {
	text = text[:min(len(text), maxBody)]
	for _, secret := range s {
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
			text = blot(text, form)
		}
	}
	return text
}

// blot replaces every occurrence of secret, in upper or lower case: a server may
// repeat a user code the way it was typed.
func blot(text, secret string) string {
	if secret == "" {
		return text
	}
	lowText, lowSecret := lowerASCII(text), lowerASCII(secret)
	var b strings.Builder
	for {
		i := strings.Index(lowText, lowSecret)
		if i < 0 {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:i] + "[secret]")
		text, lowText = text[i+len(secret):], lowText[i+len(secret):]
	}
}

// lowerASCII keeps the length, which strings.ToLower does not.
func lowerASCII(text string) string {
	b := []byte(text)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// isText reports whether text, which may end in the middle of a character, is text.
func isText(text string) bool {
	for i, r := range text {
		if r == 0 || r == utf8.RuneError && i < len(text)-utf8.UTFMax || i == 0 && unicode.IsControl(r) {
			return false
		}
	}
	return true
}
