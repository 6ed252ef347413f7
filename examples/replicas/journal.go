package main

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A journal is what the authorization server and the API have seen of the replicas, and what of it those have
// written down. It is what the figures are taken from: a replica that is killed tells nothing.
type journal struct {
	alive func(name string) bool // whether a process runs, and has not been stopped since
	stood func(name string) bool // whether one has been

	mu        sync.Mutex
	presented map[string]presentation // refresh tokens and authorization codes, as told has them
	polling   map[string]string       // device codes, while a poll is answered, and by whom
	wrote     map[string]bool         // refresh tokens of grants and user codes whose write has returned, as told has them
	came      map[string]bool         // and refresh tokens that a sign-in under way has brought
	people    map[string]*holding
	askers    map[string]asker    // by the user codes that they were given
	notes     map[string][]string // by whom each was added

	concurrent []string // how a credential was presented by two processes that live
	lost       []string // what was lost of what the replicas had written down
	late       int      // credentials that were on their way for longer than their senders waited
	again      int      // credentials presented once more, after whoever did before was dead
	unwritten  int      // grants that were given to a process which died before it had written them down
	woken      int      // people asked by a process that had stood still, and did not have its store's answers, or after one
	begun      sync.Map // slow notes, by their texts
	reprompts  int      // of others who had signed in, or were about to
}

// A presentation is the last one of a credential that is good once.
type presentation struct {
	whose, by string
	at        time.Time
}

// An asker is a process that has begun a sign-in.
type asker struct {
	by    string
	at    time.Time
	stood bool // it has stood still before that
}

// A holding is what the server has given for a person, and what these were asked to do for it.
type holding struct {
	refresh string          // the last, as told has it; empty: there was none yet
	to      string          // who got it
	doubts  int             // credentials of theirs that were presented once more: that may end their grant
	code    string          // that they were shown last
	codes   map[string]bool // that they were shown
	history []string
}

// clock is how histories have times.
const clock = "04:05.000 "

func (h *holding) note(format string, args ...any) {
	h.history = append(h.history, time.Now().Format(clock)+fmt.Sprintf(format, args...))
}

func newJournal(alive, stood func(string) bool) *journal {
	return &journal{
		alive: alive, stood: stood, presented: map[string]presentation{}, polling: map[string]string{}, wrote: map[string]bool{}, came: map[string]bool{},
		people: map[string]*holding{}, askers: map[string]asker{}, notes: map[string][]string{},
	}
}

// of returns what a person has. mu is held.
func (j *journal) of(person string) *holding {
	h := j.people[person]
	if h == nil {
		h = &holding{codes: map[string]bool{}}
		j.people[person] = h
	}
	return h
}

// presents notes that a process presents a credential, and returns what is to be called when it has its
// answer.
func (j *journal) presents(by string, late bool, form url.Values) (answered func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if code := form.Get("device_code"); code != "" {
		if late {
			j.late++
			return func() {}
		}
		return j.polls(by, told(code))
	}
	credential := form.Get("refresh_token") + form.Get("code")
	if credential == "" {
		return func() {}
	}
	sum := told(credential)
	last, isAgain := j.presented[sum]
	for person, h := range j.people {
		if h.refresh == sum {
			last.whose = person
		}
	}
	switch {
	case !isAgain:
	case last.by != by && j.alive(last.by) && !late:
		j.concurrent = append(j.concurrent, fmt.Sprintf("a %s by %s, %v ago, and by %s", form.Get("grant_type"), last.by, time.Since(last.at).Round(time.Millisecond), by))
	default:
		j.again++
		j.of(last.whose).doubts++
	}
	if h := j.people[last.whose]; h != nil {
		h.note("%.4s is presented by %s", sum, by)
	}
	if late { // whoever sent it has given it up
		j.late++
		by = ""
	}
	j.presented[sum] = presentation{last.whose, by, time.Now()}
	return func() {}
}

