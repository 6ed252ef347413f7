// Package report writes what a run of hostcheck came to, for people and for
// programs:
//
//   - [Text]: a summary for a terminal or a log
//   - [HTML]: one page that needs nothing but itself, with the recorded conversations
//   - [JSON]: the whole report
//   - [JUnit]: XML for continuous integration
//   - [Checks]: checks.json, in the shape of the official conformance suite
//
// [Write] writes all but the first into a folder. Much of what is in a report
// comes from the host under test; whatever it holds, it neither gets out of its
// place in a file nor reaches a terminal as anything but visible text.
package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// Options say how a report is written. The zero value is good.
type Options struct {
	// Strict counts warnings as failures, as the official suite does.
	Strict bool
	// OfficialIDs has Write name checks in checks.json as the official suite does where it
	// makes them, too: its traceability manifest reads ids and nothing else.
	OfficialIDs bool

	// Verbose has Text list every run and what was skipped.
	Verbose bool
	// Colour has Text use the colours of a terminal.
	Colour bool
	// Width is that of Text, in columns. Zero means 80.
	Width int
}

// counts are how many checks came to each status.
type counts map[hostcheck.Status]int

func (c counts) add(checks []hostcheck.Check) {
	for _, check := range checks {
		c[told(check)]++
	}
}

// unreached is told in place of the status of a check that was not reached: it says
// nothing of the requirement, and counts as its level has it.
const unreached hostcheck.Status = "NOT-REACHED"

// told is the status of a check, as it is told.
func told(c hostcheck.Check) hostcheck.Status {
	if !c.Reached() {
		return unreached
	}
	return c.Status
}

// statuses are in the order in which people want to see them.
var statuses = []hostcheck.Status{hostcheck.Failure, unreached, hostcheck.Warning, hostcheck.Success, hostcheck.Skipped, hostcheck.Info}

// inWords are the statuses as a summary puts them, after a number.
var inWords = map[hostcheck.Status]string{
	hostcheck.Failure: "failed",
	unreached:         "not reached",
	hostcheck.Warning: "warned",
	hostcheck.Success: "passed",
	hostcheck.Skipped: "skipped",
	hostcheck.Info:    "for information",
}

// String is, for example, "1 failed, 12 passed, 3 skipped".
func (c counts) String() string {
	var parts []string
	for _, s := range statuses {
		if c[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c[s], inWords[s]))
		}
	}
	if parts == nil {
		return "no checks"
	}
	return strings.Join(parts, ", ")
}

// verdict is the worst status that there is.
func (c counts) verdict() hostcheck.Status {
	for _, s := range statuses {
		if c[s] > 0 {
			return s
		}
	}
	return hostcheck.Skipped
}

// bySeverity returns the checks, failures first, otherwise in their order.
func bySeverity(checks []hostcheck.Check) []hostcheck.Check {
	sorted := slices.Clone(checks)
	slices.SortStableFunc(sorted, func(a, b hostcheck.Check) int {
		return slices.Index(statuses, told(a)) - slices.Index(statuses, told(b))
	})
	return sorted
}

// A finding is a check of a scenario that failed or warned, with all the runs
// in which it did.
type finding struct {
	scenario, title string
	about           string          // what happens in the scenario
	check           hostcheck.Check // the worst one
	seen            []sighting
}

// A sighting is what was seen in one or more runs alike.
type sighting struct {
	message string
	in      []*hostcheck.Result
}

