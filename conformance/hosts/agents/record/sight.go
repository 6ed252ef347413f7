package record

import (
	"regexp"
	"strings"
)

var (
	link = regexp.MustCompile(`https?://[^\s"'<>\\]+`)
	// A form names the address without its scheme.
	address = regexp.MustCompile(`\b127\.0\.0\.1:\d+/\S+`)
	// A user code is one of fakeas, such as BCDF-GHJK.
	userCode = regexp.MustCompile(`\b[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}\b`)
)

// sight notes a message in which a person can read all that they need: a link,
// and a code if there is one to this sign-in. Anything else is of no use to them.
func (r *Record) sight(l Line, way string, p *Prompt, text string) {
	url := strings.TrimRight(link.FindString(text), ".,;:!?)")
	if found := strings.TrimRight(address.FindString(text), ".,;:!?)"); url == "" && found != "" {
		url = "https://" + found
	}
	code := userCode.FindString(text)
	if url == "" || code == "" && r.Codes {
		return
	}
	s := &Sighting{Way: way, URL: url, Code: code, At: l.At, Process: l.Process, Prompt: p}
	r.Sighted = append(r.Sighted, s)
	if r.Seen != nil {
		r.Seen(s)
	}
}
