package enginetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// An Engine is one that the machines of a story share.
type Engine struct {
	// Open opens it, as a machine of its own, with a function that closes it.
	Open func() (store.Shared, func(), error)
	// Connections is how many the server has, of all machines; nil: there is no server.
	Connections func() (int, error)
}

// A Storm is what came of one: the access tokens of many people had expired, and calls of each of them came to three
// machines at once.
type Storm struct {
	People     int
	Refreshes  int   // tokens that the authorization server gave for refresh tokens
	Presented  int   // refresh tokens that it was presented, whatever it said
	Concurrent int   // of these, those that came while the same one was being looked at
	Violations int   // what it was asked for otherwise, and should not have been
	Failed     int   // calls that got no token, or another one than the person's other calls
	Err        error // of one of them
	Trouble    int   // machines whose fleets have counted anything: takeovers, what came late, what was lost

	Asked   int // requests to the store
	Refused int // of these, attempts that were not begun, since another machine's was under way
	Writes  int // of these, those that have changed something

	Quiet       time.Duration // that a call takes if there is no other: the median
	P99         time.Duration // that 99 in a hundred took at the most
	Goroutines  int           // at the most, besides those of the calls
	Connections int           // to the store, once it is over: engines keep those that they needed
}

// Check returns what is wrong with it: each grant is refreshed once, no refresh token is in two hands at once, and
// every call has its person's token.
func (s Storm) Check() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if s.Refreshes != s.People || s.Presented != s.People {
		wrong("%d refreshes, and %d refresh tokens presented, of %d grants", s.Refreshes, s.Presented, s.People)
	}
	if s.Concurrent != 0 || s.Violations != 0 {
		wrong("%d concurrent uses of a refresh token, and %d violations", s.Concurrent, s.Violations)
	}
	if s.Failed != 0 {
		wrong("%d calls have no token, or another one than others of their person: %w", s.Failed, s.Err)
	}
	if s.Trouble != 0 {
		wrong("%d machines say that something went wrong", s.Trouble)
	}
	// A refresh is begun and written. A machine that had to wait finds that it is done.
	if s.Writes != 2*s.People {
		wrong("%d changes of the store for %d refreshes", s.Writes, s.Refreshes)
	}
	return errors.Join(errs...)
}

// TestStorm has a storm come over some people, and checks it.
func TestStorm(t *testing.T, e Engine) {
	s := BreakStorm(t, 20, e)
	if err := s.Check(); err != nil {
		t.Error(err)
	}
	if s.Refused == 0 {
		t.Errorf("%+v: the machines were never in each other's way", s)
	}
}

// BenchmarkStorm reports what storms over 100 people come to. p99-lateness is in quiet times of a call; the others are counts.
func BenchmarkStorm(b *testing.B, e Engine) {
	people := 100
	if testing.Short() {
		people = 20
	}
	var all Storm
	for b.Loop() { // most of the time of a round is that of the sign-ins before it
		s := BreakStorm(b, people, e)
		if err := s.Check(); err != nil {
			b.Error(err)
		}
		all.add(s)
	}
	b.ReportMetric(0, "ns/op") // says nothing
	b.ReportMetric(ratio(all.Refreshes, all.People), "refreshes/grant")
	b.ReportMetric(ratio(all.Concurrent, 1), "concurrent-uses")
	b.ReportMetric(ratio(all.Failed, 1), "failed")
	b.ReportMetric(ratio(all.Writes, all.Refreshes), "writes/refresh")
	b.ReportMetric(ratio(all.Asked, all.Refreshes), "asked/refresh")
	b.ReportMetric(ratio(all.P99, all.Quiet), "p99-lateness")
	b.ReportMetric(ratio(all.Goroutines, 1), "goroutines")
	b.ReportMetric(ratio(all.Connections, 1), "connections")
}

func ratio[N int | time.Duration](a, b N) float64 { return float64(a) / float64(max(b, 1)) }

// add adds what is counted, and keeps the most of what there is at a time.
func (s *Storm) add(o Storm) {
	s.People += o.People
	s.Refreshes += o.Refreshes
	s.Concurrent += o.Concurrent
	s.Failed += o.Failed
	s.Writes += o.Writes
	s.Asked += o.Asked
	s.Quiet += o.Quiet
	s.P99 += o.P99
	s.Goroutines = max(s.Goroutines, o.Goroutines)
	s.Connections = max(s.Connections, o.Connections)
}
