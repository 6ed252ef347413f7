package report_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/report"
)

// With the ids of the official suite a check has its name there, and says which it is here.
// One that is several of its checks is all of them, or none if one of them is violated.
func TestWriteOfficialIDs(t *testing.T) {
	same := func(c hostcheck.Check, ids ...string) hostcheck.Check {
		c.Metadata = map[string]any{"official": ids}
		return c
	}
	r := &hostcheck.Report{Started: start, Results: []hostcheck.Result{{
		Scenario: "round-trips", Protocol: hostcheck.Modern, Transport: hostcheck.Stdio, Started: start, Checks: []hostcheck.Check{
			check("A8", hostcheck.Success, ""),
			same(check("B8", hostcheck.Failure, "the retry lacks the state"), "state-echoed"),
			same(check("B9", hostcheck.Success, ""), "state-echoed"),
			same(check("B24", hostcheck.Success, ""), "headers", "version"),
			same(check("A31", hostcheck.Warning, "it did not come back"), "reconnects", "last-event-id"),
			same(check("A32", hostcheck.Failure, hostcheck.NotTestable+"the host exited before that"), "timing", "tolerance"),
		},
	}}}
	for _, o := range []report.Options{{}, {OfficialIDs: true}} {
		folder := t.TempDir()
		if err := report.Write(folder, r, o); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(folder, "results", "*", "checks.json"))
		if err != nil || len(files) != 1 {
			t.Fatal(err, files)
		}
		data, err := os.ReadFile(files[0])
		if err != nil || validate(t, schema(t), data) != nil {
			t.Fatalf("%v %s", err, data)
		}
		var checks []hostcheck.Check
		if err := json.Unmarshal(data, &checks); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range checks {
			id := c.ID
			if here, ok := c.Metadata["hostcheck"].(string); ok {
				id += "=" + here
			}
			got = append(got, id)
		}
		want := "A8 B8 B9 B24 A31 A32"
		if o.OfficialIDs {
			want = "A8 state-echoed=B8 state-echoed=B9 headers=B24 version=B24 A31 timing=A32 tolerance=A32"
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%+v: %q, want %s", o, got, want)
		}
	}
	if _, changed := r.Results[0].Checks[1].Metadata["hostcheck"]; changed {
		t.Error("the caller's report was changed")
	}
}
