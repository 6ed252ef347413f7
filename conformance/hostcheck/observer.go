package hostcheck

import (
	"slices"
	"sync"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// An observer keeps what is found of the requirements that a scenario decides. Its
// methods may be called concurrently.
type observer struct {
	record  *wire.Record
	decides []string // the IDs of the requirements

	mu       sync.Mutex
	findings map[string][]finding
	watched  map[string]string // what the person who watches says, by requirement: yes or no
	blocked  string            // why the conversation could not go on
	excused  bool              // and that is no fault: the host never said that it could
}

// A finding is a verdict on one occasion. A check is as bad as its worst.
type finding struct {
	mark   mark
	text   string
	events []int
}

// A mark is what an occasion came to, from the worst to what says least.
type mark int

const (
	failed mark = iota
	passed
	noted    // nothing to judge: told as INFO
	needless // the host never said that it could: told as SKIPPED
)

// newObserver is for the requirements with these IDs, and for those that are judged
// everywhere, as far as they bind in that protocol and transport.
func newObserver(r *wire.Record, ids []string, protocol, transport string) *observer {
	o := &observer{record: r, findings: make(map[string][]finding), watched: make(map[string]string)}
	for _, r := range catalogue {
		if r.Everywhere && !slices.Contains(ids, r.ID) {
			ids = append(slices.Clip(ids), r.ID)
		}
	}
	for _, id := range ids {
		if byID(id).appliesTo(protocol, transport) {
			o.decides = append(o.decides, id)
		}
	}
	return o
}

// find records a finding, if the scenario decides that requirement.
func (o *observer) find(id string, m mark, text string, events ...int) {
	if !slices.Contains(o.decides, id) {
		return
	}
	o.mu.Lock()
	o.findings[id] = append(o.findings[id], finding{m, text, events})
	o.mu.Unlock()
	o.record.Decided(id, events)
}

// judge records a pass or, with the text, a failure.
func (o *observer) judge(id string, ok bool, text string, events ...int) {
	if ok {
		o.find(id, passed, "", events...)
		return
	}
	o.find(id, failed, text, events...)
}

// block says why the conversation cannot go on; the first reason counts.
func (o *observer) block(why string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.blocked == "" {
		o.blocked = why
	}
}

// excuse says why the conversation cannot go on, where that is no fault of the host:
// it did not declare what comes next. As in the official suite, what cannot be
// decided for that reason is skipped.
func (o *observer) excuse(why string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.blocked == "" {
		o.blocked, o.excused = why, true
	}
}

// reason is why the conversation did not go on, and whether that is no fault.
func (o *observer) reason() (why string, excused bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.blocked, o.excused
}

// watch keeps what the person who watches says of a requirement.
func (o *observer) watch(id, answer string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.watched[id] = answer
}

// says returns what the person who watches says of a requirement.
func (o *observer) says(id string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.watched[id]
}

// found returns all that was found of a requirement.
func (o *observer) found(id string) []finding {
	o.mu.Lock()
	defer o.mu.Unlock()
	found := slices.Clone(o.findings[id])
	switch o.watched[id] {
	case "yes":
		found = append(found, finding{mark: passed})
	case "no":
		found = append(found, finding{mark: failed, text: "the person who watched says that it is not so"})
	}
	return found
}
