package hostcheck

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A Guide stages scenarios with a host that a person works by hand. The person
// configures the host once with the one server at [Guide.Server], and then
// follows the steps of [Guide.Checklist]. All methods may be called
// concurrently. The owner calls Close.
type Guide struct {
	config Config
	venue  *venue
	todo   []staging
	began  time.Time
	ctx    context.Context // ends with the guide
	stop   context.CancelFunc
	minded sync.WaitGroup

	moves sync.Mutex // held while a step begins or ends
	guard sync.Mutex
	done  map[string]*stage // by scenario; the latest time it was done
	now   *stage            // the running step; nil between two
	lobby *stage            // where the host is between steps; the running step's is over
}

// A Step is one scenario of a guided run.
type Step struct {
	Scenario    string     `json:"scenario"`
	Title       string     `json:"title"`
	Instruction string     `json:"instruction"` // what the person is to do
	State       string     `json:"state"`       // StepWaiting, StepRunning or StepDone
	Questions   []Question `json:"questions"`   // what only the person can see
}

// The states of a step.
const (
	StepWaiting = "waiting"
	StepRunning = "running"
	StepDone    = "done"
)

// A Question is a requirement that a person judges by eye: does the host do
// this?
type Question struct {
	Check  string `json:"check"`  // the ID of the requirement
	Text   string `json:"text"`   // to be answered with yes or no
	Answer string `json:"answer"` // "yes", "no" or "" while open
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
// steps.
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
	v, err := open(loopback{})
	if err != nil {
		return nil, err
	}
	g := &Guide{config: c, venue: v, todo: todo, began: time.Now(), done: make(map[string]*stage)}
	g.ctx, g.stop = context.WithCancel(context.Background())
	g.lobby = g.enter(staging{lobby, protocol, transport})
	v.stage.Store(g.lobby)
	return g, nil
}

// enter makes a stage at the guide's venue.
func (g *Guide) enter(s staging) *stage {
	st := newStage(g.ctx, s.scenario, s.protocol, s.transport)
	st.guided = true
	g.config.seat(st, g.venue)
	return st
}

// Server returns how the host is to be configured to reach the server.
func (g *Guide) Server() Server { return g.between().task.Server }

// between is the latest stage between two steps.
func (g *Guide) between() *stage {
	g.guard.Lock()
	defer g.guard.Unlock()
	return g.lobby
}

// Connected says whether the host has connected at least once.
func (g *Guide) Connected() bool { return g.venue.wasReached() }

// Checklist returns all steps as they stand.
func (g *Guide) Checklist() []Step {
	out := make([]Step, len(g.todo))
	for i, s := range g.todo {
		st, state := g.find(s.scenario.Name)
		out[i] = Step{
			Scenario: s.scenario.Name, Title: s.scenario.Title, Instruction: s.scenario.Ask, State: state,
			Questions: questions(s, st),
		}
	}
	return out
}

// find returns the stage of a step, nil if it was not started.
func (g *Guide) find(scenario string) (*stage, string) {
	g.guard.Lock()
	defer g.guard.Unlock()
	if g.now != nil && g.now.scenario.Name == scenario {
		return g.now, StepRunning
	}
	if st := g.done[scenario]; st != nil {
		return st, StepDone
	}
	return nil, StepWaiting
}

// questions are those of a step, with the answers so far.
func questions(s staging, st *stage) []Question {
	var out []Question
	for _, id := range s.scenario.Checks {
		r := byID(id)
		if !r.appliesTo(s.protocol, s.transport) || !slices.Contains(r.Observed, UI) || id == "A7" {
			continue // A7 follows from what the person was told to press
		}
		q := Question{Check: id, Text: r.Text}
		if st != nil {
			st.guard.Lock()
			q.Answer = st.eye[id]
			st.guard.Unlock()
		}
		out = append(out, q)
	}
	return out
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
	st, before := g.enter(g.todo[i]), g.between()
	before.hand(st)
	g.guard.Lock()
	g.now = st
	g.guard.Unlock()
	g.venue.stage.Store(st)
	before.end()
	before.note(0, "step "+scenario+" begins") // wakes who waits in Changed
	g.minded.Go(func() { g.mind(st) })
	return nil
}

