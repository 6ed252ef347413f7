package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/examples/http/server"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
)

// A round is one server of several processes, and who calls it.
type round struct {
	out       io.Writer
	processes *processes
	server    *authServer

	mu        sync.Mutex
	tally     tally
	histogram map[string]int // of deaths
}

// A tally is what hosts and people have seen.
type tally struct {
	calls, answered int
	again           int // of those that were answered, answers that were given once more
	prompts         int
	abandoned       int
	unexplained     int // of these, those whose handler was run by a process that lives, and can be reached
	notRun          int // of those that were answered
	protocolErrors  int
	failures        map[string]int // other reasons, of calls that were given up
}

const (
	// callWait is how long a host tries to have a call answered: longer than it takes until another process brings
	// the token that a dead one has got.
	callWait = 2 * time.Minute
	// lastCalls is how long calls may still take once nothing is broken any more.
	lastCalls = 30 * time.Second
	// players is how many users call at a time, by so many hosts each, so often, with a pause in which their token
	// expires: it has to be refreshed in between, and is by several at once.
	players, hostsEach, callsEach = 16, 3, 4
)

// users are the people of a round, of whom each signs in once.
func users(n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("user%03d", i))
	}
	return names
}

// begin starts the authorization server and the processes.
func begin(ctx context.Context, out io.Writer, o options, place string, flow lazyauth.Flow, people []string) (*round, error) {
	p, err := newProcesses(ctx, 3, o.key)
	if err != nil {
		return nil, err
	}
	s, err := startAuthServer(ctx, p.public, p.alive, p.hasStood, people)
	if err != nil {
		return nil, errors.Join(err, p.proxy.Close())
	}
	p.wrote, p.stoodStill = s.writes, o.still.add
	p.base = replicaConfig{Server: s.url, Store: place, People: people, Flow: flow, Without: o.without, Namespace: o.namespace(), Drain: o.drain}
	r := &round{out: out, processes: p, server: s, histogram: map[string]int{}, tally: tally{failures: map[string]int{}}}
	for _, one := range p.all {
		if err := p.start(ctx, one, ""); err != nil {
			r.end()
			return nil, err
		}
	}
	return r, nil
}

func (r *round) end() {
	r.processes.stop()
	_ = r.server.http.Close()
}

// call makes one call for a user, until it is answered or given up, and reports whether it was answered with what the
// tool returns. at is where its host sends its requests, and hesitation how long the person takes.
func (r *round) call(ctx context.Context, at, user, text string, hesitation time.Duration) bool {
	h := &host{at: at + server.ModernPath, token: user}
	r.count(func(t *tally) { t.calls++ })
	state, action := "", ""
	gaveUp := func(why string) bool {
		r.count(func(t *tally) { t.failures[why]++ })
		return false
	}
	for patience := time.Now().Add(callWait); time.Now().Before(patience) && ctx.Err() == nil; {
		a, err := h.sendTwice(ctx, text, state, action)
		switch {
		case errors.Is(err, errProtocol):
			r.count(func(t *tally) { t.protocolErrors++ })
			return gaveUp(err.Error())
		case errors.Is(err, errNobody):
			time.Sleep(100 * time.Millisecond)
		case err != nil && state == "": // it may have run: who knows
			return gaveUp("its first request was lost")
		case err != nil:
			time.Sleep(100 * time.Millisecond)
		case a.state != "":
			r.count(func(t *tally) { t.prompts++ })
			state, action = a.state, "accept"
			r.approves(ctx, user, a, hesitation)
		case a.failed && a.reason == string(lazyauth.ReasonAbandoned):
			by := r.server.ran(text)
			r.count(func(t *tally) {
				t.abandoned++
				if len(by) > 0 && r.processes.alive(by[0]) && !isFolder(r.processes.base.Store) { // nobody forwards to it there
					t.unexplained++
				}
			})
			return false
		case a.failed && (a.reason == string(lazyauth.ReasonUnavailable) || a.reason == string(lazyauth.ReasonPending)):
			if state == "" {
				return gaveUp(a.reason)
			}
			time.Sleep(200 * time.Millisecond)
		case a.failed:
			return gaveUp(a.reason + ": " + a.text)
		default:
			ran := len(r.server.ran(text)) > 0
			r.count(func(t *tally) {
				t.answered++
				if !ran {
					t.notRun++
				}
			})
			r.asksAgain(ctx, h, text, state, action)
			return true
		}
	}
	if ctx.Err() == nil {
		return gaveUp("not answered within " + callWait.String())
	}
	return false
}

