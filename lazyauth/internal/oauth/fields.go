package oauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"mime"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// fields are the members of an answer, whichever way it was encoded. The values of
// strings and numbers are kept; null is as good as absent.
type fields map[string]field

type field struct {
	text    string
	literal bool // a JSON number, not a string

	// other is JSON that is neither a string nor a number; of a list of names, the
	// elements that are no strings.
	other string

	list bool // a list of names
}

// has reports whether there is a member of this name, of whatever type.
func (f fields) has(name string) bool {
	_, ok := f[name]
	return ok
}

// text returns a member that is a string, or "".
func (f fields) text(name string) string {
	if f[name].literal {
		return ""
	}
	return f[name].text
}

// lists reports whether a member that is a list of names has this one.
func (f fields) lists(name, element string) bool {
	for listed := range strings.SplitSeq(f.text(name), "\n") {
		if listed == element {
			return true
		}
	}
	return false
}

// isTrue reports whether a member is true, also if that is in a string.
func (f fields) isTrue(name string) bool {
	return !f[name].list && (f[name].other == "true" || f.text(name) == "true")
}

// seconds reads a member that is a positive number of seconds and keeps it within
// bounds; see parseSeconds.
func (f fields) seconds(name string, least, most time.Duration) (time.Duration, bool) {
	return parseSeconds(f[name].text, least, most)
}

// isSpent reports whether a member is a number of seconds, but not a positive one.
func (f fields) isSpent(name string) bool {
	x, err := strconv.ParseFloat(strings.TrimSpace(f[name].text), 64)
	return (err == nil || errors.Is(err, strconv.ErrRange)) && x <= 0
}

// parseSeconds reads a number of seconds, which servers send as an integer, as a
// fraction or inside a string. It is false when there is no such number, or when
// it is zero or negative.
func parseSeconds(text string, least, most time.Duration) (time.Duration, bool) {
	x, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) { // out of range is infinite
		return 0, false
	}
	switch {
	case math.IsNaN(x) || x <= 0:
		return 0, false
	case x >= most.Seconds(): // before the conversion, which would overflow
		return most, true
	}
	return max(least, time.Duration(x*float64(time.Second))), true
}

// readFields decodes a body: JSON whatever its label, because servers send it as
// text/plain and even text/html, or a form (GitHub's default, when it is not asked
// for JSON), and says whether it was JSON. It returns nil if the body is neither.
func readFields(contentType string, body []byte) (found fields, isJSON bool) {
	if found := readJSON(body); found != nil {
		return found, true
	}
	return readForm(contentType, body), false
}

// readJSON decodes a JSON object, nil if the body is none. Decoding into a map and
// not into a struct keeps member names case-sensitive (RFC 6749 §5.1).
func readJSON(body []byte) fields {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil || members == nil {
		return nil
	}
	found := make(fields, len(members))
	for name, raw := range members {
		switch {
		case raw[0] == '"':
			var text string
			if json.Unmarshal(raw, &text) == nil {
				found[name] = field{text: text}
			}
		case raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9':
			found[name] = field{text: string(raw), literal: true}
		case raw[0] == '[' && name == "scope": // some send a list
			found[name] = readList(raw, " ")
		case raw[0] == '[' && strings.HasSuffix(name, "_supported"): // of metadata (RFC 8414 §2)
			found[name] = readList(raw, "\n") // a response type may have blanks
		case raw[0] != 'n':
			found[name] = field{other: string(raw)}
		}
	}
	return found
}

// readList reads a list of names as the text of them, with a separator in between.
func readList(raw json.RawMessage, separator string) field {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return field{other: string(raw)}
	}
	var names, others []string
	for _, element := range list {
		var name string
		if element[0] == '"' && json.Unmarshal(element, &name) == nil {
			names = append(names, name)
		} else {
			others = append(others, string(element))
		}
	}
	return field{text: strings.Join(names, separator), other: strings.Join(others, " "), list: true}
}

// readForm decodes a form, nil if the body is none. What is not labelled as a form
// must look very much like one: an error page must not be taken for an answer
// because a link in it has a parameter named error.
func readForm(contentType string, body []byte) fields {
	kind, _, _ := mime.ParseMediaType(contentType)
	switch kind {
	case "application/x-www-form-urlencoded", "text/plain", "application/octet-stream", "":
	default:
		return nil
	}
	text := strings.TrimSpace(string(body))
	if text == "" || !strings.Contains(text, "=") {
		return nil
	}
	values, err := url.ParseQuery(text)
	if err != nil {
		return nil
	}
	found := make(fields, len(values))
	for name, list := range values {
		if !isMemberName(name) {
			return nil
		}
		found[name] = field{text: list[0]}
	}
	return found
}

func isMemberName(name string) bool {
	for i := range len(name) {
		if c := name[i]; !isAlphanumeric(c) && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return name != "" && len(name) <= 64
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
