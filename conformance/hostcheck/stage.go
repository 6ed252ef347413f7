package hostcheck

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A stage is one scenario under way: the conversation so far, what the server
// waits for, and what was found. The server that it plays speaks one protocol
// over one transport.
type stage struct {
	*record
	scenario            Scenario
	protocol, transport string
	task                Task
	canary              string // the base of the URLs that prompts carry
	guided              bool   // a person does the task, and has no time-outs

	ctx context.Context // ends when the scenario is over
	end context.CancelFunc

	guard    sync.Mutex // nothing waits under it
	sessions []*session
	requests []*call
	flows    []*flow
	playing  sync.WaitGroup
	prompts  []*prompt
	pending  map[string]chan *line     // the server's own requests, by id
	resumed  map[string]chan reconnect // streams that the host is to come back to
	streams  []channel                 // where a message without a request can go
	findings map[string][]finding
	hooks    map[string]bool // what the host's adapter reports
	dialogs  []*dialog
	openings []opening
	visits   []visit
	outcomes map[string][]Outcome // by the ID of the call
	eye      map[string]string    // what the person says, by requirement: yes or no
	took     time.Duration        // how long it was, once it is closed
	closed   bool                 // nothing is taken any more
	blocked  string               // why the conversation could not go on
	stepped  chan struct{}        // closed and replaced when one of these changes
}

// A session is what is known of a host beyond one request: in the older era
// what it said at initialization.
type session struct {
	id           string // HTTP only
	capabilities json.RawMessage
	line         *line // the initialize request
}

// A channel is a way back to the host. Send returns an error if the host is
// gone.
type channel interface {
	send(raw json.RawMessage) error
	// last says that nothing follows.
	last()
	// gone is closed when the host hung up.
	gone() <-chan struct{}
}

// A finding is a verdict on one occasion. A check is as bad as its worst.
type finding struct {
	mark   mark
	text   string
	events []int
}

// A mark is what an occasion came to, from the worst to what says least.
type mark int

const (
	failed mark = iota
	passed
	noted // nothing to judge: told as INFO
)

func newStage(ctx context.Context, s Scenario, protocol, transport string) *stage {
	st := &stage{
		record: newRecord(), scenario: s, protocol: protocol, transport: transport,
		pending:  make(map[string]chan *line),
		resumed:  make(map[string]chan reconnect),
		findings: make(map[string][]finding),
		hooks:    make(map[string]bool),
		outcomes: make(map[string][]Outcome),
		stepped:  make(chan struct{}),
	}
	st.task.Steps = s.steps(protocol)
	st.ctx, st.end = context.WithCancel(ctx)
	return st
}

// decides says whether the scenario is to judge a requirement here.
func (st *stage) decides(id string) bool {
	return slices.Contains(st.scenario.Checks, id) && byID(id).appliesTo(st.protocol, st.transport)
}

// find records a finding, if the scenario decides that requirement.
func (st *stage) find(id string, m mark, text string, events ...int) {
	if !st.decides(id) {
		return
	}
	st.guard.Lock()
	st.findings[id] = append(st.findings[id], finding{m, text, events})
	st.step()
	st.guard.Unlock()
	st.decided(id, events)
}

// judge records a pass or, with the text, a failure.
func (st *stage) judge(id string, ok bool, text string, events ...int) {
	if ok {
		st.find(id, passed, "", events...)
		return
	}
	st.find(id, failed, text, events...)
}

// block says why the conversation cannot go on; the first reason counts.
func (st *stage) block(why string) {
	st.guard.Lock()
	defer st.guard.Unlock()
	if st.blocked == "" {
		st.blocked = why
	}
}

// step wakes who waits in await. The caller holds guard.
func (st *stage) step() {
	close(st.stepped)
	st.stepped = make(chan struct{})
}

// await waits until ok, which is called under guard, is true. It returns false
// if that takes longer than limit or the scenario ends.
func (st *stage) await(limit time.Duration, ok func() bool) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		st.guard.Lock()
		done, stepped := ok(), st.stepped
		st.guard.Unlock()
		if done {
			return true
		}
		select {
		case <-stepped:
		case <-timer.C:
			return false
		case <-st.ctx.Done():
			return false
		}
	}
}

// sleep waits; it returns false if the scenario ended before.
func (st *stage) sleep(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-st.ctx.Done():
		return false
	}
}

// hasHook says whether the host reports a kind of thing.
func (st *stage) hasHook(name string) bool {
	st.guard.Lock()
	defer st.guard.Unlock()
	return st.hooks[name]
}

// done says whether every call of the task was made and answered. The caller
// holds guard.
func (st *stage) done() bool {
	due := make(map[string]int)
	for _, step := range st.task.Steps {
		for _, c := range step {
			due[fmt.Sprint(c.Arguments["call"])]++
		}
	}
	for _, f := range st.flows {
		if f.over {
			due[f.label]--
		}
	}
	for _, n := range due {
		if n > 0 {
			return false
		}
	}
	return !slices.ContainsFunc(st.flows, func(f *flow) bool { return !f.over })
}
