package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/report"
)

const listHelp = `hostcheck list [flags] [SCENARIO or ID ...]

Lists the scenarios, with what happens in each and which calls the host makes;
and the requirements on hosts with their levels, what is expected, how it can
be observed, where the specification states it, and which scenarios decide it
or why none does. "Derived" stands where the text has no keyword: the level is
then what is read in a definition, a schema or another standard.

  hostcheck list consent A7             these alone
`

func list(args []string, std streams) error {
	set := flag.NewFlagSet("list", flag.ContinueOnError)
	coverage := set.Bool("coverage", false, "say at the end how many of the requirements that show on the wire are\ndecided")
	asJSON := set.Bool("json", false, "as JSON")
	if err := parse(set, args, std, listHelp); err != nil {
		return err
	}
	if *coverage && *asJSON {
		return fmt.Errorf("list: --coverage and --json do not go together; the JSON has a reason for each requirement that is not decided")
	}
	scenarios, requirements, err := named(set.Args())
	if err != nil {
		return err
	}
	if *asJSON {
		encoder := json.NewEncoder(std.out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(struct {
			Scenarios    []hostcheck.Scenario    `json:"scenarios"`
			Requirements []hostcheck.Requirement `json:"requirements"`
		}{scenarios, requirements})
	}

	w := bufio.NewWriter(std.out)
	if len(scenarios) > 0 {
		fmt.Fprintln(w, "SCENARIOS")
	}
	for _, s := range scenarios {
		fmt.Fprintf(w, "\n%s: %s\n", s.Name, s.Title)
		report.Wrap(w, "    ", s.Description, width())
		fmt.Fprintf(w, "    %s over %s\n", strings.Join(s.Protocols, " and "), strings.Join(s.Transports, " and "))
		fmt.Fprintf(w, "    %s\n", calls(s))
		report.Wrap(w, "    ", "decides "+strings.Join(s.Checks, " "), width())
	}
	revision := ""
	for _, r := range requirements {
		if r.Revision != revision {
			revision = r.Revision
			fmt.Fprintf(w, "\nREQUIREMENTS OF %s\n\n", strings.ToUpper(in(revision)))
		}
		name := r.Name
		if r.Derived {
			name += ", derived"
		}
		fmt.Fprintf(w, "%-4s %-10s %s (%s)\n", r.ID, r.Level, name, observed(r.Observed))
		report.Wrap(w, "     ", r.Text, width())
		fmt.Fprintf(w, "     %s\n", r.Section.URL)
		if r.Reason != "" {
			report.Wrap(w, "     ", "not decided: "+r.Reason, width())
			continue
		}
		names := deciding(r.ID)
		if r.Everywhere {
			names = append(names, "every scenario that gives occasion")
		}
		report.Wrap(w, "     ", "in "+strings.Join(names, ", "), width())
	}
	if *coverage {
		implemented, observable := hostcheck.Coverage()
		percent := 0
		if observable > 0 {
			percent = 100 * implemented / observable
		}
		fmt.Fprintf(w, "\ncoverage: %d of %d wire-observable, %d %%\n", implemented, observable, percent)
	}
	return w.Flush()
}

// named are the scenarios and the requirements with these names and IDs; all, if
// there are none.
func named(names []string) (scenarios []hostcheck.Scenario, requirements []hostcheck.Requirement, err error) {
	scenarios, requirements = hostcheck.Scenarios(), hostcheck.Requirements()
	if len(names) == 0 {
		return scenarios, requirements, nil
	}
	wanted := func(name string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
	}
	for _, name := range names {
		if !slices.ContainsFunc(scenarios, func(s hostcheck.Scenario) bool { return strings.EqualFold(s.Name, name) }) &&
			!slices.ContainsFunc(requirements, func(r hostcheck.Requirement) bool { return strings.EqualFold(r.ID, name) }) {
			return nil, nil, fmt.Errorf("list: there is neither a scenario nor a requirement %q", name)
		}
	}
	scenarios = slices.DeleteFunc(scenarios, func(s hostcheck.Scenario) bool { return !wanted(s.Name) })
	requirements = slices.DeleteFunc(requirements, func(r hostcheck.Requirement) bool { return !wanted(r.ID) })
	return scenarios, requirements, nil
}

// calls says which calls a host makes in a scenario.
func calls(s hostcheck.Scenario) string {
	var ways []string
	for _, protocol := range s.Protocols {
		steps, n, most := s.Steps(protocol), 0, 0
		for _, step := range steps {
			n += len(step)
			most = max(most, len(step))
		}
		way := "1 call"
		switch {
		case most > 1 && len(steps) > 1:
			way = fmt.Sprintf("%d calls, some side by side", n)
		case most > 1:
			way = fmt.Sprintf("%d calls side by side", n)
		case n > 1:
			way = fmt.Sprintf("%d calls, one after the other", n)
		}
		if !slices.Contains(ways, way) {
			ways = append(ways, way)
		}
	}
	return strings.Join(ways, "; or ")
}

// in names a revision.
func in(revision string) string {
	if revision == "profile" {
		return "the lazy-auth profile"
	}
	return revision
}

func observed(ways []hostcheck.Observation) string {
	words := make([]string, len(ways))
	for i, way := range ways {
		words[i] = string(way)
	}
	return strings.Join(words, " + ")
}

// deciding names the scenarios that decide a requirement.
func deciding(id string) []string {
	var names []string
	for _, s := range hostcheck.Scenarios() {
		if slices.Contains(s.Checks, id) {
			names = append(names, s.Name)
		}
	}
	return names
}
