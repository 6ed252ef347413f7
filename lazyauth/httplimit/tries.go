package httplimit

import (
	"net/http"
	"sync"
	"time"
)

// mostAddresses bounds what is remembered of addresses: twice as many at the most.
const mostAddresses = 8192

// tries are what strangers have tried of late, by address. One of which nothing is known may
// try; more addresses than are remembered can try more often, which other limits bound.
type tries struct {
	perMinute float64

	mu         sync.Mutex
	young, old map[string]*recent // old is what young was when that was full
}

// recent is what one address has tried: it is forgotten evenly.
type recent struct {
	count float64
	at    time.Time
}

func newTries(perMinute int) *tries {
	return &tries{perMinute: float64(perMinute), young: make(map[string]*recent)}
}

// take notes a try, unless there were too many.
func (t *tries) take(address string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.of(address)
	if r.count+1 > t.perMinute {
		return false
	}
	r.count++
	return true
}

// give takes back a try that was none.
func (t *tries) give(address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.of(address)
	r.count = max(0, r.count-1)
}

// of returns what an address has tried by now; t.mu is held.
func (t *tries) of(address string) *recent {
	now := time.Now()
	r := t.young[address]
	if r == nil {
		if r = t.old[address]; r == nil {
			r = &recent{at: now}
		}
		if len(t.young) >= mostAddresses {
			t.young, t.old = make(map[string]*recent), t.young
		}
		t.young[address] = r
	}
	r.count = max(0, r.count-now.Sub(r.at).Minutes()*t.perMinute)
	r.at = now
	return r
}

// Try takes one of the tries that a request's address has in a minute ([Limits].Tries), for
// something that strangers can have this server do: to ask about a bearer token, for one. It
// reports false if there is none left. forgive gives it back, once it is known that it was no
// stranger's: a token turned out to be good.
func (l *Limiter) Try(r *http.Request) (forgive func(), ok bool) {
	address := l.address(r)
	if !l.tries.take(address) {
		return nil, false
	}
	return func() { l.tries.give(address) }, true
}

// Pages returns a handler that stands before pages for browsers, such as a lazyauth.ConnectPage:
// it bounds how often an address is refused there, or led on (with a status of 300 and more: a link that is
// nobody's, an answer of somebody else's), and how often it begins something (by another method than GET and HEAD: a sign-in).
// Whether a request counts shows in its answer, and who has no tries left is turned away whatever they
// ask for: nothing can be learnt of a link that way.
func (l *Limiter) Pages(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		forgive, ok := l.Try(r)
		if !ok {
			busy(w, false, "tries")
			return
		}
		watched := &watched{ResponseWriter: w}
		next.ServeHTTP(watched, r)
		if (r.Method == http.MethodGet || r.Method == http.MethodHead) && watched.status < http.StatusMultipleChoices {
			forgive()
		}
	})
}

// watched has the status of an answer; 0 stands for 200.
type watched struct {
	http.ResponseWriter
	status int
}

// Unwrap is for [http.ResponseController].
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements [http.ResponseWriter].
func (w *watched) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}
