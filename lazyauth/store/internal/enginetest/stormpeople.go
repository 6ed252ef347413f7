package enginetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

const (
	// stormMachines are how many a storm comes to, and stormCalls how many calls of each person come to each.
	stormMachines, stormCalls = 3, 3
	// quietPeople are those of whom one call is made, one after the other, before the storm.
	quietPeople = 9
	// serverTakes is how long the authorization server takes for a refresh.
	serverTakes = 10 * time.Millisecond
	// firstLife is that of the tokens of sign-ins. Those of refreshes live for an hour, or the last call of
	// a slow machine would find another one expired.
	firstLife = 200 * time.Millisecond
)

// A storm is about to break over people who have signed in at a machine that is gone, and whose tokens have expired.
type storm struct {
	tb       testing.TB
	engine   Engine
	as       *fakeas.Server
	wire     stormWire
	people   []grants.Principal // the first ones are the quiet ones
	machines [stormMachines]*stormMachine
}

var storms atomic.Int64

// BreakStorm has a storm come over so many people, and returns what came of it.
func BreakStorm(tb testing.TB, people int, e Engine) Storm {
	tb.Helper()
	s := &storm{tb: tb, engine: e, as: newStormServer()}
	s.wire.next = s.as.Transport()
	number := storms.Add(1) // the engine may have those of the last one
	for n := range quietPeople + people {
		s.people = append(s.people, grants.Principal{Issuer: "https://id.example", Subject: fmt.Sprintf("person %d of %d", n, number)})
	}
	s.signIn()
	for n := range s.machines {
		s.machines[n] = s.machine()
		defer s.machines[n].close()
	}
	return s.breaks()
}

// signIn has all people sign in at a machine of its own, which is gone afterwards, and their tokens expire.
func (s *storm) signIn() {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(s.tb.Context(), patience)
	defer cancel()
	m := s.machine()
	defer m.close()
	var asked sync.WaitGroup
	for _, who := range s.people {
		asked.Go(func() {
			if _, err := m.keeper.Owner(who).Obtain(ctx, stormNeed, stormCaller{signsIn: true}); err != nil {
				s.tb.Errorf("%s cannot sign in: %v", who.Subject, err)
				cancel()
			}
		})
	}
	for range s.people {
		request, err := s.as.WaitForRequest(ctx)
		if err == nil {
			err = s.as.Approve(request.UserCode)
		}
		if err != nil {
			s.tb.Errorf("approving: %v", err)
			break
		}
	}
	asked.Wait()
	if s.tb.Failed() {
		s.tb.FailNow()
	}
	<-time.After(firstLife) // the clocks are real ones
}

// breaks has the storm break.
func (s *storm) breaks() Storm {
	s.tb.Helper()
	got := Storm{People: len(s.people) - quietPeople, Quiet: s.quiet()}
	refreshed, presented := s.as.Count(fakeas.Refresh, fakeas.OK), s.as.Count(fakeas.Refresh, "")
	asked, refused, changed := s.counted()

	calls := got.People * stormMachines * stormCalls
	s.wire.holds(calls + got.People*stormMachines)
	before := runtime.NumGoroutine() + calls
	took, tokens, errs := make([]time.Duration, calls), make([]string, calls), make([]error, calls)
	start := make(chan struct{})
	var answered sync.WaitGroup
	for n := range calls {
		owner := s.machines[n/got.People%stormMachines].keeper.Owner(s.people[quietPeople+n%got.People])
		answered.Go(func() {
			<-start
			s.wire.comes()
			began := time.Now()
			g, err := owner.Obtain(s.tb.Context(), stormNeed, stormCaller{})
			took[n], errs[n] = time.Since(began), err
			if err == nil {
				tokens[n] = g.Token().AccessToken
			}
		})
	}
	close(start)
	answered.Wait()

	for n, token := range tokens {
		if _, good := s.as.Introspect(token); !good || token != tokens[n%got.People] {
			got.Failed++
		}
		if errs[n] != nil {
			got.Err = errs[n]
		}
	}
	slices.Sort(took)
	got.P99 = took[len(took)*99/100]
	got.Refreshes = s.as.Count(fakeas.Refresh, fakeas.OK) - refreshed
	got.Presented = s.as.Count(fakeas.Refresh, "") - presented
	got.Violations = len(s.as.Violations())
	got.Asked, got.Refused, got.Writes = s.counted()
	got.Asked, got.Refused, got.Writes = got.Asked-asked, got.Refused-refused, got.Writes-changed
	for _, m := range s.machines {
		if m.fleet.Counts() != (store.FleetCounts{}) {
			got.Trouble++
		}
	}
	got.Concurrent, got.Goroutines = s.wire.saw()
	got.Goroutines = max(0, got.Goroutines-before)
	if s.engine.Connections != nil {
		var err error
		if got.Connections, err = s.engine.Connections(); err != nil {
			s.tb.Errorf("connections: %v", err)
		}
	}
	return got
}

// quiet has calls come one after the other, each of somebody else, and returns how long they take.
func (s *storm) quiet() time.Duration {
	s.tb.Helper()
	var took []time.Duration
	for n, who := range s.people[:quietPeople] {
		began := time.Now()
		if _, err := s.machines[n%stormMachines].keeper.Owner(who).Obtain(s.tb.Context(), stormNeed, stormCaller{}); err != nil {
			s.tb.Errorf("a quiet call: %v", err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[len(took)/2]
}

// counted returns what the machines have asked of the store, which attempts were refused, and what was changed.
func (s *storm) counted() (asked, refused, changed int) {
	for _, m := range s.machines {
		asked += int(m.rows.asked.Load())
		refused += int(m.rows.refused.Load())
		changed += int(m.rows.changed.Load())
	}
	return asked, refused, changed
}

var stormNeed = scopes.Of("profile")

// A stormCaller is a call, which waits for as long as it takes. Nobody can be asked, unless it is to sign in.
type stormCaller struct{ signsIn bool }

var errNobodyIsAsked = errors.New("the person is to be asked, who has a grant")

func (c stormCaller) MayAsk(bool) error {
	if !c.signsIn {
		return errNobodyIsAsked
	}
	return nil
}

func (stormCaller) Tool() string          { return "tool" }
func (stormCaller) Link() grants.Link     { return grants.LinkShown }
func (stormCaller) ClientID() string      { return "" }
func (stormCaller) Program() string       { return "" }
func (stormCaller) CallersClient() string { return "" }
func (stormCaller) Weight() int           { return 1 }
func (stormCaller) Left() time.Duration   { return time.Hour }

func (stormCaller) Follow(ctx context.Context, f *grants.Flight) error {
	select {
	case <-f.Done():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
