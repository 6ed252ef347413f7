package httplimit_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/httplimit"
)

// posts sends a message as somebody, to a session or to none, and returns the status.
func (s *served) posts(who, session, body string) int {
	s.t.Helper()
	defer s.settles()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if session != "" {
		r.Header.Set("Mcp-Session-Id", session)
	}
	res, err := (&http.Client{Transport: asPerson(who)}).Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

const (
	initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}`
	ping       = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
)

// What opens no session closes none, whatever it is, also of somebody who has all that they may have.
func TestSessions_OnlyAnOpenedOneTakesAPlace(t *testing.T) {
	s := serve(t, &httplimit.Limits{Sessions: 2, SessionsPerPerson: 1, OpeningBytes: 2000})
	first := s.mustOpen("ada")
	large := strings.Replace(initialize, `"name":"x"`, `"name":"`+strings.Repeat("x", 3000)+`"`, 1)
	for name, body := range map[string]string{"not JSON": "not JSON", "a large opening": large, "empty": "", "a call outside": strings.Replace(ping, "ping", "tools/list", 1)} {
		s.posts("ada", "", body)
		if err := first.Ping(t.Context(), nil); err != nil {
			t.Fatalf("%s has closed a session: %v", name, err)
		}
	}
	eve, again := s.mustOpen("eve"), s.mustOpen("ada") // of two places, one each
	s.lives(first, false)
	s.lives(eve, true)
	s.lives(again, true)
}

// Somebody who knows the name of another person's session neither gets into it nor keeps it
// from making room for that person's next one, though the SDK goes by the subject alone.
func TestSessions_OfSomebodyElse(t *testing.T) {
	s := serve(t, &httplimit.Limits{Sessions: 4, SessionsPerPerson: 2})
	first, second := s.mustOpen("ada"), s.mustOpen("ada")
	for _, who := range []string{"eve", "ada@https://other.example"} {
		for _, body := range []string{ping, initialize} {
			if status := s.posts(who, first.ID(), body); status != http.StatusNotFound {
				t.Errorf("%s is answered %d", who, status)
			}
		}
	}
	third := s.mustOpen("ada") // for which the first one makes room: nobody's requests but hers are uses
	s.lives(first, false)
	s.lives(second, true)
	s.lives(third, true)
}

// Where every session is in use a further one is refused, and does not live on.
func TestSessions_AllInUse(t *testing.T) {
	s := serve(t, &httplimit.Limits{Sessions: 4, SessionsPerPerson: 1})
	call := s.calls(s.mustOpen("ada"))
	for range 3 {
		if status := s.posts("ada", "", initialize); status != http.StatusTooManyRequests {
			t.Errorf("answered %d", status)
		}
	}
	s.until("what was refused lives on", func() bool { return s.sessions() == 1 })
	close(s.wait)
	if err := <-call; err != nil {
		t.Error(err)
	}
}

// What sessions keep of their openings is bounded in all: who opens with much closes those
// that were used least recently.
func TestSessions_Bytes(t *testing.T) {
	s := serve(t, &httplimit.Limits{SessionBytes: 40_000, OpeningBytes: 15_000})
	long := strings.Replace(initialize, `"name":"x"`, `"name":"`+strings.Repeat("x", 14_000)+`"`, 1)
	ada := s.mustOpen("ada")
	for range 20 {
		if status := s.posts("eve", "", long); status != http.StatusOK && status != http.StatusServiceUnavailable {
			t.Fatalf("answered %d", status)
		}
		s.lives(ada, true)
	}
	s.until("more sessions live than have room", func() bool { return s.sessions() <= 4 })
}

// A session whose host has hung up in the middle of a call makes room, and nobody waits for the
// call to end.
func TestSessions_ClosedInTheMiddleOfACall(t *testing.T) {
	s := serve(t, &httplimit.Limits{SessionsPerPerson: 1})
	host := s.mustOpen("ada")
	ctx, hangUp := context.WithCancel(t.Context())
	call := s.callsIn(ctx, host)
	hangUp()
	<-call
	for deadline := time.Now().Add(time.Minute); s.posts("ada", "", initialize) != http.StatusOK; {
		if time.Now().After(deadline) {
			t.Fatal("there is no room")
		}
	}
	close(s.wait)
}
