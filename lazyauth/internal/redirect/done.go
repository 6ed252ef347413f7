package redirect

import (
	"net/http"
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
			a.show(w, v, http.StatusOK)
			return
		}
	}
	if a.outcome.Failed {
		a.show(w, unfinished, http.StatusOK)
		return
	}
	a.show(w, signedIn, http.StatusOK)
}

// viewOf says how the last page tells what came of what a browser brought, unless it was accepted.
var viewOf = map[verdict]view{
	refused: again, lost: again, denied: refusedByPerson, failed: unfinished, late: ended,
}
