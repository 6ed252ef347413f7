package hostcheck

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// A Guide stages scenarios with a host that a person works by hand. The person
// configures the host once with the one server at [Guide.Server], and then
// follows the steps of [Guide.Checklist]. All methods may be called
// concurrently. The owner calls Close.
type Guide struct {
	config Config
	at     *wire.Endpoints
	todo   []staging
	began  time.Time
	ctx    context.Context // ends with the guide
	stop   context.CancelFunc
	minded sync.WaitGroup

	moves sync.Mutex // held while a step begins or ends
	guard sync.Mutex
	done  map[string]*session // by scenario; the latest time it was done
	now   *session            // the running step; nil between two
	lobby *session            // where the host is between steps; the running step's is over
}

// lobby is what the server does between steps.
var lobby = Scenario{
	Name: "lobby", Title: "Between the steps", Protocols: both, Transports: everywhere,
	script: script{
		steps: func(string) [][]Call { return nil },
		play:  func(f *flow) { f.text("Start a step of the checklist first, then call this again.") },
	},
}

// NewGuide listens on a loopback port and waits for the host. It uses the first
// of c.Protocols and of c.Transports (2026-07-28 and stdio if there are none);
// Host, Template, Play, Parallel and Timeout are not used, and c.Progress is
// called when a step is done. Only scenarios that a person can do by hand are
// steps: not those that take a host with time-outs of a second or two.
func NewGuide(c Config) (*Guide, error) {
	protocol, transport := Modern, Stdio
	if len(c.Protocols) > 0 {
		protocol = c.Protocols[0]
	}
	if len(c.Transports) > 0 {
		transport = c.Transports[0]
	}
	c.Protocols, c.Transports = []string{protocol}, []string{transport}
	c.Host = []string{"by hand"}
	c, todo, err := c.complete()
	if err != nil {
		return nil, err
	}
	todo = slices.DeleteFunc(todo, func(s staging) bool { return !s.scenario.guided })
	if len(todo) == 0 {
		return nil, fmt.Errorf("hostcheck: none of these scenarios can be done by hand")
	}
	at, err := wire.Open(wire.Loopback{})
	if err != nil {
		return nil, err
	}
	g := &Guide{config: c, at: at, todo: todo, began: time.Now(), done: make(map[string]*session)}
	g.ctx, g.stop = context.WithCancel(context.Background())
	g.lobby = g.enter(staging{lobby, protocol, transport})
	at.Serve(g.lobby.Conversation)
	return g, nil
}

// enter makes a session at the guide's endpoints.
func (g *Guide) enter(one staging) *session {
	s := newSession(g.ctx, one.scenario, one.protocol, one.transport)
	s.guided = true
	g.config.launch(s, g.at)
	return s
}

// Server returns how the host is to be configured to reach the server.
func (g *Guide) Server() Server { return g.between().task.Server }

// between is the latest session between two steps.
func (g *Guide) between() *session {
	g.guard.Lock()
	defer g.guard.Unlock()
	return g.lobby
}

// Connected says whether the host has connected at least once.
func (g *Guide) Connected() bool { return g.at.Reached() }

// find returns the session of a step, nil if it was not started.
func (g *Guide) find(scenario string) (*session, string) {
	g.guard.Lock()
	defer g.guard.Unlock()
	if g.now != nil && g.now.scenario.Name == scenario {
		return g.now, StepRunning
	}
	if s := g.done[scenario]; s != nil {
		return s, StepDone
	}
	return nil, StepWaiting
}

// Start begins the step of that scenario, again if it was done before, and ends
// the running one. It fails if there is no such step.
func (g *Guide) Start(scenario string) error {
	i := slices.IndexFunc(g.todo, func(s staging) bool { return s.scenario.Name == scenario })
	if i < 0 {
		return fmt.Errorf("hostcheck: there is no step %q", scenario)
	}
	g.moves.Lock()
	defer g.moves.Unlock()
	g.finish()
	if g.ctx.Err() != nil {
		return context.Cause(g.ctx)
	}
	s, before := g.enter(g.todo[i]), g.between()
	before.hand(s)
	g.guard.Lock()
	g.now = s
	g.guard.Unlock()
	g.at.Serve(s.Conversation)
	before.end()
	before.Note(0, "step "+scenario+" begins") // wakes who waits in Changed
	g.minded.Go(func() { g.mind(s) })
	return nil
}

// hand passes on what the host said when it connected.
func (s *session) hand(to *session) {
	s.guard.Lock()
	peers := slices.Clone(s.peers)
	s.guard.Unlock()
	to.TakeOver(s.Conversation)
	for _, p := range peers {
		capabilities, l := p.Initialized()
		to.agreed = append(to.agreed, s.agreed...)
		to.peers = append(to.peers, wire.NewPeer(p.ID, capabilities, to.Repeat(l)))
	}
}

// mind ends a step when all of it was done.
func (g *Guide) mind(s *session) {
	for {
		s.guard.Lock()
		done, stepped := s.done(), s.stepped
		s.guard.Unlock()
		if done && s.sleep(linger) {
			g.moves.Lock()
			g.guard.Lock()
			current := g.now == s
			g.guard.Unlock()
			if current {
				g.finish()
			}
			g.moves.Unlock()
			return
		}
		select {
		case <-stepped:
		case <-s.ctx.Done():
			return
		}
	}
}

// Finish ends the running step, if there is one, and judges what it lacks.
func (g *Guide) Finish() {
	g.moves.Lock()
	defer g.moves.Unlock()
	g.finish()
}

// finish is Finish. The caller holds moves.
func (g *Guide) finish() {
	g.guard.Lock()
	s := g.now
	g.guard.Unlock()
	if s == nil {
		return
	}
	next := g.enter(staging{lobby, s.protocol, s.transport})
	s.hand(next)
	g.at.Serve(next.Conversation)
	s.guard.Lock()
	s.closed = true
	s.guard.Unlock()
	s.end()
	s.playing.Wait()
	for _, f := range s.flows {
		if f.now().answered == 0 && f.now().stopped == 0 {
			f.fail(stepOver)
		}
	}
	s.noteEra()
	s.block("the step ended before that")
	result := judged(s, output{})
	g.guard.Lock()
	g.done[s.scenario.Name], g.now, g.lobby = s, nil, next
	done := len(g.done)
	g.guard.Unlock()
	s.Note(0, "the step is over") // wakes who waits in Changed
	if g.config.Progress != nil {
		g.config.Progress(done, len(g.todo), result)
	}
}

// stepOver is what calls come to that a step leaves behind.
const stepOver = "This step of the checklist is over."

// Snapshot returns the report as it stands: a result for each step that was
// started. A running one has verdicts on what was seen so far, and [Info] on
// what was not.
func (g *Guide) Snapshot() Report {
	report := Report{Suite: Version(), Host: g.config.Host, Started: g.began, Took: time.Since(g.began), Results: []Result{}}
	for _, one := range g.todo {
		if s, state := g.find(one.scenario.Name); s != nil {
			report.Results = append(report.Results, result(s, output{}, state == StepDone))
		}
	}
	return report
}

// Changed returns a channel that is closed when something new is to be seen in
// Checklist or Snapshot. Get it before looking at them.
func (g *Guide) Changed() <-chan struct{} {
	g.guard.Lock()
	s := g.now
	g.guard.Unlock()
	if s == nil {
		s = g.between()
	}
	return s.Changed()
}

// Close ends the running step and closes the ports.
func (g *Guide) Close() error {
	g.stop()
	g.Finish()
	g.minded.Wait()
	g.at.Close()
	last := g.between()
	last.end()
	last.playing.Wait()
	return nil
}