// findings gathers the checks of one status over all runs, in the order in
// which they first appear. Those that were not reached are not among them. What
// is wrong in any scenario is one finding, also where a scenario exists for it.
func findings(r *hostcheck.Report, status hostcheck.Status) []*finding {
	fails := func(check hostcheck.Check) bool { return check.Status == status && check.Reached() }
	wide := make(map[string]bool) // what failed in passing somewhere is told there, with all that is like it
	for _, result := range r.Results {
		for _, check := range result.Checks {
			wide[check.ID] = wide[check.ID] || fails(check) && passing(result.Scenario, check.ID)
		}
	}
	var list []*finding
	for i := range r.Results {
		result := &r.Results[i]
		for _, check := range result.Checks {
			if !fails(check) {
				continue
			}
			scenario, title, about := result.Scenario, result.Title, result.Description
			if wide[check.ID] {
				scenario, title, about = everywhere, "What holds in any scenario", "" // and is told once
			}
			at := slices.IndexFunc(list, func(f *finding) bool { return f.scenario == scenario && f.check.ID == check.ID })
			if at < 0 {
				at = len(list)
				list = append(list, &finding{scenario: scenario, title: title, about: about, check: check})
			}
			list[at].sighted(Why(check), result)
		}
	}
	return list
}

// everywhere stands for the scenario of a finding that none of them exists for.
const everywhere = "everywhere"

// passing says whether a check is made in passing: it holds everywhere, and the
// scenario does not exist for it.
func passing(scenario, check string) bool {
	holds := slices.ContainsFunc(hostcheck.Requirements(), func(r hostcheck.Requirement) bool { return r.ID == check && r.Everywhere })
	return holds && !slices.ContainsFunc(hostcheck.Scenarios(), func(s hostcheck.Scenario) bool {
		return s.Name == scenario && slices.Contains(s.Checks, check)
	})
}

// expected says whether the baseline names the finding in each scenario where it was seen.
func (f *finding) expected(b *hostcheck.Baseline) bool {
	return !slices.ContainsFunc(f.seen, func(s sighting) bool {
		return slices.ContainsFunc(s.in, func(r *hostcheck.Result) bool { return !expected(b, r.Scenario, f.check.ID) })
	})
}

// where names the runs of a sighting, and for what holds everywhere the scenarios.
func (f *finding) where(s sighting) string {
	if f.scenario != everywhere {
		return runs(s.in)
	}
	var names []string
	for _, r := range s.in {
		if !slices.Contains(names, r.Scenario) {
			names = append(names, r.Scenario)
		}
	}
	const most = 3
	if len(names) > most {
		names = append(names[:most:most], fmt.Sprintf("%d more", len(names)-most))
	}
	return runs(s.in) + " (" + strings.Join(names, ", ") + ")"
}

func (f *finding) sighted(message string, in *hostcheck.Result) {
	for i := range f.seen {
		if f.seen[i].message == message {
			if !slices.Contains(f.seen[i].in, in) {
				f.seen[i].in = append(f.seen[i].in, in)
			}
			return
		}
	}
	f.seen = append(f.seen, sighting{message, []*hostcheck.Result{in}})
}

// An obstacle is why checks were not reached, with all that it stood in the
// way of.
type obstacle struct {
	reason string
	before []*shadow
}

// lastWords is the last line that a host wrote to standard error in one of the runs, and
// which; nil if none wrote any. It is often why the host ended.
func (o *obstacle) lastWords() (string, *hostcheck.Result) {
	for _, s := range o.before {
		for _, r := range s.in {
			lines := strings.Split(strings.TrimSpace(r.HostOutput), "\n")
			if last := line(lines[len(lines)-1]); last != "" {
				return last, r
			}
		}
	}
	return "", nil
}

// A shadow is what an obstacle kept from being checked in one scenario.
type shadow struct {
	scenario string
	checks   []string
	in       []*hostcheck.Result
}

// obstacles gathers the checks that were not reached, by their reasons, in the
// order in which they first appear.
func obstacles(r *hostcheck.Report) []*obstacle {
	var list []*obstacle
	for i := range r.Results {
		result := &r.Results[i]
		for _, check := range result.Checks {
			reason, ok := strings.CutPrefix(check.ErrorMessage, hostcheck.NotTestable)
			if !ok {
				continue
			}
			at := slices.IndexFunc(list, func(o *obstacle) bool { return o.reason == reason })
			if at < 0 {
				at = len(list)
				list = append(list, &obstacle{reason: reason})
			}
			list[at].hit(check.ID, result)
		}
	}
	return list
}

