package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
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
	prompts         int
	reprompts       int // of somebody who had signed in
	abandoned       int
	protocolErrors  int
	failures        map[string]int // other reasons, of calls that were given up
}

// lastCalls is how long calls may still take once nothing is broken any more.
const lastCalls = 30 * time.Second

// hostsEach is how many hosts of a user call at once.
const hostsEach = 3

// users are the people of a round, of whom each signs in once.
func users(n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("user%03d", i))
	}
	return names
}

// begin starts the authorization server and the processes.
func begin(ctx context.Context, out io.Writer, o options, store string, flow lazyauth.Flow, people []string) (*round, error) {
	p, err := newProcesses(ctx, 3, o.key)
	if err != nil {
		return nil, err
	}
	s, err := startAuthServer(ctx, p.public, p.alive, people)
	if err != nil {
		return nil, errors.Join(err, p.proxy.Close())
	}
	p.base = replicaConfig{Server: s.url, Store: store, People: people, Flow: flow, Without: o.without, Namespace: o.namespace(), Drain: o.drain}
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
// tool returns. hesitation is how long the person takes.
func (r *round) call(ctx context.Context, user, text string, signedIn *bool, hesitation time.Duration) bool {
	h := &host{at: r.processes.public + server.ModernPath, token: user}
	who := &person{name: user, server: r.server}
	r.count(func(t *tally) { t.calls++ })
	state, action := "", ""
	for patience := time.Now().Add(90 * time.Second); time.Now().Before(patience) && ctx.Err() == nil; {
		a, err := h.sendTwice(ctx, text, state, action)
		switch {
		case errors.Is(err, errProtocol):
			r.count(func(t *tally) { t.protocolErrors++; t.failures[err.Error()]++ })
			return false
		case err != nil && state == "": // it may have run: who knows
			r.count(func(t *tally) { t.failures["its first request was lost"]++ })
			return false
		case err != nil:
			time.Sleep(100 * time.Millisecond)
		case a.state != "":
			r.count(func(t *tally) {
				t.prompts++
				if *signedIn { // of several that ask at once, one counts
					t.reprompts++
				}
				*signedIn = false
			})
			state, action = a.state, "accept"
			go func() {
				time.Sleep(hesitation)
				if err := who.approves(ctx, a); err != nil {
					r.count(func(t *tally) { t.failures["approving: "+err.Error()]++ })
				}
			}()
		case a.failed && a.reason == string(lazyauth.ReasonAbandoned):
			r.count(func(t *tally) { t.abandoned++ })
			return false
		case a.failed && (a.reason == string(lazyauth.ReasonUnavailable) || a.reason == string(lazyauth.ReasonPending)):
			if state == "" {
				r.count(func(t *tally) { t.failures[a.reason]++ })
				return false
			}
			time.Sleep(200 * time.Millisecond)
		case a.failed:
			r.count(func(t *tally) { t.failures[a.reason+": "+a.text]++ })
			return false
		default:
			r.count(func(t *tally) { t.answered++; *signedIn = true })
			return true
		}
	}
	if ctx.Err() == nil {
		r.count(func(t *tally) { t.failures["not answered within 90 s"]++ })
	}
	return false
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

// errFound is that a figure is not what it is to be.
var errFound = errors.New("a figure is not what it is to be")

// first makes one first call of which every request meets another replica.
func (r *round) first(ctx context.Context, name string) error {
	signedIn := false
	ok := r.call(ctx, "user000", "first", &signedIn, 3*time.Second)
	signIns := r.server.Count(fakeas.DeviceAuthorization, fakeas.OK) + r.server.Count(fakeas.Exchange, fakeas.OK)
	runs := r.server.ran("first")
	fmt.Fprintf(r.out, "%-9s sign-ins=%d prompts=%d handler-runs=%d\n", name, signIns, r.tally.prompts, runs)
	if !ok || signIns != 1 || r.tally.prompts != 1 || runs != 1 {
		return fmt.Errorf("the first call, %s: %w (%v)", name, errFound, r.tally.failures)
	}
	return nil
}

// chaos has people sign in and call, while processes die at their points, stand still, and are killed at random.
func (r *round) chaos(ctx context.Context, people []string, o options) error {
	playing, over := context.WithCancel(ctx)
	calling, hangUp := context.WithCancel(ctx) // of calls that are not answered by then
	defer hangUp()
	var players sync.WaitGroup
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
	for range 8 {
		players.Go(func() {
			for user := range next {
				signedIn := false
				for n := range 6 { // the token has to be refreshed in between, and is by several at once
					if playing.Err() != nil {
						return
					}
					var hosts sync.WaitGroup
					for m := range hostsEach {
						hosts.Go(func() {
							r.call(calling, user, fmt.Sprintf("%s-%d-%d", user, n, m), &signedIn, upTo(2*time.Second))
						})
						if n == 0 { // who signs in does so once
							break
						}
					}
					hosts.Wait()
					time.Sleep(tokenLife)
				}
			}
		})
	}
	breaking := r.breakAll(ctx, o)
	over()
	defer time.AfterFunc(lastCalls, hangUp).Stop()
	players.Wait()
	return errors.Join(breaking, r.report())
}

// breakAll breaks processes for as long as there is something left to break.
func (r *round) breakAll(ctx context.Context, o options) error {
	halting := make(chan error, 1)
	p, reached := r.processes, points
	if isFolder(p.base.Store) { // the steps of a file store are in the library
		reached = requestPoints
	}
	go func() { // the last of them stands still, again and again
		halting <- func() error {
			for n := range o.halts * len(reached) {
				if err := r.halts(ctx, p.all[len(p.all)-1], reached[n%len(reached)]); err != nil {
					return err
				}
			}
			return nil
		}()
	}()
	err := func() error {
		for n := range o.deaths * len(reached) {
			if err := r.dies(ctx, p.all[n%(len(p.all)-1)], reached[n%len(reached)]); err != nil {
				return err
			}
		}
		for range o.kills {
			one := p.all[upTo(len(p.all)-1)]
			time.Sleep(upTo(time.Second))
			p.signal(one, syscall.SIGKILL)
			r.died("at random")
			if err := p.start(ctx, one, ""); err != nil {
				return err
			}
		}
		for _, one := range p.all[:len(p.all)-1] { // as a release is rolled out
			p.signal(one, syscall.SIGTERM)
			r.died("by SIGTERM")
			if err := p.start(ctx, one, ""); err != nil {
				return err
			}
		}
		return nil
	}()
	return errors.Join(err, <-halting)
}

// dies has a process die at a point, and starts it again.
func (r *round) dies(ctx context.Context, one *process, point string) error {
	p := r.processes
	p.signal(one, syscall.SIGKILL)
	if err := p.start(ctx, one, point); err != nil {
		return err
	}
	select {
	case <-one.ended:
		r.died(point)
	case <-time.After(15 * time.Second):
		r.died("not reached: " + point)
		p.signal(one, syscall.SIGKILL)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return p.start(ctx, one, "")
}

// halts has a process stand still at a point for longer than its lease, and then go on.
func (r *round) halts(ctx context.Context, one *process, point string) error {
	p := r.processes
	p.signal(one, syscall.SIGKILL)
	if err := p.start(ctx, one, stops+point); err != nil {
		return err
	}
	select {
	case <-one.halted:
		r.died(stops + point)
	case <-one.ended:
		return errors.New("a process that was to stand still has ended")
	case <-time.After(15 * time.Second):
		r.died("not reached: " + stops + point)
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	time.Sleep(lease + 2*time.Second)
	p.signal(one, syscall.SIGCONT)
	time.Sleep(time.Second)
	return nil
}

func (r *round) died(how string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.histogram[how]++
}

// report prints the figures, and says which are not what they are to be.
func (r *round) report() error {
	concurrent, again, doubleRuns, runs := r.server.figures()
	early := r.server.Count(fakeas.Poll, "slow_down")
	r.processes.mu.Lock()
	inDoubt := r.processes.inDoubt
	r.processes.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tally
	// Whose process died between the server's using a credential up and its own writing the answer has to be
	// asked again, at the most: nothing else costs a person a prompt.
	lost := max(0, t.reprompts-max(inDoubt, again))
	fmt.Fprintf(r.out, "concurrent-uses=%d lost-acknowledged-grants=%d early-polls=%d double-runs=%d\n", len(concurrent), lost, early, doubleRuns)
	fmt.Fprintf(r.out, "in-doubt=%d reprompts=%d presented-again=%d arrived-late=%d abandoned=%d\n", inDoubt, t.reprompts, again, r.server.arrivedLate(), t.abandoned)
	fmt.Fprintf(r.out, "calls=%d answered=%d handler-runs=%d prompts=%d protocol-errors=%d\n", t.calls, t.answered, runs, t.prompts, t.protocolErrors)
	for _, how := range slices.Sorted(keysOf(r.histogram)) {
		fmt.Fprintf(r.out, "  %-24s %3d %s\n", how, r.histogram[how], strings.Repeat("#", r.histogram[how]))
	}
	for _, why := range slices.Sorted(keysOf(t.failures)) {
		fmt.Fprintf(r.out, "  given up: %3d %s\n", t.failures[why], why)
	}
	for _, how := range concurrent {
		fmt.Fprintf(r.out, "  at once: %s\n", how)
	}
	if len(concurrent)+lost+early+doubleRuns+t.protocolErrors > 0 || t.answered == 0 {
		return errFound
	}
	return nil
}

func keysOf(m map[string]int) func(func(string) bool) {
	return func(yield func(string) bool) {
		for key := range m {
			if !yield(key) {
				return
			}
		}
	}
}
