package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// A verdict is what a requirement came to in all scenarios, in one protocol
// over one transport.
type verdict int

// From what counts most to what counts least: a requirement that was decided in
// one scenario is decided.
const (
	failed verdict = iota
	warned
	passed
	noted // nothing to decide: the host did not do what it may do
	unreached
	skipped
	verdicts
)

// missing is how the suite begins to say that it did not get to a check.
const missing = hostcheck.NotTestable

func verdictOf(c hostcheck.Check) verdict {
	if !c.Reached() {
		return unreached
	}
	switch c.Status {
	case hostcheck.Failure:
		return failed
	case hostcheck.Warning:
		return warned
	case hostcheck.Success:
		return passed
	case hostcheck.Skipped:
		return skipped
	default:
		return noted
	}
}

// A place is a protocol over a transport.
type place struct{ protocol, transport string }

// An entry is a requirement in one place.
type entry struct {
	verdict  verdict
	messages []string // what the suite says of the failures
	section  hostcheck.Reference
}

// tally has the requirements of a measurement, but for what is left aside.
func (m measurement) tally() map[place]map[string]entry {
	all := make(map[place]map[string]entry)
	for _, r := range m.report.Results {
		at := place{r.Protocol, r.Transport}
		if all[at] == nil {
			all[at] = make(map[string]entry)
		}
		for _, c := range r.Checks {
			if m.aside[c.ID] {
				continue
			}
			v := verdictOf(c)
			e, known := all[at][c.ID]
			if !known || v < e.verdict {
				e.verdict = v
			}
			if v == failed {
				e.messages = append(e.messages, c.ErrorMessage)
			}
			if len(c.SpecReferences) > 0 {
				e.section = c.SpecReferences[0]
			}
			all[at][c.ID] = e
		}
	}
	return all
}

// judge finds the judgement on a failure, if there is one that speaks of all
// that was found.
func (m measurement) judge(id string, e entry) (judgement, bool) {
	j, ok := judgements[m.name][id]
	for _, message := range e.messages {
		ok = ok && strings.Contains(message, j.found)
	}
	return j, ok
}

// unsettled are the failures that nobody has judged, and the judgements that
// speak of no failure.
func unsettled(measured []measurement) []string {
	var open []string
	for _, m := range measured {
		used := make(map[string]bool)
		for at, entries := range m.tally() {
			for id, e := range entries {
				if e.verdict != failed {
					continue
				}
				used[id] = true
				if _, ok := m.judge(id, e); !ok {
					open = append(open, fmt.Sprintf("%s, %s over %s: %s failed and has no judgement: %s",
						m.name, at.protocol, at.transport, id, strings.Join(e.messages, "; ")))
				}
			}
		}
		for id := range judgements[m.name] {
			if !used[id] {
				open = append(open, fmt.Sprintf("%s: %s is judged and does not fail", m.name, id))
			}
		}
	}
	slices.Sort(open)
	return open
}

// byID sorts requirements as the catalogue does.
func byID[V any](entries map[string]V) []string {
	order := make(map[string]int)
	for i, r := range hostcheck.Requirements() {
		order[r.ID] = i
	}
	return slices.SortedFunc(maps.Keys(entries), func(a, b string) int { return order[a] - order[b] })
}
