package hostcheck

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// A person is who the prompts are for: what the host shows them, what they do about
// it, and what else is reported of the host's side. Its fields are guarded by the
// latch once the host runs.
type person struct {
	*latch
	record   *wire.Record
	name     string // of the scenario
	canary   string // the base of the URLs that prompts carry
	redirect string // a URL of the server that leads to an icon of the canary
	guided   bool   // a person in the flesh does the task, and has no time-outs

	prompts  []*prompt
	hooks    map[string]bool // what the host's adapter reports
	dialogs  []*dialog
	openings []opening
	visits   []visit
	outcomes map[string][]Outcome // by the ID of the call
}

func newPerson(r *wire.Record, l *latch, name string) *person {
	return &person{record: r, latch: l, name: name, hooks: make(map[string]bool), outcomes: make(map[string][]Outcome)}
}

// A dialog is something the host showed.
type dialog struct {
	Shown
	at     time.Duration
	event  int
	prompt string // the ID of the prompt; empty if it belongs to none
}

// An opening is a URL that the host opened.
type opening struct {
	Opened
	at    time.Duration
	event int
}

// A visit is a request to the canary.
type visit struct {
	method, path string
	prompt       string // the ID of the prompt; empty if it is for none in particular
	at           time.Duration
	event        int
}

// maxReports bounds the reports of one scenario.
const maxReports = 500

// prompt makes a prompt for a page of the canary. Its message has a code, and
// a URL that is not to be clicked.
func (h *person) prompt(press string, after time.Duration) *prompt {
	h.guard.Lock()
	defer h.guard.Unlock()
	n := len(h.prompts) + 1
	p := &prompt{
		id: fmt.Sprintf("%s-%d", h.name, n), mode: "url", press: press, after: after, guided: h.guided,
		code: fmt.Sprintf("HCK-%03d-%03d", n, (n*347+101)%1000),
	}
	p.url = h.canary + "/sign-in?p=" + url.QueryEscape(p.id) + "&back=%2Fnotes%3Fq%3Dtea%26cake"
	p.message = fmt.Sprintf("Sign in to the notebook with the code %s. Help is at https://help.example.org/codes", p.code)
	h.prompts = append(h.prompts, p)
	return p
}

// find returns a prompt by its ID. The caller holds guard.
func (h *person) promptOf(id string) *prompt {
	for _, p := range h.prompts {
		if p.id == id {
			return p
		}
	}
	return nil
}

// hasHook says whether the host reports a kind of thing.
func (h *person) hasHook(name string) bool {
	h.guard.Lock()
	defer h.guard.Unlock()
	return h.hooks[name]
}

// willReport takes that the host will report a kind of thing, if there is one.
func (h *person) willReport(name string) {
	if slices.Contains([]string{HookShown, HookOpened, HookOutcome, HookEntries}, name) {
		h.guard.Lock()
		h.hooks[name] = true
		h.guard.Unlock()
	}
}

// show takes what the host shows.
func (h *person) show(s Shown) (int, error) {
	d := &dialog{Shown: s, at: h.record.Now()}
	d.event = h.record.Note(0, "shown: "+wire.Excerpt(wire.Encode(s), 2048))
	h.guard.Lock()
	defer h.guard.Unlock()
	if len(h.dialogs) >= maxReports || h.closed {
		return 0, errReports
	}
	h.hooks[HookShown] = true
	h.dialogs = append(h.dialogs, d)
	var of *prompt
	for _, p := range h.prompts {
		if p.flow == nil {
			continue // not issued
		}
		if (p.url != "" && p.mode == "url" && s.URL == p.url) || (p.mode != "url" && s.URL == "" && s.Message == p.message) {
			of = p
		}
	}
	if of == nil {
		// Shown without its URL, or not in full: the message has the code.
		for _, p := range h.prompts {
			if p.flow != nil && strings.Contains(s.Message, p.code) {
				of = p
			}
		}
	}
	if of != nil {
		d.prompt = of.id
		of.dialogs = append(of.dialogs, d)
	}
	h.step()
	return len(h.dialogs) - 1, nil
}

// presses waits until the person acts in a dialog. There is no action if the context
// ended before.
func (h *person) presses(ctx context.Context, d *dialog) Press {
	h.guard.Lock()
	p := h.promptOf(d.prompt)
	h.guard.Unlock()
	if p == nil {
		sleep(ctx, time.Second)
		return Press{Action: "cancel"} // a dialog that no prompt asked for
	}
	if p.press == "" {
		return Press{Action: "nothing"}
	}
	if !sleep(ctx, d.at+p.after-h.record.Now()) {
		return Press{}
	}
	press, what := Press{Action: p.press}, "the person presses "+p.press
	h.guard.Lock()
	if p.pressed == 0 && !h.closed {
		p.pressed = h.record.Now()
	}
	if len(p.entries) > 0 && h.hooks[HookEntries] && !h.closed {
		press.Entries = p.entries[min(len(p.entered), len(p.entries)-1)]
		if len(p.entered) < len(p.entries) {
			p.entered = append(p.entered, press.Entries)
		}
		what = fmt.Sprintf("the person enters %s, and presses %s", wire.Encode(press.Entries), p.press)
	}
	h.step()
	h.guard.Unlock()
	h.record.Note(0, what)
	return press
}

// opens takes that the host opened a URL.
func (h *person) opens(o Opened) error {
	event := h.record.Note(0, "opened: "+wire.Excerpt(wire.Encode(o), 1024))
	h.guard.Lock()
	defer h.guard.Unlock()
	if len(h.openings) >= maxReports || h.closed {
		return errReports
	}
	h.hooks[HookOpened] = true
	h.openings = append(h.openings, opening{o, h.record.Now(), event})
	h.step()
	return nil
}

// ends takes what a call came to.
func (h *person) ends(o Outcome) error {
	h.record.Note(0, "outcome: "+wire.Excerpt(wire.Encode(o), 2048))
	h.guard.Lock()
	defer h.guard.Unlock()
	if len(h.outcomes[o.Call]) >= maxReports || len(h.outcomes) >= maxReports || h.closed {
		return errReports
	}
	h.hooks[HookOutcome] = true
	h.outcomes[o.Call] = append(h.outcomes[o.Call], o)
	h.step()
	return nil
}

// outcome returns what the host says a call came to.
func (h *person) outcome(id string) (Outcome, bool) {
	h.guard.Lock()
	defer h.guard.Unlock()
	list := h.outcomes[id]
	if len(list) == 0 {
		return Outcome{}, false
	}
	return list[len(list)-1], true
}

// Visit takes a request to the canary; it is part of [wire.Handler].
func (h *person) Visit(r *http.Request) {
	event := h.record.Visited(r.Method + " " + r.URL.String())
	h.guard.Lock()
	defer h.guard.Unlock()
	if len(h.visits) >= maxReports || h.closed {
		return
	}
	at := visit{method: r.Method, path: r.URL.Path, at: h.record.Now(), event: event}
	if p := h.promptOf(r.URL.Query().Get("p")); p != nil {
		at.prompt = p.id
		if h.guided && p.signedIn == 0 {
			p.signedIn = at.at // the person is there
		}
	}
	h.visits = append(h.visits, at)
	h.step()
}

// dialog returns a dialog by the name that it was given.
func (h *person) dialog(name string) *dialog {
	h.guard.Lock()
	defer h.guard.Unlock()
	for n, d := range h.dialogs {
		if dialogName(n) == name {
			return d
		}
	}
	return nil
}
