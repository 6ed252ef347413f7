package oauth

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// An Answer is what came of one request. There always is one: when no response
// came, it has no status and a fault.
type Answer struct {
	Status     int
	Verdict    Verdict       // of metadata there is none
	RetryAfter time.Duration // 0 if none was asked for

	// Fault says, in our words, why there is nothing to go by: neither an OAuth
	// error nor a success with members. Empty if there is.
	Fault string

	// Unsent says that the server cannot have seen the request.
	Unsent bool

	fields fields
	json   bool // the fields were

	// trace is the transport's error, which may quote the server: for Detail only.
	trace string

	// What follows is for Detail only, too: the media type and the body, up to maxBody,
	// where a redirect leads, and how the client authenticated if it was refused.
	mediaType, body, location, note string
}

// Has reports whether there is a member of this name, of whatever type. Null is as good
// as absent.
func (a *Answer) Has(name string) bool { return a.fields.has(name) }

// Text returns a member that is a string, or "".
func (a *Answer) Text(name string) string { return a.fields.text(name) }

// Seconds reads a member that is a positive number of seconds, however it is written, and
// keeps it within bounds. It is false when there is none.
func (a *Answer) Seconds(name string, least, most time.Duration) (time.Duration, bool) {
	return a.fields.seconds(name, least, most)
}

// Broken reports whether the transport failed before the answer was there as a whole.
func (a *Answer) Broken() bool { return a.trace != "" }

// Success reports whether the status is one of success.
func (a *Answer) Success() bool { return a.Status >= 200 && a.Status < 300 }

// Passes reports whether the same request may be answered otherwise in a moment.
func (a *Answer) Passes() bool {
	switch a.Verdict.Means {
	case MeansNothing:
		return a.Fault != "" && a.passing()
	case MeansPending, MeansSlowDown, MeansLater, MeansTrouble:
		return true
	}
	return false
}

// passing reports whether the fault may go away by itself: nothing came, or the
// status says try again later.
func (a *Answer) passing() bool {
	switch a.Status {
	case 0, http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return a.Status >= 500 || a.trace != ""
}

// longRun finds what may be a token by its looks: one is long, and has digits.
var longRun = regexp.MustCompile(`[A-Za-z0-9_~+=-]{20,}`)

func hideToken(run string) string {
	if strings.ContainsAny(run, "0123456789") {
		return "[secret]"
	}
	return run
}

// maySecret finds what a body might give away if it is quoted: an answer with a token
// that could not be read, say, because it was cut off.
var maySecret = regexp.MustCompile(`(?i)(token|secret)\\?["']?\s*[:=>]|(code|password|assertion|request_uri)\\?["']?\s*[:=]`)

// hideQuoted returns the text of a transport's error without what may be a token. Of what is
// no HTTP net/http quotes a line, which is all there is of an answer that has lost its head.
func hideQuoted(text string) string {
	before, _, quotes := strings.Cut(text, `"`)
	switch {
	case !quotes || !strings.Contains(before, "malformed"):
		return text
	case maySecret.MatchString(text):
		return before + "[not shown: it may have a token]"
	default:
		return longRun.ReplaceAllStringFunc(text, hideToken)
	}
}

// about describes an answer without an OAuth error, for Detail: what it is, and how it
// begins. What came with a success, or might hold a token, is not shown unless it is a
// page.
func (s secrets) about(a *Answer) string {
	var facts []string
	if a.trace != "" {
		facts = append(facts, s.quote(hideQuoted(a.trace)))
	}
	if a.mediaType != "" {
		facts = append(facts, "content type "+s.quote(a.mediaType))
	}
	if a.location != "" {
		facts = append(facts, "redirected to "+s.quote(a.location))
	}
	text := strings.Join(strings.Fields(a.body), " ")
	switch {
	case text == "":
	case !isText(text[:min(len(text), maxQuote)]):
		// Its encoding may hide a token: it may be compressed (1f8b is gzip).
		facts = append(facts, fmt.Sprintf("a body of %d bytes that are not text, and begin with %x", len(a.body), a.body[:min(len(a.body), 4)]))
	case maySecret.MatchString(text[:min(len(text), 4*maxQuote)]),
		a.Status < 300 && text[0] != '<' && text[0] != '{':
		facts = append(facts, "a body of "+strconv.Itoa(len(a.body))+" bytes")
	default:
		facts = append(facts, "body "+s.quote(longRun.ReplaceAllStringFunc(s.blot(text), hideToken)))
	}
	return strings.Join(facts, ", ")
}
