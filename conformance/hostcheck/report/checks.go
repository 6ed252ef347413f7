package report

import (
	"encoding/json"
	"io"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// Checks writes the verdicts of one run as the official suite writes a
// checks.json; checks.schema.json describes it. Times are in UTC, in
// milliseconds.
func Checks(w io.Writer, r hostcheck.Result) error {
	checks := make([]hostcheck.Check, len(r.Checks)) // not nil, which would be null
	for i, check := range r.Checks {
		check.Timestamp = check.Timestamp.UTC().Truncate(time.Millisecond)
		checks[i] = check
	}
	return encode(w, checks)
}

// JSON writes the whole report. Messages are as they went over the wire but
// for white space between their parts.
func JSON(w io.Writer, r *hostcheck.Report) error {
	whole := *r
	whole.Results = make([]hostcheck.Result, len(r.Results))
	for i, result := range r.Results {
		if result.Checks == nil {
			result.Checks = []hostcheck.Check{}
		}
		events := make([]hostcheck.Event, len(result.Events))
		for j, event := range result.Events {
			if len(event.Message) > 0 && !json.Valid(event.Message) {
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
