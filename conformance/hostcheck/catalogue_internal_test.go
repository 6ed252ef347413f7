package hostcheck

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// A requirement that stands in both revisions is linked in the one that is run.
func TestCatalogue_SectionFollowsTheProtocol(t *testing.T) {
	r := byID("A13")
	if got := r.in(Modern, Stdio).URL; got != site+"/specification/2026-07-28/client/elicitation#safe-url-handling" {
		t.Error(got)
	}
	if got := r.in(Legacy, Stdio); got != r.Section {
		t.Error(got)
	}
}

// One that the newer revision has first has no page in the older one, whatever is run.
func TestCatalogue_SectionOfTheNewerRevision(t *testing.T) {
	r := byID("B21")
	if got := r.in(Legacy, Stdio); got != r.Section {
		t.Error(got)
	}
	if got := byID("B20").in(Modern, HTTP).URL; got != site+"/specification/2026-07-28/basic/transports/streamable-http#sending-messages" {
		t.Error(got)
	}
}

// A requirement has all of its data where it is written, and what judges it.
func TestCatalogue_Literals(t *testing.T) {
	for _, r := range catalogue {
		judged := r.line != nil || r.post != nil || r.bare != nil || r.response != nil || r.request != nil || r.fresh != nil || r.started != nil || r.retry != nil || r.cancelled != nil ||
			r.answered != nil || r.shown != nil || r.opened != nil || r.reported != nil || r.played != nil || r.end != nil
		if judged == (r.Reason != "") {
			t.Errorf("%s: is it judged? %v. Reason: %q", r.ID, judged, r.Reason)
		}
		if (r.hook != "") != slices.Contains(r.Observed, UI) {
			t.Errorf("%s: observed in %v, with the hook %q", r.ID, r.Observed, r.hook)
		}
		if len(r.eras) == 0 || r.Revision != profile && !slices.Contains(r.eras, r.Revision) {
			t.Errorf("%s of %s binds in %v", r.ID, r.Revision, r.eras)
		}
	}
}

// An occasion is one of a requirement that has a check for it: every ID that the
// scenarios' plays mention is there.
func TestCatalogue_Occasions(t *testing.T) {
	played := regexp.MustCompile(`judgePlayed\("(\w+)"`)
	sources, err := filepath.Glob("*.go")
	if err != nil || len(sources) == 0 {
		t.Fatal(err)
	}
	for _, path := range sources {
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range played.FindAllSubmatch(source, -1) {
			if r := byID(string(m[1])); r.played == nil {
				t.Errorf("%s: %s has no check for an occasion", path, m[1])
			}
		}
	}
}