// asksAgain has a host that was prompted ask each of the processes once more, as one does whose connection broke: it is
// told what the call came to by the one that ran it, or that this one is gone.
func (r *round) asksAgain(ctx context.Context, h *host, text, state, action string) {
	if state == "" {
		return
	}
	for range r.processes.all {
		a, err := h.send(ctx, text, state, action)
		switch {
		case errors.Is(err, errProtocol):
			r.count(func(t *tally) { t.protocolErrors++; t.failures["asked again: "+err.Error()]++ })
		case err != nil:
		case a.failed:
			r.count(func(t *tally) { t.failures["asked again: "+a.reason]++ })
		default:
			r.count(func(t *tally) { t.again++ })
		}
	}
}

// approves has a person approve what they are shown, if they are for the first time.
func (r *round) approves(ctx context.Context, user string, a answer, hesitation time.Duration) {
	if !r.server.prompted(user, a.shown()) {
		return
	}
	who := &person{name: user, server: r.server}
	go func() {
		time.Sleep(hesitation)
		if err := who.approves(ctx, a); err != nil {
			r.count(func(t *tally) { t.failures["approving: "+err.Error()]++ })
		}
	}()
}

func (r *round) answered() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tally.answered
}

func (r *round) count(change func(*tally)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.tally)
}

// upTo returns a random number from 0 on.
func upTo[N int | time.Duration](end N) N {
	return N(rand.Int64N(int64(end))) //nolint:gosec // chance will do
}

// first makes one first call of which every request meets another replica.
func (r *round) first(ctx context.Context, name string) error {
	ok := r.call(ctx, r.processes.public, "user000", "first", 3*time.Second)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	signIns := r.server.Count(fakeas.DeviceAuthorization, fakeas.OK) + r.server.Count(fakeas.Exchange, fakeas.OK)
	runs := len(r.server.ran("first"))
	fmt.Fprintf(r.out, "%-9s sign-ins=%d prompts=%d handler-runs=%d\n", name, signIns, r.tally.prompts, runs)
	if !ok || signIns != 1 || r.tally.prompts != 1 || runs != 1 {
		return fmt.Errorf("the first call, %s: %w (%v)", name, errFound, r.tally.failures)
	}
	return nil
}

// chaos has people sign in and call, while processes die at their points, stand still, and are killed at random.
func (r *round) chaos(ctx context.Context, people []string, o options) error {
	r.server.slowOnes.Store(slowUsually)
	playing, over := context.WithCancel(ctx)
	defer over()
	calling, hangUp := context.WithCancel(ctx) // of calls that are not answered by then
	defer hangUp()
	var callers sync.WaitGroup
	next := make(chan string)
	go func() {
		defer close(next)
		for _, user := range people {
			select {
			case next <- user:
			case <-playing.Done():
				return
			}
		}
	}()
	for range players {
		callers.Go(func() {
			for user := range next {
				r.plays(playing, calling, user)
			}
		})
	}
	breaking, enough := context.WithCancel(ctx)
	defer enough()
	if o.without != "" { // what is missed is to be found, and then that is that
		go r.watch(breaking, enough)
	}
	err := r.breakAll(breaking, o)
	for patience := time.Now().Add(lastCalls); err == nil && breaking.Err() == nil && r.answered() == 0 && time.Now().Before(patience); {
		time.Sleep(100 * time.Millisecond) // the first requests may all have been lost
	}
	if ctx.Err() == nil && breaking.Err() != nil {
		err = nil
		hangUp()
	}
	over()
	defer time.AfterFunc(lastCalls, hangUp).Stop()
	callers.Wait()
	if ctx.Err() != nil { // what it had found by then says nothing
		return context.Cause(ctx)
	}
	return errors.Join(err, r.report())
}

// watch calls found when a figure is not what it is to be.
func (r *round) watch(ctx context.Context, found func()) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if r.isWrong() {
				found()
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// plays has a user call for as long as playing lasts.
func (r *round) plays(playing, calling context.Context, user string) {
	for n := range callsEach {
		if playing.Err() != nil {
			return
		}
		var hosts sync.WaitGroup
		for m := range hostsEach {
			hosts.Go(func() {
				r.call(calling, r.processes.public, user, fmt.Sprintf("%s-%d-%d", user, n, m), upTo(2*time.Second))
			})
			if n == 0 { // who signs in does so once
				break
			}
		}
		hosts.Wait()
		select {
		case <-time.After(tokenLife):
		case <-playing.Done():
		}
	}
}
