package store_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// This file runs machines that share a store in every order there is: the code as it is, and not a
// model of it. A machine stands still before each step that others can tell: a request to the store, one to the
// server, and its answer. Once all stand still, a step is chosen: one goes on, dies, or loses an answer; time
// passes, as long as one that is stopped may need; the store's clock steps. All choices are made, by
// running the machines again from the beginning for each; what leads to a state that was there before is cut off.

// A program is what machines do, and what must hold.
type program struct {
	begin    func(x *execution) // what is there before they run
	machines []func(m *machine)
	holds    func(x *execution) // calls x.violate if it does not; machines have ended
	state    func(x *execution) string
}

// Budgets are how often something may happen in one execution.
type budgets struct{ kills, losses, pauses, steps, delays int }

func (b budgets) String() string {
	text := fmt.Sprintf("%d kills, %d lost answers, %d pauses, %d clock steps at the most", b.kills, b.losses, b.pauses, b.steps)
	if b.delays > 0 {
		text += fmt.Sprintf(", and %d late requests", b.delays)
	}
	return text
}

// How long things take here. A lease of 6 s ends for its machine after 4, and what it sends is
// sent within 3.
const (
	modelBound = time.Second
	modelLease = 6 * time.Second
	quantum    = 2 * time.Second // in which each machine that waits for a lease looks again
)

// pauses are those of which the first ends while the lease lasts, and the second after it.
var pauses = []time.Duration{2500 * time.Millisecond, 7 * time.Second}

// An explorer makes all choices, one after the other.
type explorer struct {
	path    []int // the choices of this execution
	widths  []int // of how many each was one
	depth   int   // of the next choice
	visited map[string]bool
	runs    int
}

// choose returns the next choice of n; -1 if all that can follow has been seen.
func (e *explorer) choose(n int, state string) int {
	if e.depth == len(e.path) {
		if e.visited[state] {
			return -1
		}
		e.visited[state] = true
		e.path, e.widths = append(e.path, 0), append(e.widths, n)
	}
	e.depth++
	return e.path[e.depth-1]
}

// next goes to the next path, and reports whether there is one.
func (e *explorer) next() bool {
	e.path, e.widths = e.path[:e.depth], e.widths[:e.depth]
	e.depth = 0
	for len(e.path) > 0 {
		last := len(e.path) - 1
		if e.path[last]++; e.path[last] < e.widths[last] {
			return true
		}
		e.path, e.widths = e.path[:last], e.widths[:last]
	}
	return false
}

// An execution is one run of a program.
type execution struct {
	explorer *explorer
	left     budgets
	engine   *store.SharedMemory
	shared   store.Shared // the engine, perhaps without a guard
	watcher  *store.Fleet // reads for what is checked
	machines []*machine
	server   server
	began    time.Time

	mu       sync.Mutex // guards what follows, and what machines say of themselves
	late     []request
	stepped  time.Duration
	trace    []string
	violated string
	acked    int // the greatest token that somebody was told is stored
	doubts   int // presentations in doubt
	starts   int
	ended    bool // the end of the grant was acknowledged
}

func (x *execution) say(format string, args ...any) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.trace = append(x.trace, fmt.Sprintf("%5.1fs  ", time.Since(x.began).Seconds())+fmt.Sprintf(format, args...))
}

func (x *execution) violate(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	x.say("VIOLATED: %s", text)
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.violated == "" {
		x.violated = text
	}
}

// show is what matters of a row, without what differs from run to run.
func (x *execution) show(row *store.Row) string {
	if row == nil {
		return "nothing"
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now().Add(x.stepped)
	owner := "nobody"
	for _, m := range x.machines {
		if m.fleet.Incarnation() == row.Owner {
			owner = m.name
		}
	}
	left := func(at time.Time) time.Duration {
		if at.IsZero() {
			return -1
		}
		return max(at.Sub(now), -time.Nanosecond)
	}
	return fmt.Sprintf("%s %v due %v fence %d generation %d content %t", owner, left(row.Until), left(row.Due), row.Fence, row.Generation, row.Content != nil)
}

// state tells executions apart that may go on differently.
func (x *execution) state(p *program) string {
	var b strings.Builder
	x.mu.Lock()
	fmt.Fprintf(&b, "%v %v %v|", time.Since(x.began), x.stepped, x.left)
	for _, m := range x.machines {
		fmt.Fprintf(&b, "%s %v %t %t %q;", m.at, m.since, m.dead, m.done, m.history)
	}
	fmt.Fprintf(&b, "|%v %d %d %d %t|", x.server.state(), x.acked, x.doubts, x.starts, x.ended)
	for _, r := range x.late {
		b.WriteString(r.what + ";")
	}
	x.mu.Unlock()
	b.WriteString(p.state(x))
	return b.String()
}

// stand returns the steps that living machines stand before.
func (x *execution) stand() map[*machine]string {
	x.mu.Lock()
	defer x.mu.Unlock()
	at := make(map[*machine]string)
	for _, m := range x.machines {
		if !m.dead {
			at[m] = m.at
		}
	}
	return at
}

// over reports whether nothing more can happen, or something was violated.
func (x *execution) over() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	over := true
	for _, m := range x.machines {
		over = over && (m.done || m.dead)
	}
	return over || x.violated != ""
}

