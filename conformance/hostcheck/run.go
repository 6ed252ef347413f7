package hostcheck

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// staging is one scenario in one protocol over one transport.
type staging struct {
	scenario            Scenario
	protocol, transport string
}

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

// decidable are the IDs of the requirements that scenarios decide.
func decidable() []string {
	var ids []string
	for _, r := range Requirements() {
		if r.Reason == "" {
			ids = append(ids, r.ID)
		}
	}
	return ids
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

// complete checks a configuration, fills in its defaults, and says what is to
// be staged.
func (c Config) complete() (Config, []staging, error) {
	if len(c.Host) == 0 && c.Play == nil {
		return c, nil, errors.New("hostcheck: no host to run")
	}
	var err error
	if c.Protocols, err = chosen("protocol", c.Protocols, Legacy, Modern); err != nil {
		return c, nil, err
	}
	if c.Transports, err = chosen("transport", c.Transports, Stdio, HTTP); err != nil {
		return c, nil, err
	}
	names := make([]string, len(scenarios))
	for i, s := range scenarios {
		names[i] = s.Name
	}
	if c.Scenarios, err = chosen("scenario", c.Scenarios, names...); err != nil {
		return c, nil, err
	}
	if c.Checks != nil {
		if c.Checks, err = chosen("requirement", c.Checks, decidable()...); err != nil {
			return c, nil, err
		}
	}
	if c.Timeout <= 0 {
		c.Timeout = time.Minute
	}
	if c.Parallel <= 0 {
		// Scenarios mostly wait; a host and its server take two processes.
		c.Parallel = min(4*runtime.NumCPU(), 16)
		if c.Play != nil {
			c.Parallel = 1
		}
	}
	if len(c.Stub) == 0 && c.Play == nil && slices.Contains(c.Transports, Stdio) {
		self, err := os.Executable()
		if err != nil {
			return c, nil, fmt.Errorf("hostcheck: %w", err)
		}
		c.Stub = []string{self, "stub"}
	}
	var todo []staging
	for _, s := range scenarios {
		for _, protocol := range c.Protocols {
			for _, transport := range c.Transports {
				one := staging{s, protocol, transport}
				if slices.Contains(c.Scenarios, s.Name) && slices.Contains(s.Protocols, protocol) &&
					slices.Contains(s.Transports, transport) && one.decides(c.Checks) {
					todo = append(todo, one)
				}
			}
		}
	}
	if len(todo) == 0 {
		return c, nil, errors.New("hostcheck: none of these scenarios exists for that protocol and transport, and decides that")
	}
	for _, one := range todo {
		if err := c.tryTemplate(one); err != nil {
			return c, nil, err
		}
	}
	return c, todo, nil
}

// decides says whether a scenario decides one of the requirements, as it is staged;
// nil is all that there are.
func (one staging) decides(ids []string) bool {
	return ids == nil || slices.ContainsFunc(ids, func(id string) bool {
		if !byID(id).appliesTo(one.protocol, one.transport) {
			return false
		}
		has := func(s Scenario) bool { return slices.Contains(s.Checks, id) }
		return has(one.scenario) || byID(id).Everywhere && !slices.ContainsFunc(scenarios, has)
	})
}

// chosen checks names against those there are; none means all.
func chosen(what string, names []string, all ...string) ([]string, error) {
	if len(names) == 0 {
		return all, nil
	}
	for _, n := range names {
		if !slices.Contains(all, n) {
			return nil, fmt.Errorf("hostcheck: there is no %s %q", what, n)
		}
	}
	return names, nil
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
