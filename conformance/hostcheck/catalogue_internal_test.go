package hostcheck

import "testing"

// A requirement that stands in both revisions is linked in the one that is run.
func TestSectionFollowsTheProtocol(t *testing.T) {
	r := byID("A13")
	if got := r.in(Modern).URL; got != site+"/specification/2026-07-28/client/elicitation#safe-url-handling" {
		t.Error(got)
	}
	if got := r.in(Legacy); got != r.Section {
		t.Error(got)
	}
}
