package recorded_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
)

// judge says what is wrong with the manners of the server in a conversation, whatever
// came of that.
func judge(t *testing.T, wire []spoken) {
	t.Helper()
	j := &judgement{
		requests: make(map[string]*asked), byToken: make(map[string]*asked),
		dialogs: make(map[string]*elicited), completed: make(map[string]bool),
	}
	for _, s := range wire {
		if s.host {
			j.host(s)
		} else {
			for _, fault := range j.server(s) {
				t.Errorf("after %v: %s: %s", s.at, fault, s.raw)
			}
		}
	}
	for id, r := range j.requests {
		if r.method == "tools/call" && !r.answered {
			t.Errorf("call %s was never answered", id)
		}
	}
}

// A judgement is what a judge remembers of a conversation.
type judgement struct {
	legacy    bool // there was an initialize
	declared  capabilities
	called    bool // there was a tools/call
	requests  map[string]*asked
	byToken   map[string]*asked
	dialogs   map[string]*elicited // server requests
	completed map[string]bool      // elicitation ids
}

// Asked is a request of the host.
type asked struct {
	method    string
	declared  capabilities
	answered  bool
	cancelled bool
	progress  float64       // the last
	reported  time.Duration // when that was
}

// Elicited is a server request.
type elicited struct {
	id       string // elicitationId
	answered bool
	refused  bool
}

func (j *judgement) host(s spoken) {
	switch {
	case s.Method == "":
		if d := j.dialogs[string(s.ID)]; d != nil {
			d.answered, d.refused = true, s.Result.Action != "accept"
		}
	case s.Method == "notifications/cancelled":
		if r := j.requests[string(s.Params.RequestID)]; r != nil && !r.answered {
			r.cancelled = true
		}
	case s.ID != nil:
		r := &asked{method: s.Method}
		switch {
		case s.Method == "initialize":
			j.legacy, j.declared = true, s.Params.Capabilities
		case s.modern():
			r.declared = s.capabilities()
		default:
			r.declared = j.declared
		}
		j.called = j.called || s.Method == "tools/call"
		j.requests[string(s.ID)] = r
		if token := s.token(); token != "" {
			j.byToken[token] = r
		}
	}
}

// server returns what is wrong with a message of the server's.
func (j *judgement) server(s spoken) (faults []string) {
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	wrong(bytes.Contains(s.raw, []byte("-32042")), "error -32042")
	switch s.Method {
	case "":
		r := j.requests[string(s.ID)]
		if r == nil || r.answered {
			wrong(true, "an answer to nothing, or the second")
			return faults
		}
		r.answered = true
		if r.method == "tools/call" {
			faults = append(faults, j.result(r, s)...)
		}
	case "elicitation/create":
		wrong(!j.legacy, "a server request in the newer era")
		wrong(!j.called, "a prompt before the first call")
		faults = append(faults, elicitation(s.Params.elicitationFields, j.declared)...)
		wrong(s.Params.Mode == "url" && s.Params.ElicitationID == "", "no elicitationId")
		wrong(s.Params.Mode == "form" && s.Params.ElicitationID != "", "a form with an elicitationId")
		for _, d := range j.dialogs {
			wrong(d.id != "" && d.id == s.Params.ElicitationID, "the same elicitationId again")
		}
		j.dialogs[string(s.ID)] = &elicited{id: s.Params.ElicitationID}
	case "notifications/elicitation/complete":
		id := s.Params.ElicitationID
		wrong(!j.legacy, "a completion in the newer era")
		wrong(j.completed[id], "completed twice")
		known := false
		for _, d := range j.dialogs {
			if d.id == id && id != "" {
				known = true
				wrong(d.refused, "the completion of what was refused")
			}
		}
		wrong(!known, "the completion of nothing")
		j.completed[id] = true
	case "notifications/cancelled":
		d := j.dialogs[string(s.Params.RequestID)]
		wrong(d == nil || d.answered, "a cancellation of nothing")
	case "notifications/progress":
		r := j.byToken[inJSON(s.Params.ProgressToken)]
		if r == nil {
			wrong(true, "progress of nothing")
			return faults
		}
		wrong(r.answered, "progress after the answer")
		wrong(r.cancelled, "progress after the cancellation")
		wrong(s.Params.Progress <= r.progress, "progress does not increase from %v", r.progress)
		wrong(r.reported != 0 && s.at-r.reported > 10*time.Second, "%v since the last progress", s.at-r.reported)
		r.progress, r.reported = s.Params.Progress, s.at
	case "notifications/subscriptions/acknowledged":
		wrong(j.legacy, "there are no subscriptions in this era")
	default:
		wrong(true, "an unexpected message")
	}
	return faults
}

// result returns what is wrong with the answer to a tool call.
func (j *judgement) result(r *asked, s spoken) (faults []string) {
	wrong := func(bad bool, fault string) {
		if bad {
			faults = append(faults, fault)
		}
	}
	if r.cancelled {
		return nil // the SDK answers all the same
	}
	if s.Error != nil {
		return []string{"a protocol error"}
	}
	wrong(j.legacy && s.Result.ResultType != "", "a resultType in the older era")
	wrong(!j.legacy && s.Result.ResultType != "complete" && s.Result.ResultType != "input_required", "no resultType")
	if s.Result.ResultType == "input_required" {
		wrong(len(s.Result.InputRequests) != 1, "not one prompt")
		wrong(s.Result.RequestState == "", "no state")
		for _, p := range s.Result.InputRequests {
			wrong(p.Method != "elicitation/create", "no elicitation")
			wrong(p.Params.Mode == "url" && p.Params.ElicitationID == "", "no elicitationId")
			wrong(p.Params.Mode == "form" && p.Params.ElicitationID != "", "a form with an elicitationId")
			faults = append(faults, elicitation(p.Params, r.declared)...)
		}
		return faults
	}
	wrong(s.Result.IsError && s.Result.Meta["io.github.lazyauth/reason"] == nil, "no reason")
	wrong(r.declared.Elicitation != nil && world.UserCode.MatchString(s.text()), "a code for the model of a host that has elicitation")
	if !s.Result.IsError {
		for _, d := range j.dialogs {
			wrong(d.id != "" && !d.refused && !j.completed[d.id], "the result comes before the completion")
		}
	}
	return faults
}

// elicitation returns what is wrong with a prompt in either era.
func elicitation(p elicitationFields, declared capabilities) (faults []string) {
	if !declared.declares(p.Mode) {
		faults = append(faults, "the mode was not declared")
	}
	switch p.Mode {
	case "url":
		if !strings.HasPrefix(p.URL, "https://") && !strings.HasPrefix(p.URL, "http://127.0.0.1") {
			faults = append(faults, "no URL that may be opened")
		}
	case "form":
		if p.URL != "" || strings.Contains(p.Message, "://") {
			faults = append(faults, "a form with a link")
		}
	default:
		faults = append(faults, "no mode")
	}
	return faults
}
