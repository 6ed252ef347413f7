package hostcheck

import (
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// An observer keeps what is found of the requirements that bind, and of no other.
func TestObserver_Finds(t *testing.T) {
	r := wire.NewRecord()
	o := newObserver(r, []string{"A7", "B1", "A30"}, Modern, Stdio) // A30 binds over HTTP alone
	event := r.Note(0, "something happens")
	o.judge("A7", true, "not told", event)
	o.judge("A7", false, "told", event)
	o.find("A30", failed, "", event)
	o.find("P1", failed, "", event)
	if got := o.found("A7"); len(got) != 2 || got[0].mark != passed || got[0].text != "" || got[1].mark != failed || got[1].text != "told" {
		t.Errorf("found %+v", got)
	}
	for _, id := range []string{"A30", "P1", "B1"} {
		if got := o.found(id); len(got) > 0 {
			t.Errorf("of %s was found %+v", id, got)
		}
	}
	if got := r.Events()[event].Checks; len(got) != 1 || got[0] != "A7" {
		t.Errorf("the event decided %q", got)
	}
}

// The first reason why a conversation ends counts; what the person says is a finding.
func TestObserver_BlocksAndWatches(t *testing.T) {
	o := newObserver(wire.NewRecord(), []string{"A8"}, Legacy, Stdio)
	o.block("first")
	o.block("second")
	if got, _ := o.reason(); got != "first" {
		t.Errorf("the reason is %q", got)
	}
	o.watch("A8", "no")
	if got := o.found("A8"); len(got) != 1 || got[0].mark != failed || o.says("A8") != "no" {
		t.Errorf("found %+v", got)
	}
	o.watch("A8", "yes")
	if got := o.found("A8"); len(got) != 1 || got[0].mark != passed {
		t.Errorf("found %+v", got)
	}
}
