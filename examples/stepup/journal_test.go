package main

import (
	"slices"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// told is the journal of a story as it should be.
var told = []fakeas.Entry{
	{Operation: fakeas.Metadata, Status: 200, Outcome: fakeas.OK},
	{Operation: fakeas.DeviceAuthorization, Status: 200, Outcome: fakeas.OK},
	{Operation: fakeas.Poll, Status: 400, Outcome: "authorization_pending"},
	{Operation: fakeas.Poll, Status: 400, Outcome: "authorization_pending"},
	{Operation: fakeas.Page, Status: 200, Outcome: "approved"},
	{Operation: fakeas.Poll, Status: 400, Outcome: "authorization_pending"},
	{Operation: fakeas.Poll, Status: 200, Outcome: fakeas.OK},
	{Operation: fakeas.ListNotes, Status: 200, Outcome: fakeas.OK},
	{Operation: fakeas.ListNotes, Status: 200, Outcome: fakeas.OK},
	{Operation: fakeas.CreateNote, Status: 403, Outcome: "insufficient_scope"},
	{Operation: fakeas.DeviceAuthorization, Status: 200, Outcome: fakeas.OK},
	{Operation: fakeas.Poll, Status: 200, Outcome: fakeas.OK},
	{Operation: fakeas.CreateNote, Status: 201, Outcome: fakeas.OK},
}

func TestLinesOfTheJournal(t *testing.T) {
	want := []string{
		"metadata              200  ok",
		"device_authorization  200  ok",
		"poll                  400  authorization_pending, 3 times",
		"poll                  200  ok",
		"GET /notes            200  ok",
		"GET /notes            200  ok",
		"POST /notes           403  insufficient_scope",
		"device_authorization  200  ok",
		"poll                  200  ok",
		"POST /notes           201  ok",
	}
	if got := lines(told); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWhatHappensTooOftenOrNotAtAllIsNoticed(t *testing.T) {
	if wrong := failed(counts(told, "device", 1)); len(wrong) > 0 {
		t.Errorf("the story as it should be: %v", wrong)
	}
	for starts, want := range map[int]int{0: 1, 2: 1} {
		if wrong := failed(counts(told, "device", starts)); len(wrong) != want {
			t.Errorf("handler started %d times: %v", starts, wrong)
		}
	}
	for n, entry := range told {
		counted := entry.Operation != fakeas.Metadata && entry.Operation != fakeas.Poll && entry.Operation != fakeas.Page
		twice := slices.Insert(slices.Clone(told), n, entry)
		never := slices.Delete(slices.Clone(told), n, n+1)
		for _, journal := range [][]fakeas.Entry{twice, never} {
			if wrong := failed(counts(journal, "device", 1)); (len(wrong) > 0) != counted {
				t.Errorf("%s %d in a journal of %d: %v", entry.Operation, entry.Status, len(journal), wrong)
			}
		}
	}
}