// hand passes on what the host said when it connected.
func (st *stage) hand(to *stage) {
	st.guard.Lock()
	sessions, streams := slices.Clone(st.sessions), slices.Clone(st.streams)
	st.guard.Unlock()
	to.streams = streams
	for _, s := range sessions {
		l := *s.line
		to.mu.Lock()
		l.event, l.at = to.add(spoken(FromHost, l.conn, l.raw, true)), 0
		to.conns = max(to.conns, l.conn)
		to.mu.Unlock()
		to.sessions = append(to.sessions, &session{id: s.id, capabilities: s.capabilities, line: &l})
	}
}

// mind ends a step when all of it was done.
func (g *Guide) mind(st *stage) {
	for {
		st.guard.Lock()
		done, stepped := st.done(), st.stepped
		st.guard.Unlock()
		if done && st.sleep(linger) {
			g.moves.Lock()
			g.guard.Lock()
			current := g.now == st
			g.guard.Unlock()
			if current {
				g.finish()
			}
			g.moves.Unlock()
			return
		}
		select {
		case <-stepped:
		case <-st.ctx.Done():
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
	st := g.now
	g.guard.Unlock()
	if st == nil {
		return
	}
	next := g.enter(staging{lobby, st.protocol, st.transport})
	st.hand(next)
	g.venue.stage.Store(next)
	st.guard.Lock()
	st.closed = true
	st.guard.Unlock()
	st.end()
	st.playing.Wait()
	for _, f := range st.flows {
		if f.now().answered == 0 && f.now().stopped == 0 {
			f.fail("This step of the checklist is over.")
		}
	}
	st.block("the step ended before that")
	result := st.judged("")
	g.guard.Lock()
	g.done[st.scenario.Name], g.now, g.lobby = st, nil, next
	done := len(g.done)
	g.guard.Unlock()
	st.note(0, "the step is over") // wakes who waits in Changed
	if g.config.Progress != nil {
		g.config.Progress(done, len(g.todo), result)
	}
}

// Answer records what the person says about a question of a step that was
// started. It fails if there is no such question.
func (g *Guide) Answer(scenario, check string, yes bool) error {
	st, _ := g.find(scenario)
	if st == nil {
		return fmt.Errorf("hostcheck: step %q was not started", scenario)
	}
	s := staging{st.scenario, st.protocol, st.transport}
	if !slices.ContainsFunc(questions(s, nil), func(q Question) bool { return q.Check == check }) {
		return fmt.Errorf("hostcheck: step %q does not ask about %s", scenario, check)
	}
	answer := "no"
	if yes {
		answer = "yes"
	}
	st.guard.Lock()
	if st.eye == nil {
		st.eye = make(map[string]string)
	}
	st.eye[check] = answer
	st.guard.Unlock()
	st.note(0, "the person says "+answer+" to "+check)
	return nil
}

// Snapshot returns the report as it stands: a result for each step that was
// started. A running one has verdicts on what was seen so far, and [Info] on
// what was not.
func (g *Guide) Snapshot() Report {
	report := Report{Host: g.config.Host, Started: g.began, Took: time.Since(g.began), Results: []Result{}}
	for _, s := range g.todo {
		if st, state := g.find(s.scenario.Name); st != nil {
			report.Results = append(report.Results, st.result("", state == StepDone))
		}
	}
	return report
}

// Changed returns a channel that is closed when something new is to be seen in
// Checklist or Snapshot. Get it before looking at them.
func (g *Guide) Changed() <-chan struct{} {
	g.guard.Lock()
	st := g.now
	g.guard.Unlock()
	if st == nil {
		st = g.between()
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.changed
}

// Close ends the running step and closes the ports.
func (g *Guide) Close() error {
	g.stop()
	g.Finish()
	g.minded.Wait()
	g.venue.close()
	last := g.between()
	last.end()
	last.playing.Wait()
	return nil
}
