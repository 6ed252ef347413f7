package redirect

import (
	"maps"
	"net/http"
	"slices"
	"time"
)

// doneTime is how long the last page is held back until it can say how the sign-in ended. After
// that it says that it is under way, and loads itself again.
const doneTime = 4 * time.Second

// done says how the sign-in ended that this browser brought an answer for. Others are told
// nothing: the account is nobody else's business.
func (a *Authorization) done(w http.ResponseWriter, r *http.Request) {
	var s *submission
	if c, err := r.Cookie(a.ticket); err == nil {
		a.mu.Lock()
		s = a.tickets[c.Value]
		a.mu.Unlock()
	}
	if s == nil {
		a.show(w, nothing, http.StatusNotFound)
		return
	}
	defer keep(r)()
	timer := time.NewTimer(doneTime)
	defer timer.Stop()
	for _, step := range []<-chan struct{}{s.settled, a.finished} {
		select {
		case <-step:
		case <-timer.C:
			a.show(w, working, http.StatusOK)
			return
		case <-r.Context().Done():
			return
		}
		if v, ok := viewOf[s.verdict]; ok {
			a.showLast(w, s, v)
			return
		}
	}
	switch {
	case s.verdict == late: // which page that is depends on the outcome
		a.showLast(w, s, ended)
	case a.outcome.Failed:
		a.showLast(w, s, unfinished)
	case a.outcome.ByAnother:
		a.showLast(w, s, already)
	default:
		a.showLast(w, s, signedIn)
	}
}

// showLast writes what came of s, and notes that it was seen.
func (a *Authorization) showLast(w http.ResponseWriter, s *submission, v view) {
	a.show(w, v, http.StatusOK)
	s.looked.Do(func() { close(s.seen) })
}

// owedTime is how long a browser that was sent to the last page has for loading it, where the program
// ends: without that it would say that nothing can be reached.
const owedTime = 2 * time.Second

// awaitLast waits until every browser that was sent to the last page has seen what came of what it
// brought, for owedTime at most.
func (a *Authorization) awaitLast() {
	a.mu.Lock()
	owed := slices.Collect(maps.Values(a.tickets))
	a.mu.Unlock()
	timer := time.NewTimer(owedTime)
	defer timer.Stop()
	for _, s := range owed {
		select {
		case <-s.seen:
		case <-timer.C:
			return
		case <-a.closed:
			return
		}
	}
}

// viewOf says how the last page tells what came of what a browser brought, where that does not depend
// on how the sign-in ended.
var viewOf = map[verdict]view{refused: again, lost: again, denied: refusedByPerson, failed: unfinished}
