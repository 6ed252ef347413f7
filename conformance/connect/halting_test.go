package connect_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
)

// halting is the connect page where a story can keep a browser for as long as it needs that. Without, whatever is faster on a
// busy machine decides where the browser is.
func (o *office) halting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		slow := o.slows.Load()
		if slow == nil || r.Method != http.MethodPost {
			next.ServeHTTP(&halted{w, o}, r)
			return
		}
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		slow.came <- struct{}{}
		select {
		case <-slow.answered:
		case <-r.Context().Done(): // the browser has sent it again
			return
		}
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()) // the browser may be gone
	})
}

// halted leaves out of a response that the page is to be loaded again, where none is.
type halted struct {
	http.ResponseWriter
	office *office
}

func (h *halted) WriteHeader(status int) {
	if h.office.still.Load() {
		h.Header().Del("Refresh")
	}
	h.ResponseWriter.WriteHeader(status)
}

// slowForms are forms that come to something at once, and have their answers later.
type slowForms struct {
	came     chan struct{} // one for each that has come to something
	answered chan struct{} // closed when they are answered
}

// slowsForms has forms answered only when answer is called. Came has something for each that the office has taken.
func (o *office) slowsForms() (came <-chan struct{}, answer func()) {
	slow := &slowForms{make(chan struct{}, 10), make(chan struct{})}
	o.slows.Store(slow)
	return slow.came, func() { close(slow.answered) }
}