func (o *obstacle) hit(check string, in *hostcheck.Result) {
	at := slices.IndexFunc(o.before, func(s *shadow) bool { return s.scenario == in.Scenario })
	if at < 0 {
		at = len(o.before)
		o.before = append(o.before, &shadow{scenario: in.Scenario})
	}
	s := o.before[at]
	if !slices.Contains(s.checks, check) {
		s.checks = append(s.checks, check)
	}
	if !slices.Contains(s.in, in) {
		s.in = append(s.in, in)
	}
}

// runs names runs: "2025-11-25 over stdio and http; 2026-07-28 over http".
func runs(results []*hostcheck.Result) string {
	var protocols []string
	over := make(map[string][]string)
	for _, r := range results {
		if !slices.Contains(protocols, r.Protocol) {
			protocols = append(protocols, r.Protocol)
		}
		if !slices.Contains(over[r.Protocol], r.Transport) {
			over[r.Protocol] = append(over[r.Protocol], r.Transport)
		}
	}
	parts := make([]string, len(protocols))
	for i, p := range protocols {
		parts[i] = p + " over " + strings.Join(over[p], " and ")
	}
	return strings.Join(parts, "; ")
}

// toldBefore says whether what became of the host is the reason that it gives for
// what was not reached.
func toldBefore(r *hostcheck.Report, reason string) bool {
	return slices.ContainsFunc(r.Results, func(result hostcheck.Result) bool {
		return slices.ContainsFunc(result.Checks, func(c hostcheck.Check) bool {
			return c.ID == hostcheck.TaskID && c.Status == hostcheck.Failure && strings.HasPrefix(c.ErrorMessage, reason)
		})
	})
}

// level is that of the requirement behind a check, and whether the text says so
// itself; empty if the catalogue does not have it.
func level(checkID string) string {
	for _, r := range hostcheck.Requirements() {
		if r.ID == checkID {
			if r.Derived {
				return string(r.Level) + ", derived"
			}
			return string(r.Level)
		}
	}
	return ""
}

// Why is what a check says of itself: what was wrong, or the reason for which
// it was not decided.
func Why(c hostcheck.Check) string {
	if c.ErrorMessage != "" {
		return c.ErrorMessage
	}
	for _, key := range []string{"reason", "note"} {
		if text, ok := c.Details[key].(string); ok {
			return text
		}
	}
	return ""
}

// command is the host's command line as it can be read, and mostly as it can
// be typed.
func command(host []string) string {
	words := make([]string, len(host))
	for i, word := range host {
		words[i] = visible(word)
		if word == "" || strings.ContainsAny(word, " \t\n'\"\\$`&|;<>(){}*?#!~") {
			words[i] = "'" + strings.ReplaceAll(words[i], "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

// took is a duration as people read it.
func took(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
}

// identity is what was checked by what: "rawhost 1.0.0, checked by hostcheck v0.1.0";
// empty if neither is known.
func identity(r *hostcheck.Report) string {
	var parts []string
	for _, c := range r.Clients() {
		parts = append(parts, clientName(c))
	}
	who := strings.Join(parts, " and ")
	switch {
	case r.Suite == "":
		return who
	case who == "":
		return "hostcheck " + line(r.Suite)
	}
	return who + ", checked by hostcheck " + line(r.Suite)
}

// clientName is the name and the version that a host gives itself.
func clientName(c hostcheck.Implementation) string {
	return strings.TrimSpace(line(c.Name) + " " + line(c.Version))
}

// counted is a number of checks with their status: "2 warned".
func counted(n int, s hostcheck.Status) string { return fmt.Sprintf("%d %s", n, inWords[s]) }

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
