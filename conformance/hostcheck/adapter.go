package hostcheck

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// The adapter protocol lets a host, or a small program around it, take part in
// a scenario: learn what to do, report what the person would see, and be told
// what the person does. It is JSON over HTTP on a loopback address. Paths are
// relative to the control endpoint, which has an unguessable part:
//
//	GET  task?hooks=shown,opened,outcome,entries   the [Task]; hooks names what will be reported
//	POST shown                                     a [Shown]; answered with a [Dialog]
//	GET  press?dialog=ID                           answered with a [Press] when the person acts
//	POST opened                                    an [Opened]
//	POST outcome                                   an [Outcome]
//
// With does=resources,prompts in the query, a host says that it can be told to make
// requests for these, too, and not only to call tools; they are in the task that it is
// answered with, and not in that of the environment. With listed among them it says that
// it calls no tool that its list does not have, whatever it is told: the task then has
// calls of tools that are not to be in a list. With maximum it says that it keeps to the
// MaxMs of a [Call].
//
// All of it is optional. A requirement that shows in a user interface alone is
// SKIPPED for a host without the hook for it; one that announces a hook and
// then does not report fails.

// The hooks.
const (
	HookShown   = "shown"
	HookOpened  = "opened"
	HookOutcome = "outcome"
	// HookEntries says that what a [Press] enters is put into the form, and that
	// [Shown] has what stands in its fields.
	HookEntries = "entries"
)

// Shown is what a host shows of a prompt, at the moment it shows it. What the
// host does not show stays empty.
type Shown struct {
	Mode    string `json:"mode"`    // "url" or "form"
	Server  string `json:"server"`  // the server that is said to ask
	Message string `json:"message"` // the message, as it can be read
	URL     string `json:"url"`     // the URL, as it can be read
	Domain  string `json:"domain"`  // the domain where the URL leads, as it can be read
	// Highlight is the part of the URL that stands out.
	Highlight string `json:"highlight"`
	// Warning is a warning about the URL.
	Warning string `json:"warning"`
	// Actions are what the person can answer: accept, decline, cancel.
	Actions []string `json:"actions"`
	// Controls are what the person can do about the call meanwhile: retry, cancel.
	Controls []string `json:"controls"`
	// Links are the URLs, other than URL, that can be clicked.
	Links []string `json:"links"`
	// Copyable are the texts that can be copied with one action.
	Copyable []string `json:"copyable"`
	// Fields are what stands in the fields of a form, by name, before the person
	// enters anything. An empty field may be left out.
	Fields map[string]any `json:"fields,omitempty"`
}

// Dialog names what was shown, for the request for a [Press].
type Dialog struct {
	Dialog string `json:"dialog"`
}

// Press is what the person does in a dialog: accept, decline, cancel; or
// nothing, which means that the dialog is left alone for good.
//
// If it has entries, the person enters these into the form before: they replace what
// stands there, and the rest stays. If the form cannot be sent like that, the host
// asks for the next press.
type Press struct {
	Action  string         `json:"action"`
	Entries map[string]any `json:"entries,omitempty"` // by the name of the field
}

// Opened says that the host handed a URL to something that shows it.
type Opened struct {
	URL string `json:"url"`
	// In is "browser" for the person's own browser, "isolated" for a view that
	// the host cannot look into, "embedded" for one that it can.
	In string `json:"in"`
}

// Outcome is what a call came to, as the model gets to know it. Text may be
// sent on the way too, for whatever else becomes part of what the model reads.
type Outcome struct {
	Call  string `json:"call"`            // the ID of the [Call]
	Text  string `json:"text"`            // the text of the result
	Error bool   `json:"error,omitempty"` // the call failed, or its result was an error
}

var errReports = errors.New("too many reports, or too late")

// Control serves the adapter protocol; it is part of [wire.Handler].
func (s *session) Control(w http.ResponseWriter, r *http.Request, path string) {
	switch r.Method + " " + path {
	case "GET task":
		for name := range strings.SplitSeq(r.URL.Query().Get("hooks"), ",") {
			s.willReport(name)
		}
		s.willDo(strings.Split(r.URL.Query().Get("does"), ","))
		s.guard.Lock()
		task := s.task
		s.guard.Unlock()
		reply(w, task)
	case "POST shown":
		var shown Shown
		if !read(w, r, &shown) {
			return
		}
		n, err := s.show(shown)
		if err != nil {
			http.Error(w, err.Error(), http.StatusTooManyRequests)
			return
		}
		reply(w, Dialog{dialogName(n)})
	case "GET press":
		d := s.dialog(r.URL.Query().Get("dialog"))
		if d == nil {
			http.Error(w, "no such dialog", http.StatusNotFound)
			return
		}
		press := s.presses(s.ctx, d)
		if press.Action == "" {
			http.Error(w, "the scenario is over", http.StatusGone)
			return
		}
		reply(w, press)
	case "POST opened":
		var o Opened
		if read(w, r, &o) {
			done(w, s.opens(o))
		}
	case "POST outcome":
		var o Outcome
		if read(w, r, &o) {
			done(w, s.ends(o))
		}
	default:
		http.NotFound(w, r)
	}
}

func dialogName(n int) string { return "dialog-" + string(wire.Encode(n)) }

// maxReport is more than any report needs, in bytes.
const maxReport = 64 << 10

// read decodes a bounded body, which is one JSON object; it answers the request itself if it is not.
func read(w http.ResponseWriter, r *http.Request, v any) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReport))
	if err != nil || !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")) || json.Unmarshal(body, v) != nil {
		http.Error(w, "not the JSON that is expected here", http.StatusBadRequest)
		return false
	}
	return true
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Write(wire.Encode(v))
}

func done(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusTooManyRequests)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
