package hostcheck

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"
)

// The adapter protocol lets a host, or a small program around it, take part in
// a scenario: learn what to do, report what the person would see, and be told
// what the person does. It is JSON over HTTP on a loopback address. Paths are
// relative to the control endpoint, which has an unguessable part:
//
//	GET  task?hooks=shown,opened,outcome   the [Task]; hooks names what will be reported
//	POST shown                             a [Shown]; answered with a [Dialog]
//	GET  press?dialog=ID                   answered with a [Press] when the person acts
//	POST opened                            an [Opened]
//	POST outcome                           an [Outcome]
//
// All of it is optional. A requirement that shows in a user interface alone is
// SKIPPED for a host without the hook for it; one that announces a hook and
// then does not report fails.

// The hooks.
const (
	HookShown   = "shown"
	HookOpened  = "opened"
	HookOutcome = "outcome"
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
}

// Dialog names what was shown, for the request for a [Press].
type Dialog struct {
	Dialog string `json:"dialog"`
}

// Press is what the person does in a dialog: accept, decline, cancel; or
// nothing, which means that the dialog is left alone for good.
type Press struct {
	Action string `json:"action"`
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

// A dialog is something the host showed.
type dialog struct {
	Shown
	at     time.Duration
	event  int
	prompt *prompt // nil if it belongs to none
	asked  bool    // whether the host wants to know what is pressed
}

// An opening is a URL that the host opened.
type opening struct {
	Opened
	at    time.Duration
	event int
}

// maxReports bounds the reports of one scenario.
const maxReports = 500

var errReports = errors.New("too many reports, or too late")

// show takes what the host shows.
func (st *stage) show(s Shown) (*dialog, int, error) {
	d := &dialog{Shown: s, at: st.now()}
	d.event = st.note(0, "shown: "+excerpt(encode(s), 2048))
	st.guard.Lock()
	defer st.guard.Unlock()
	if len(st.dialogs) >= maxReports || st.closed {
		return nil, 0, errReports
	}
	st.hooks[HookShown] = true
	st.dialogs = append(st.dialogs, d)
	for _, p := range st.prompts {
		if p == nil || p.issued == 0 && p.flow == nil {
			continue
		}
		if (p.url != "" && p.mode == "url" && s.URL == p.url) || (p.mode != "url" && s.URL == "" && s.Message == p.message) {
			d.prompt = p
		}
	}
	if d.prompt == nil {
		// Shown without its URL, or not in full: the message has the code.
		for _, p := range st.prompts {
			if p != nil && p.flow != nil && strings.Contains(s.Message, p.code) {
				d.prompt = p
			}
		}
	}
	if d.prompt != nil {
		d.prompt.dialogs = append(d.prompt.dialogs, d)
	}
	st.step()
	return d, len(st.dialogs) - 1, nil
}

// pressed waits until the person acts in a dialog. It returns the empty string
// if the scenario ended before.
func (st *stage) presses(d *dialog) string {
	st.guard.Lock()
	p := d.prompt
	d.asked = true
	st.guard.Unlock()
	if p == nil {
		st.sleep(time.Second)
		return "cancel" // a dialog that no prompt asked for
	}
	if p.press == "" {
		return "nothing"
	}
	if !st.sleep(d.at + p.after - st.now()) {
		return ""
	}
	st.guard.Lock()
	if p.pressed == 0 && !st.closed {
		p.pressed = st.record.now()
	}
	st.step()
	st.guard.Unlock()
	st.note(0, "the person presses "+p.press)
	return p.press
}

// opens takes that the host opened a URL.
func (st *stage) opens(o Opened) error {
	event := st.note(0, "opened: "+excerpt(encode(o), 1024))
	st.guard.Lock()
	defer st.guard.Unlock()
	if len(st.openings) >= maxReports || st.closed {
		return errReports
	}
	st.hooks[HookOpened] = true
	st.openings = append(st.openings, opening{o, st.record.now(), event})
	st.step()
	return nil
}

// ends takes what a call came to.
func (st *stage) ends(o Outcome) error {
	st.note(0, "outcome: "+excerpt(encode(o), 2048))
	st.guard.Lock()
	defer st.guard.Unlock()
	if len(st.outcomes[o.Call]) >= maxReports || len(st.outcomes) >= maxReports || st.closed {
		return errReports
	}
	st.hooks[HookOutcome] = true
	st.outcomes[o.Call] = append(st.outcomes[o.Call], o)
	st.step()
	return nil
}

// control serves the adapter protocol for one stage.
func (st *stage) control(w http.ResponseWriter, r *http.Request, path string) {
	switch r.Method + " " + path {
	case "GET task":
		for name := range strings.SplitSeq(r.URL.Query().Get("hooks"), ",") {
			if name == HookShown || name == HookOpened || name == HookOutcome {
				st.guard.Lock()
				st.hooks[name] = true
				st.guard.Unlock()
			}
		}
		reply(w, st.task)
	case "POST shown":
		var s Shown
		if !read(w, r, &s) {
			return
		}
		_, n, err := st.show(s)
		if err != nil {
			http.Error(w, err.Error(), http.StatusTooManyRequests)
			return
		}
		reply(w, Dialog{dialogName(n)})
	case "GET press":
		d := st.dialog(r.URL.Query().Get("dialog"))
		if d == nil {
			http.Error(w, "no such dialog", http.StatusNotFound)
			return
		}
		action := st.presses(d)
		if action == "" {
			http.Error(w, "the scenario is over", http.StatusGone)
			return
		}
		reply(w, Press{action})
	case "POST opened":
		var o Opened
		if read(w, r, &o) {
			done(w, st.opens(o))
		}
	case "POST outcome":
		var o Outcome
		if read(w, r, &o) {
			done(w, st.ends(o))
		}
	default:
		http.NotFound(w, r)
	}
}

func dialogName(n int) string { return "dialog-" + string(encode(n)) }

func (st *stage) dialog(name string) *dialog {
	st.guard.Lock()
	defer st.guard.Unlock()
	for n, d := range st.dialogs {
		if dialogName(n) == name {
			return d
		}
	}
	return nil
}

// read decodes a bounded body; it answers the request itself if that fails.
func read(w http.ResponseWriter, r *http.Request, v any) bool {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxShown)).Decode(v); err != nil {
		http.Error(w, "not the JSON that is expected here", http.StatusBadRequest)
		return false
	}
	return true
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Write(encode(v))
}

func done(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusTooManyRequests)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
