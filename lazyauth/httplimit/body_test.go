package httplimit_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/httplimit"
	"github.com/modelcontextprotocol/go-sdk/auth"
)

// A reading room is a handler that reads what comes, and keeps it until it may go on.
type readingRoom struct {
	t    *testing.T
	url  string
	read chan error
	on   chan struct{}
}

func newReadingRoom(t *testing.T, limits *httplimit.Limits) *readingRoom {
	r := &readingRoom{t: t, read: make(chan error), on: make(chan struct{})}
	verify := func(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
		return &auth.TokenInfo{UserID: token, Expiration: time.Now().Add(time.Hour)}, nil
	}
	web := httptest.NewServer(auth.RequireBearerToken(verify, nil)(httplimit.New(limits).ByPerson(nil,
		http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
			_, err := io.Copy(io.Discard, req.Body)
			r.read <- err
			<-r.on
		}))))
	t.Cleanup(web.Close)
	r.url = web.URL
	return r
}

// sends has somebody send so many bytes, announced or not. The status comes once it is answered.
func (r *readingRoom) sends(who string, n int, announced bool) <-chan int {
	body := io.Reader(bytes.NewReader(bytes.Repeat([]byte("x"), n)))
	if !announced {
		body = io.MultiReader(body)
	}
	return r.sendsBody(who, body)
}

func (r *readingRoom) sendsText(who, text string) <-chan int {
	return r.sendsBody(who, strings.NewReader(text))
}

func (r *readingRoom) sendsBody(who string, body io.Reader) <-chan int {
	answered := make(chan int, 1)
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url, body)
	if err != nil {
		r.t.Fatal(err)
	}
	go func() {
		res, err := (&http.Client{Transport: asPerson(who)}).Do(req)
		if err != nil {
			answered <- 0
			return
		}
		_ = res.Body.Close()
		answered <- res.StatusCode
	}()
	return answered
}

// The bodies of requests in progress are bounded, whether their length is announced or not, for a
// person and in all; what was turned away took nothing, and what is done gives all back.
func TestByPerson_Bytes(t *testing.T) {
	r := newReadingRoom(t, &httplimit.Limits{Bytes: 60_000, BytesPerPerson: 40_000})
	const large, much, all = http.StatusRequestEntityTooLarge, http.StatusTooManyRequests, http.StatusServiceUnavailable
	reads := func(who string, n int, announced bool) <-chan int {
		t.Helper()
		answered := r.sends(who, n, announced)
		if err := <-r.read; err != nil {
			t.Errorf("%s's %d bytes: %v", who, n, err)
		}
		return answered
	}
	turned := func(who string, n, want int) {
		t.Helper()
		if status := <-r.sends(who, n, true); status != want {
			t.Errorf("%s's %d bytes are answered %d, want %d", who, n, status, want)
		}
	}
	turned("ada", 40_001, large)
	first, second := reads("ada", 40_000, true), reads("ada", 16384+16384, false)
	turned("ada", 16_385, much)
	r.sends("ada", 16_385, false)
	if err := <-r.read; err == nil {
		t.Error("what was not announced is not counted")
	}
	third := reads("eve", 16384+19_000, true)
	turned("eve", 16384+1001, all)
	close(r.on)
	for _, answered := range []<-chan int{first, second, third} {
		if status := <-answered; status != http.StatusOK {
			t.Errorf("answered %d", status)
		}
	}
	for deadline := time.Now().Add(time.Minute); ; { // a request has not ended the very moment that its answer has come
		answered := r.sends("ada", 40_000, true)
		select {
		case err := <-r.read:
			if status := <-answered; err != nil || status != http.StatusOK {
				t.Errorf("in the end: %v, %d", err, status)
			}
			return
		case status := <-answered:
			if time.Now().After(deadline) {
				t.Fatalf("in the end: %d", status)
			}
		}
	}
}

// What is decoded from JSON is larger than its text: that is what counts, also of a text that
// comes in pieces.
func TestByPerson_BytesInMemory(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want int
	}{
		"a string":             {`"` + strings.Repeat("x,", 100) + `"`, 202},
		"quotes in it":         {`"\",{,[\\" ,`, 76},
		"empty objects":        {"[{},{},{}]", 10 + 6*64},
		"an object":            {`{"a":1,"b":[2]}`, 15 + 3*64},
		"what is no JSON":      {"hello", 5},
		"a string with no end": {`"{{{`, 4},
	} {
		for size := 1; size <= len(c.text); size++ {
			if got := httplimit.Weigh(c.text, size); got != c.want {
				t.Fatalf("%s, %d bytes at a time: %d, want %d", name, size, got, c.want)
			}
		}
	}
	r := newReadingRoom(t, &httplimit.Limits{BytesPerPerson: 20_000})
	close(r.on)
	r.sendsText("ada", "["+strings.Repeat("{},", 500)+"{}]")
	if err := <-r.read; err == nil {
		t.Error("1000 values in 1500 bytes are let in as 1500 bytes")
	}
}
