package hostcheck

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// Run stages the scenarios with the host and returns what came of it. The
// error is about the configuration alone: whatever a host does is in the
// report. When ctx ends, the scenarios that have not ended are judged as they
// stand.
func Run(ctx context.Context, c Config) (*Report, error) {
	c, todo, err := c.complete()
	if err != nil {
		return nil, err
	}
	report := &Report{Suite: Version(), Host: c.Host, Started: time.Now(), Results: make([]Result, len(todo))}
	var (
		wg   sync.WaitGroup
		told sync.Mutex
		done int
		room              = make(chan struct{}, c.Parallel)
		net  wire.Network = wire.Loopback{}
	)
	if c.Play != nil {
		net = &wire.Memory{}
	}
	for i, s := range todo {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			report.Results[i] = c.run(ctx, net, s)
			report.Results[i].keep(c.Checks)
			told.Lock()
			defer told.Unlock()
			done++
			if c.Progress != nil {
				c.Progress(done, len(todo), report.Results[i])
			}
		})
	}
	wg.Wait()
	reconcile(report.Results)
	tellOnce(report.Results)
	report.Took = time.Since(report.Started)
	return report, nil
}

// keep leaves no checks in a result but those with these IDs; nil is all.
func (r *Result) keep(ids []string) {
	if ids == nil {
		return
	}
	r.Checks = slices.DeleteFunc(r.Checks, func(c Check) bool { return !slices.Contains(ids, c.ID) })
	for i := range r.Events {
		e := &r.Events[i]
		e.Checks = slices.DeleteFunc(slices.Clone(e.Checks), func(id string) bool { return !slices.Contains(ids, id) })
	}
}

// linger is how long a scenario goes on when all was done and the host does not
// end: time for what a host should not do.
const linger = 1500 * time.Millisecond

// givingUp is linger for a host that can come to nothing, which may try again for a while
// before it says so, and for one that reports what calls come to: it is made for tasks,
// and ends by itself, on a busy machine later.
const givingUp = 15 * time.Second

// settling is how long the last things that a host did take to be noticed, and parting
// how long the server processes that it had may take to end after it.
const (
	settling = 100 * time.Millisecond
	parting  = 5 * time.Second
)

// run runs one scenario.
func (c Config) run(ctx context.Context, n wire.Network, one staging) Result {
	s := newSession(ctx, one.scenario, one.protocol, one.transport)
	defer s.end()
	if ctx.Err() != nil {
		s.block(interrupted)
		return judged(s, output{})
	}
	at, err := wire.Open(n)
	if err != nil {
		s.block(err.Error())
		return judged(s, output{})
	}
	launch := c.launch(s, at)
	at.Serve(s.Conversation)
	h := c.start(s.ctx, n, launch)
	why := s.follow(c.Timeout, h, at)
	if s.endedAt != 0 {
		at.Part(parting)
	}
	s.sleep(settling)
	s.end() // whoever waits for the host waits no more
	said := h.stop()
	at.Close()
	s.playing.Wait()
	s.ending = why()
	excuse := s.noteEra()
	s.block(cmp.Or(s.ending, interrupted) + s.trouble())
	r := judged(s, said)
	r.reached, r.spoke, r.excuse = at.Reached(), s.spoke(), excuse
	return r
}

// launch is what the host is told, and the session knows it too.
func (c Config) launch(s *session, at *wire.Endpoints) Launch {
	s.canary, s.redirect = at.CanaryURL(), at.RedirectURL()
	l := Launch{
		Control: at.ControlURL(), Scenario: s.scenario.Name, Protocol: s.protocol, Transport: s.transport,
	}
	s.task.Server.Name = serverName
	if s.transport == Stdio {
		l.Command = append(slices.Clone(c.Stub), "--control", at.ControlURL())
		s.task.Server.Command = l.Command
	} else {
		l.URL = at.ServerURL()
		s.task.Server.URL = l.URL
	}
	l.Task = s.task
	return l
}

// follow waits for the end of the scenario. What it returns says, once the host was
// stopped, why nothing more came: the reason that a check gives which was not
// reached. It is empty if the host was interrupted.
func (s *session) follow(limit time.Duration, h host, at *wire.Endpoints) func() string {
	because := func(why string) func() string { return func() string { return why } }
	timeout := time.NewTimer(limit)
	defer timer(timeout)()
	var first <-chan time.Time // nil if there is no limit to what is awaited first
	if s.scenario.limit > 0 && s.scenario.limit < limit {
		early := time.NewTimer(s.scenario.limit)
		defer timer(early)()
		first = early.C
	}
	quiet := time.NewTimer(limit)
	defer timer(quiet)()
	for {
		changed := s.Changed()
		s.guard.Lock()
		done, stepped := s.done(), s.stepped
		if len(s.peers) > 0 {
			first = nil
		}
		s.guard.Unlock()
		if s.Flooded() {
			return because("the host sent more than the suite takes")
		}
		switch {
		case !done:
			quiet.Reset(limit)
		case s.scenario.hopeless, s.hasHook(HookOutcome):
			quiet.Reset(min(limit, givingUp))
		default:
			quiet.Reset(linger)
		}
		select {
		case <-h.ended():
			when := " before that"
			if !at.Reached() {
				when = " without having connected to the server"
			}
			s.endedAt = s.moment()
			return func() string {
				s.orderly = !h.failed()
				return h.howEnded() + when
			}
		case <-quiet.C:
			if s.orderly = done; !done {
				return because(late(limit, at))
			}
			return because("the host left it at that")
		case <-timeout.C:
			return because(late(limit, at))
		case <-first:
			return because(late(s.scenario.limit, at))
		case <-s.ctx.Done():
			return because("")
		case <-stepped:
		case <-changed:
		}
	}
}

// late says that a host takes too long.
func late(limit time.Duration, at *wire.Endpoints) string {
	if !at.Reached() {
		return fmt.Sprintf("the host did not connect to the server within %v", limit)
	}
	return fmt.Sprintf("the host did not get there within %v", limit)
}

const interrupted = "the run was interrupted"

func timer(t *time.Timer) func() { return func() { t.Stop() } }
