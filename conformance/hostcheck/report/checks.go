package report

import (
	"encoding/json"
	"io"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// Checks writes the verdicts of one run on what MCP demands, as the official suite
// writes a checks.json; checks.schema.json describes it. Times are in UTC, in
// milliseconds. What the lazy-auth profile demands is left to [Profile].
func Checks(w io.Writer, r hostcheck.Result) error { return writeChecks(w, r, false) }

// Profile writes the verdicts of one run on what the lazy-auth profile demands, in the
// same shape. They are no verdicts on MCP: who takes the two together blames a host for
// what no specification says.
func Profile(w io.Writer, r hostcheck.Result) error { return writeChecks(w, r, true) }

func writeChecks(w io.Writer, r hostcheck.Result, profile bool) error {
	checks := []hostcheck.Check{} // not nil, which would be null
	for _, check := range r.Checks {
		if check.Profile() == profile {
			check.Timestamp = check.Timestamp.UTC().Truncate(time.Millisecond)
			checks = append(checks, check)
		}
	}
	return encode(w, checks)
}

// applied says whether anything of MCP applied to the host in a run: of a scenario that
// does not apply, the official suite writes no checks.json, and what is in one whose
// checks are all SKIPPED it takes for a failure.
func applied(r hostcheck.Result) bool {
	return slices.ContainsFunc(r.Checks, func(c hostcheck.Check) bool {
		return !c.Profile() && c.Status != hostcheck.Skipped
	})
}

// JSON writes the whole report, in UTF-8. Messages are as they went over the wire but
// for white space between their parts; one that is not JSON, or not UTF-8, is text.
func JSON(w io.Writer, r *hostcheck.Report) error {
	whole := *r
	whole.Results = make([]hostcheck.Result, len(r.Results))
	for i, result := range r.Results {
		if result.Checks == nil {
			result.Checks = []hostcheck.Check{}
		}
		events := make([]hostcheck.Event, len(result.Events))
		for j, event := range result.Events {
			if len(event.Message) > 0 && (!json.Valid(event.Message) || !utf8.Valid(event.Message)) {
				event.Text, event.Message = visible(string(event.Message)), nil
			}
			events[j] = event
		}
		result.Events = events
		whole.Results[i] = result
	}
	return encode(w, whole)
}

func encode(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
