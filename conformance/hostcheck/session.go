package hostcheck

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// A session is one scenario under way: what the host asked, and what the server
// that is played here waits for. That server speaks one protocol over one transport.
type session struct {
	*wire.Conversation
	*person
	*observer
	*latch
	scenario            Scenario
	protocol, transport string
	task                Task

	ctx context.Context // ends when the scenario is over
	end context.CancelFunc

	playing sync.WaitGroup // of flows

	// How the host ended, and whether that is all right; empty if it was not let to.
	// They are set when it has.
	ending  string
	orderly bool
	endedAt time.Duration // when it was noticed that it had ended by itself; zero if it had not

	// Guarded by the latch.
	peers    []*wire.Peer // those that have initialized
	agreed   []string     // with which protocol version
	able     []string     // what the host can be told to do, beside calling tools
	ended    []serverEnd  // of server processes, that the host brought about
	moved    bool         // a header is called otherwise now
	lost     []string     // the sessions of HTTP that the server ended
	lostAt   int          // the event of that
	deleted  []string     // those that the host ended
	requests []*call
	flows    []*flow
	pending  map[string]chan *wire.Line // the server's own requests, by id
	asked    map[string]bool            // those that were ever made, and whether they were answered
	inputs   map[string]bool            // the names of all input requests that there were
	strayed  time.Duration              // when a stray notice came while a prompt was open; zero if none did
	mistaken string                     // what is wrong with a call of its; empty if nothing is
	serial   bool                       // the host makes one call at a time
	took     time.Duration              // how long it was, once it is closed
}

// A serverEnd is how a host ended a server process.
type serverEnd struct {
	closed bool // it closed its standard input
	event  int
}

// A latch guards what a session and its person know, and wakes who waits for that to
// change.
type latch struct {
	guard   sync.Mutex    // nothing waits under it
	closed  bool          // nothing is taken any more
	stepped chan struct{} // closed and replaced when something changes
}

func newSession(ctx context.Context, sc Scenario, protocol, transport string) *session {
	s := &session{
		scenario: sc, protocol: protocol, transport: transport,
		latch:   &latch{stepped: make(chan struct{})},
		pending: make(map[string]chan *wire.Line), asked: make(map[string]bool), inputs: make(map[string]bool),
	}
	s.plan()
	s.ctx, s.end = context.WithCancel(ctx)
	s.Conversation = wire.NewConversation(s.ctx, s, protocol == Modern, transport == HTTP)
	s.Answers = sc.answers
	s.observer = newObserver(s.Record, sc.Checks, protocol, transport)
	s.person = newPerson(s.Record, s.latch, sc.Name)
	return s
}

// step wakes who waits in await. The caller holds guard.
func (l *latch) step() {
	close(l.stepped)
	l.stepped = make(chan struct{})
}

// await waits until ok, which is called under guard, is true. It returns false
// if that takes longer than limit or the context ends.
func (l *latch) await(ctx context.Context, limit time.Duration, ok func() bool) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		l.guard.Lock()
		done, stepped := ok(), l.stepped
		l.guard.Unlock()
		if done {
			return true
		}
		select {
		case <-stepped:
		case <-timer.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// sleep waits; it returns false if the scenario ended before.
func (s *session) sleep(d time.Duration) bool { return sleep(s.ctx, d) }

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// close takes nothing more.
func (s *session) close() {
	s.guard.Lock()
	defer s.guard.Unlock()
	s.closed, s.took = true, s.Now()
}

// done says whether every call of the task was made and answered. The caller
// holds guard.
func (s *session) done() bool {
	if s.scenario.hopeless {
		return len(s.requests) > 0 // no more can come of it
	}
	due := make(map[string]int)
	for _, step := range s.task.Steps {
		for _, c := range step {
			if label := c.label(); !slices.Contains(s.scenario.optional, label) {
				due[label]++
			}
		}
	}
	for _, f := range s.flows {
		if f.over {
			due[f.label]--
		}
	}
	for _, n := range due {
		if n > 0 {
			return false
		}
	}
	return !slices.ContainsFunc(s.flows, func(f *flow) bool { return !f.over })
}

// labelled returns the flows of a label. It takes guard.
func (s *session) labelled(label string) []*flow {
	s.guard.Lock()
	defer s.guard.Unlock()
	var out []*flow
	for _, f := range s.flows {
		if f.label == label {
			out = append(out, f)
		}
	}
	return out
}

// together waits until calls with all of these labels are under way. If they do
// not come, the host makes one call at a time, as it may.
func (s *session) together(labels ...string) {
	limit := 10 * time.Second
	if s.guided {
		limit = 20 * time.Second // a person may have to allow each call
	}
	all := s.await(s.ctx, limit, func() bool {
		return s.serial || !slices.ContainsFunc(labels, func(label string) bool {
			return !slices.ContainsFunc(s.flows, func(f *flow) bool { return f.label == label })
		})
	})
	if !all && s.ctx.Err() == nil {
		s.guard.Lock()
		s.serial = true
		s.guard.Unlock()
		s.excuse("the host makes one call at a time")
	}
}

// nextCall is the label of the call that shows that a host goes on.
const nextCall = "next"

// goesOn says whether the host made the last call of the task, and with what.
func (s *session) goesOn() (*flow, bool) {
	if fs := s.labelled(nextCall); len(fs) > 0 {
		return fs[0], true
	}
	return nil, false
}
