package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// errFound is that a figure is not what it is to be.
var errFound = errors.New("a figure is not what it is to be")

// figures are what came of a round of breaking.
type figures struct {
	tally
	concurrent, lost, failed                               []string
	early, double, runs                                    int
	inDoubt, reprompts, presentedAgain, arrivedLate, woken int
}

func (r *round) figures() figures {
	f := figures{early: r.server.Count(fakeas.Poll, "slow_down")}
	f.runs, f.double = r.server.runs()
	r.processes.mu.Lock()
	f.inDoubt, f.failed = r.processes.inDoubt, slices.Clone(r.processes.failed)
	r.processes.mu.Unlock()
	j := r.server.journal
	j.mu.Lock()
	f.concurrent, f.lost = slices.Clone(j.concurrent), slices.Clone(j.lost)
	f.inDoubt = max(f.inDoubt, j.again+j.unwritten) // of files nobody tells
	f.reprompts, f.presentedAgain, f.arrivedLate, f.woken = j.reprompts, j.again, j.late, j.woken
	j.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	f.tally = r.tally
	f.failures = maps.Clone(r.tally.failures)
	return f
}

// wrong reports whether there is something that never is to be.
func (f *figures) wrong() bool {
	return len(f.concurrent)+len(f.lost)+len(f.failed)+f.early+f.double+f.protocolErrors+f.unexplained+f.notRun > 0
}

func (r *round) isWrong() bool {
	f := r.figures()
	return f.wrong()
}

// report prints the figures, and says whether one is not what it is to be.
func (r *round) report() error {
	f := r.figures()
	fmt.Fprintf(r.out, "concurrent-uses=%d lost-acknowledged-grants=%d early-polls=%d double-runs=%d\n", len(f.concurrent), len(f.lost), f.early, f.double)
	fmt.Fprintf(r.out, "in-doubt=%d reprompts=%d presented-again=%d arrived-late=%d abandoned=%d abandoned-by-the-living=%d asked-by-woken=%d\n",
		f.inDoubt, f.reprompts, f.presentedAgain, f.arrivedLate, f.abandoned, f.unexplained, f.woken)
	fmt.Fprintf(r.out, "calls=%d answered=%d answered-again=%d answered-and-not-run=%d handler-runs=%d prompts=%d protocol-errors=%d\n", f.calls, f.answered, f.tally.again, f.notRun, f.runs, f.prompts, f.protocolErrors)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, how := range slices.Sorted(maps.Keys(r.histogram)) {
		fmt.Fprintf(r.out, "  %-24s %3d %s\n", how, r.histogram[how], strings.Repeat("#", r.histogram[how]))
	}
	for _, why := range slices.Sorted(maps.Keys(f.failures)) {
		fmt.Fprintf(r.out, "  given up: %3d %s\n", f.failures[why], why)
	}
	for _, how := range f.concurrent {
		fmt.Fprintf(r.out, "  at once: %s\n", how)
	}
	for _, what := range f.lost[:min(len(f.lost), 5)] {
		fmt.Fprintf(r.out, "  lost: %s\n", what)
	}
	for _, how := range f.failed {
		fmt.Fprintf(r.out, "  a process has failed: %s\n", how)
	}
	if f.wrong() || f.answered == 0 {
		return errFound
	}
	return nil
}