func (x *execution) hasLate() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.late) > 0
}

// arrives has the first of the late requests get to the store.
func (x *execution) arrives() {
	x.mu.Lock()
	first := x.late[0]
	x.late = x.late[1:]
	x.mu.Unlock()
	x.say("what was late arrives: %s", first.what)
	first.make()
}

// actions are those that are possible, when all stand still.
func (x *execution) actions() (all []func()) {
	release := func(m *machine, o outcome) {
		x.mu.Lock()
		goes := m.goes
		m.at, m.goes = "", nil
		if o == dies {
			m.dead = true
		}
		x.mu.Unlock()
		goes <- o
		if o == dies {
			m.kill()
		}
	}
	at := x.stand()
	for _, m := range x.machines {
		if at[m] != "" {
			all = append(all, func() { release(m, goesOn) })
		}
	}
	if all == nil {
		return nil // they wait for time to pass
	}
	if x.hasLate() {
		all = append(all, x.arrives)
	}
	for _, m := range x.machines {
		if at[m] == "" {
			continue
		}
		if x.left.losses > 0 && at[m] != "asks" && at[m] != "reads" {
			all = append(all, func() { x.left.losses--; release(m, loses) })
			if at[m] != "hears" && at[m] != "starts" {
				all = append(all, func() { x.left.losses--; release(m, never) })
			}
		}
		if x.left.delays > 0 && (at[m] == "begins" || at[m] == "writes" || at[m] == "inserts") {
			all = append(all, func() { x.left.delays--; release(m, delays) })
		}
		if x.left.kills > 0 {
			all = append(all, func() {
				x.left.kills--
				x.say("%s: is killed, and %s no more", m.name, at[m])
				release(m, dies)
			})
		}
	}
	if x.left.pauses > 0 {
		for _, d := range pauses {
			all = append(all, func() {
				x.left.pauses--
				x.say("all stand still for %v", d)
				time.Sleep(d)
			})
		}
	}
	if x.left.steps > 0 {
		for _, d := range []time.Duration{store.ClockStep, -store.ClockStep} {
			all = append(all, func() {
				x.left.steps--
				x.say("the store's clock steps by %v", d)
				x.mu.Lock()
				defer x.mu.Unlock()
				x.stepped += d
			})
		}
	}
	return all
}

// run runs the program once, as far as the explorer wants it.
func (x *execution) run(t *testing.T, p *program, without func(store.Shared) store.Shared) (cut bool) {
	x.began = time.Now()
	x.engine = store.NewSharedMemory(func() time.Time {
		x.mu.Lock()
		defer x.mu.Unlock()
		return time.Now().Add(x.stepped)
	})
	x.shared = without(x.engine)
	options := &store.FleetOptions{Bound: modelBound, Lease: modelLease, Wait: time.Minute}
	x.watcher = aFleet(t, x.engine, options)
	p.begin(x)
	for n, do := range p.machines {
		m := newMachine(t, x, string(rune('A'+n)), do)
		m.fleet = aFleet(t, link{x.shared, m}, options)
		x.machines = append(x.machines, m)
	}
	var running sync.WaitGroup
	defer running.Wait() // time goes on until then
	for _, m := range x.machines {
		running.Go(func() {
			defer func() {
				x.mu.Lock()
				defer x.mu.Unlock()
				m.done = true
			}()
			m.do(m)
		})
	}
	for {
		synctest.Wait()
		if x.over() {
			break
		}
		actions := x.actions()
		if len(actions) == 0 {
			time.Sleep(quantum)
			continue
		}
		n := x.explorer.choose(len(actions), x.state(p))
		if n < 0 {
			cut = true
			break
		}
		actions[n]()
	}
	for !cut && x.hasLate() {
		x.arrives()
	}
	if !cut && !x.isViolated() {
		p.holds(x)
	}
	for _, m := range x.machines { // those that stand still, or wait, end
		x.mu.Lock()
		m.dead = true
		goes := m.goes
		x.mu.Unlock()
		m.kill()
		if goes != nil {
			goes <- dies
		}
	}
	return cut
}

func (x *execution) isViolated() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.violated != ""
}

// explore runs the program in every order, until something is violated, and returns the trace of that.
func explore(t *testing.T, p *program, b budgets, without func(store.Shared) store.Shared) (trace []string, runs int) {
	t.Helper()
	e := &explorer{visited: make(map[string]bool)}
	for {
		x := &execution{explorer: e, left: b}
		synctest.Test(t, func(t *testing.T) { x.run(t, p, without) })
		e.runs++
		if x.violated != "" {
			return x.trace, e.runs
		}
		if !e.next() {
			return nil, e.runs
		}
	}
}
