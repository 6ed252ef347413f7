package httplimit_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/httplimit"
)

// asks makes a request from an address, and returns what it is answered with.
func asks(handler http.Handler, method, path, address string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.RemoteAddr = address
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

// What is refused and what begins something counts, by address; what is good does not. With time
// tries come back, evenly.
func TestPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		served := 0
		pages := httplimit.New(&httplimit.Limits{Tries: 6}).Pages(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			served++
			if r.URL.Path == "/unknown" {
				w.WriteHeader(http.StatusForbidden)
			}
		}))
		gets := func(path, address string, want int) {
			t.Helper()
			if w := asks(pages, http.MethodGet, path, address); w.Code != want {
				t.Errorf("%s is answered %d on %s, want %d", address, w.Code, path, want)
			}
		}
		for range 100 {
			gets("/known", "192.0.2.1:1", http.StatusOK)
		}
		for n := range 5 {
			gets("/unknown", "192.0.2.1:"+strconv.Itoa(n), http.StatusForbidden)
		}
		if w := asks(pages, http.MethodPost, "/known", "192.0.2.1:1"); w.Code != http.StatusOK {
			t.Errorf("answered %d", w.Code)
		}
		before := served
		for _, path := range []string{"/known", "/unknown"} { // nothing tells them apart
			w := asks(pages, http.MethodGet, path, "192.0.2.1:1")
			if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "30" || served != before {
				t.Errorf("%s is answered %d, %v", path, w.Code, w.Header())
			}
		}
		gets("/known", "192.0.2.2:1", http.StatusOK) // others
		time.Sleep(10 * time.Second)
		gets("/unknown", "192.0.2.1:1", http.StatusForbidden)
		gets("/unknown", "192.0.2.1:1", http.StatusTooManyRequests)
		time.Sleep(time.Hour)
		for range 6 {
			gets("/unknown", "192.0.2.1:1", http.StatusForbidden)
		}
		gets("/unknown", "192.0.2.1:1", http.StatusTooManyRequests)
	})
}

// Those who come at once share the tries that there are.
func TestPages_AtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := make(chan struct{})
		inside := 0
		pages := httplimit.New(&httplimit.Limits{Tries: 6}).Pages(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			inside++
			<-refused
			w.WriteHeader(http.StatusNotFound)
		}))
		answers := make(chan int)
		for range 50 {
			go func() { answers <- asks(pages, http.MethodGet, "/", "[2001:db8::1]:1").Code }()
			synctest.Wait()
			select {
			case code := <-answers:
				if code != http.StatusTooManyRequests {
					t.Errorf("answered %d", code)
				}
			default:
			}
		}
		if inside != 6 {
			t.Errorf("%d were let in", inside)
		}
		close(refused)
		for range inside {
			<-answers
		}
	})
}

// Of more addresses than are remembered each can try, and what is remembered of all is bounded.
func TestPages_ManyAddresses(t *testing.T) {
	limiter := httplimit.New(&httplimit.Limits{Tries: 1})
	for n := range 100_000 {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = "10." + strconv.Itoa(n>>16) + "." + strconv.Itoa(n>>8&255) + "." + strconv.Itoa(n&255) + ":1"
		if _, ok := limiter.Try(r); !ok {
			t.Fatalf("%s has no try", r.RemoteAddr)
		}
	}
	if n := limiter.Remembered(); n > 16384 {
		t.Errorf("%d addresses are remembered", n)
	}
}

// A try that was none is given back.
func TestTry_Forgiven(t *testing.T) {
	limiter := httplimit.New(&httplimit.Limits{Tries: 1})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for range 10 {
		forgive, ok := limiter.Try(r)
		if !ok {
			t.Fatal("there is none left")
		}
		forgive()
	}
	if _, ok := limiter.Try(r); !ok {
		t.Error("there is none left")
	}
	if _, ok := limiter.Try(r); ok {
		t.Error("one too many")
	}
}
