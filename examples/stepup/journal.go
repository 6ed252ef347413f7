package main

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// lines returns the journal as lines to print. What a browser did is left out,
// and polls in a row that ended alike are one line.
func lines(journal []fakeas.Entry) []string {
	var out []string
	var polls int // that ended alike, in the last line
	for _, e := range journal {
		line := fmt.Sprintf("%-20s  %d  %s", e.Operation, e.Status, e.Outcome)
		switch {
		case e.Operation == fakeas.Page, e.Operation == fakeas.Authorization, e.Operation == fakeas.Consent:
			continue
		case e.Operation != fakeas.Poll:
			polls = 0
		case polls > 0 && out[len(out)-1] == repeated(line, polls):
			polls++
			out[len(out)-1] = repeated(line, polls)
			continue
		default:
			polls = 1
		}
		out = append(out, line)
	}
	return out
}

func repeated(line string, times int) string {
	if times == 1 {
		return line
	}
	return fmt.Sprintf("%s, %d times", line, times)
}

// A count is how often something happened.
type count struct {
	what      string
	got, want int
}

// counts returns what the story has to show, from the journal of sign-ins by a flow, and from
// how often the handler of ensure_note was started.
func counts(journal []fakeas.Entry, flow string, starts int) []count {
	tally := func(op fakeas.Operation, status int) (n int) {
		for _, e := range journal {
			if e.Operation == op && (status == 0 || e.Status == status) {
				n++
			}
		}
		return n
	}
	signIns := count{"device authorizations, one for each grant", tally(fakeas.DeviceAuthorization, 0), 2}
	if flow == "redirect" {
		signIns = count{"codes exchanged for a token, one for each grant", tally(fakeas.Exchange, 0), 2}
	}
	return []count{
		signIns,
		{"starts of the handler of ensure_note", starts, 1},
		{"GET /notes, one by each of the two tools", tally(fakeas.ListNotes, 0), 2},
		{"POST /notes that was refused for want of scope", tally(fakeas.CreateNote, http.StatusForbidden), 1},
		{"POST /notes that created the note", tally(fakeas.CreateNote, http.StatusCreated), 1},
	}
}

// failed returns the counts that are not as they should be.
func failed(counts []count) []count {
	return slices.DeleteFunc(slices.Clone(counts), func(c count) bool { return c.got == c.want })
}