// polls is presents for a device code, which may be presented as often as its interval allows. mu is held.
func (j *journal) polls(by, sum string) (answered func()) {
	if other := j.polling[sum]; other != "" && other != by && j.alive(other) {
		j.concurrent = append(j.concurrent, fmt.Sprintf("a device code by %s, whose poll is being answered, and by %s", other, by))
	}
	j.polling[sum] = by
	return func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		if j.polling[sum] == by {
			delete(j.polling, sum)
		}
	}
}

// begins notes that a process begins a sign-in.
func (j *journal) begins(code, by string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.askers[code] = asker{by, time.Now(), j.stood(by)}
}

// issues notes a refresh token that a process is given.
func (j *journal) issues(person, refresh, to string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	h := j.of(person)
	h.refresh, h.to = told(refresh), to
	h.note("%.4s is issued to %s", h.refresh, to)
}

// writes notes that a replica has written down a refresh token of a grant or a user code, as told has it, or the token of a
// sign-in that has come.
func (j *journal) writes(what string, comes bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if comes {
		j.came[what] = true
	} else {
		j.wrote[what] = true
	}
	for _, h := range j.people {
		if h.refresh == what {
			h.note("%.4s is written, on its way: %v", what, comes)
		}
	}
}

// prompted notes that a person is shown a code, and reports whether it is the first time. They are asked once more only
// if a credential of theirs was in doubt: one that was presented once more, or that was issued to a process which
// died before it had written it down.
func (j *journal) prompted(person, code string) (first bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	h := j.of(person)
	if h.codes[code] {
		return false
	}
	h.codes[code] = true
	if h.code == "" {
		h.code = code
	}
	asked := j.askers[code]
	h.note("is shown %s, which %s has asked for, after it has stood still: %v", code, asked.by, asked.stood)
	if len(h.codes) == 1 {
		return true
	}
	n := len(j.lost)
	withoutStore := h.refresh == "" && (!j.wrote[told(h.code)] || j.askers[h.code].stood) // of the one before
	if asked.stood || withoutStore {
		j.woken++
	} else {
		j.reprompts++
	}
	switch {
	case asked.stood, withoutStore, h.doubts > 0:
	case h.refresh == "":
		j.lost = append(j.lost, "a sign-in of "+person)
	case j.wrote[h.refresh]:
		j.lost = append(j.lost, fmt.Sprintf("the grant of %s, which %s was given and wrote down", person, h.to))
	case j.came[h.refresh] && !j.stood(h.to): // one that has may find that it is too late to make sure whose it is
		j.lost = append(j.lost, fmt.Sprintf("the sign-in of %s, whose token %s was given and wrote down", person, h.to))
	case !j.alive(h.to):
		j.unwritten++
	default:
		j.lost = append(j.lost, fmt.Sprintf("the grant of %s, which was given to %s, which lives", person, h.to))
	}
	if len(j.lost) > n {
		j.lost[n] += "\n    " + strings.Join(h.history, "\n    ")
	}
	h.history = nil
	h.doubts, h.refresh, h.to, h.code = 0, "", "", code
	return true
}

// tells what is known of a person who was shown these codes.
func (j *journal) tells(person string, codes ...string) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var lines []string
	for _, code := range codes {
		if a, ok := j.askers[code]; ok {
			lines = append(lines, fmt.Sprintf("%s %s has asked for %s, which is known to be written: %v", a.at.Format(clock), a.by, code, j.wrote[told(code)]))
		}
	}
	return "\n    " + strings.Join(append(lines, j.of(person).history...), "\n    ")
}

// adds notes that a handler has added a note.
func (j *journal) adds(text, by string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.notes[text] = append(j.notes[text], by)
}

// ran returns by whom a handler has added this note.
func (j *journal) ran(text string) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.notes[text]
}

// runs returns how often handlers have run, and how many notes were added more than once.
func (j *journal) runs() (all, double int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, by := range j.notes {
		all += len(by)
		if len(by) > 1 {
			double++
		}
	}
	return all, double
}

// isLate reports whether a request was on its way for longer than its sender waits for an answer.
func isLate(sent string) bool {
	at, err := strconv.ParseInt(sent, 10, 64)
	return err == nil && time.Since(time.UnixMilli(at)) > bound
}
