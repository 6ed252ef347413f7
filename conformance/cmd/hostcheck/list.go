package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

const listHelp = `hostcheck list [flags]

Lists the scenarios, and the requirements on hosts with their levels, how each
can be observed, where the specification states it, and which scenarios decide
it or why none does. "Derived" stands where the text has no keyword: the level
is then what is read in a definition, a schema or another standard.
`

func list(args []string, std streams) error {
	set := flag.NewFlagSet("list", flag.ContinueOnError)
	coverage := set.Bool("coverage", false, "say at the end how many of the requirements that show on the wire are\ndecided")
	asJSON := set.Bool("json", false, "as JSON")
	if err := parse(set, args, std, listHelp); err != nil {
		return err
	}
	if set.NArg() > 0 {
		return fmt.Errorf("list: unexpected argument %q", set.Arg(0))
	}
	if *coverage && *asJSON {
		return fmt.Errorf("list: --coverage and --json do not go together; the JSON has a reason for each requirement that is not decided")
	}
	scenarios, requirements := hostcheck.Scenarios(), hostcheck.Requirements()
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
	fmt.Fprintln(w, "SCENARIOS")
	for _, s := range scenarios {
		fmt.Fprintf(w, "\n%s: %s\n", s.Name, s.Title)
		fmt.Fprintf(w, "    %s over %s\n", strings.Join(s.Protocols, " and "), strings.Join(s.Transports, " and "))
		fmt.Fprintf(w, "    decides %s\n", strings.Join(s.Checks, " "))
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
		fmt.Fprintf(w, "     %s\n", r.Section.URL)
		if r.Reason != "" {
			fmt.Fprintf(w, "     not decided: %s\n", r.Reason)
			continue
		}
		names := deciding(r.ID, scenarios)
		if r.Everywhere {
			names = append(names, "wherever there is occasion")
		}
		fmt.Fprintf(w, "     in %s\n", strings.Join(names, ", "))
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
func deciding(id string, scenarios []hostcheck.Scenario) []string {
	var names []string
	for _, s := range scenarios {
		if slices.Contains(s.Checks, id) {
			names = append(names, s.Name)
		}
	}
	return names
}
