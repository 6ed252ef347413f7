package scopes

import (
	"net/http"
	"strconv"
	"strings"
)

// maxExcerpt is the length of the longest excerpt.
const maxExcerpt = 512

// Excerpt returns what a response says in the headers that the dialects here
// read, for an operator's log: on one line, in printable ASCII, at most 512 bytes,
// cut short with an ellipsis. It is empty if they say nothing. What is given as
// secrets, such as the token that was sent, is blotted out should the server
// repeat it.
//
// It is the words of a server: neither a model nor a person is to read them.
func Excerpt(header http.Header, secrets ...string) string {
	var b strings.Builder
	for _, name := range []string{"WWW-Authenticate", "X-Accepted-OAuth-Scopes", "X-OAuth-Scopes"} {
		for _, value := range header.Values(name) {
			if b.Len() > maxExcerpt {
				break
			}
			if b.Len() > 0 {
				b.WriteString("; ")
			}
			b.WriteString(name + ": " + quote(value, secrets))
		}
	}
	text := b.String()
	if len(text) > maxExcerpt {
		text = text[:maxExcerpt-3] + "..."
	}
	return text
}

// quote returns value escaped: its beginning, if all of it would be too much.
func quote(value string, secrets []string) string {
	value = value[:min(len(value), maxValueBytes)]
	for _, secret := range secrets {
		if secret != "" {
			value = strings.ReplaceAll(value, secret, "[secret]")
		}
	}
	return strconv.QuoteToASCII(value[:min(len(value), maxExcerpt)])
}
