package hostcheck

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Expectations are the failures that a baseline file allows. Make one with
// [ReadBaseline].
type Expectations struct {
	entries []expectation
	others  []string // entries of other suites, as written
}

// An expectation is one entry of a baseline file.
type expectation struct {
	scenario string
	check    string // empty for the whole scenario
	line     int
}

// String is the entry as it is written in the file.
func (e expectation) String() string {
	if e.check == "" {
		return e.scenario
	}
	return e.scenario + ":" + e.check
}

// maxBaseline is more than any baseline file needs, in bytes.
const maxBaseline = 1 << 20

// ReadBaseline reads a file of expected failures, in the layout of the
// official suite: a YAML mapping whose list client names what may fail. An
// entry is the name of a scenario, all of which may fail then, or
// scenario:check-id for one check of it. The list server is for suites that
// examine servers and is passed over.
//
// One file may be for several suites. An entry that names none of the scenarios in
// known, usually [Scenarios], is another suite's: it is passed over, and told in
// [Baseline].Others. One that looks like a misspelling of a known name is an error, and
// so is a check that its scenario does not have, so that these do not go unnoticed.
// Errors name the line and what is allowed there.
func ReadBaseline(r io.Reader, known []Scenario) (*Expectations, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxBaseline+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxBaseline {
		return nil, fmt.Errorf("more than %d bytes: this is no list of expected failures", maxBaseline)
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(data)))
	var document yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return &Expectations{}, nil
	case err != nil:
		return nil, fmt.Errorf("not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one YAML document: put all entries under one list named client")
	}
	list, err := clientList(document.Content[0])
	if err != nil || list == nil {
		return &Expectations{}, err
	}
	read := &Expectations{}
	for _, node := range list.Content {
		entry, other, err := readEntry(node, known)
		switch {
		case err != nil:
			return nil, err
		case other:
			read.others = append(read.others, entry.String())
			continue
		}
		for _, earlier := range read.entries {
			if err := entry.clash(earlier); err != nil {
				return nil, err
			}
		}
		read.entries = append(read.entries, entry)
	}
	return read, nil
}

// clientList finds the list of entries; nil if there is none.
func clientList(root *yaml.Node) (*yaml.Node, error) {
	if isNull(root) {
		return nil, nil
	}
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: the file is a mapping with a list named client, as in\n\tclient:\n\t  - scenario\n\t  - scenario:check-id", root.Line)
	}
	var list *yaml.Node
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		switch {
		case key.Value == "server":
		case key.Value != "client":
			return nil, fmt.Errorf("line %d: unknown key %q; the list of what a host may fail is named client", key.Line, key.Value)
		case list != nil:
			return nil, fmt.Errorf("line %d: the list client is there already, on line %d", key.Line, list.Line)
		case isNull(value):
		case value.Kind != yaml.SequenceNode:
			return nil, fmt.Errorf("line %d: client is a list, each entry on a line of its own that starts with \"- \"", value.Line)
		default:
			list = value
		}
	}
	return list, nil
}

func isNull(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.Tag == "!!null" }

// readEntry reads and checks one entry, which may be another suite's.
func readEntry(node *yaml.Node, known []Scenario) (entry expectation, other bool, err error) {
	entry.line = node.Line
	bad := func(format string, args ...any) (expectation, bool, error) {
		return expectation{}, false, fmt.Errorf("line %d: %s", entry.line, fmt.Sprintf(format, args...))
	}
	const grammar = "an entry is \"scenario\" or \"scenario:check-id\""
	switch {
	case node.Kind == yaml.MappingNode && len(node.Content) == 2 && node.Content[1].Kind == yaml.ScalarNode && !isNull(node.Content[1]):
		key, value := node.Content[0].Value, node.Content[1].Value
		return bad("%s; write %q, without a space after the colon", grammar, key+":"+value)
	case node.Kind != yaml.ScalarNode || isNull(node):
		return bad("%s", grammar)
	}
	var perCheck bool
	entry.scenario, entry.check, perCheck = strings.Cut(node.Value, ":")
	if entry.scenario == "" || perCheck && entry.check == "" {
		return bad("%q: %s", node.Value, grammar)
	}
	at := slices.IndexFunc(known, func(s Scenario) bool { return s.Name == entry.scenario })
	if at < 0 {
		var names []string
		for _, s := range known {
			names = append(names, s.Name)
		}
		if m := meant(entry.scenario, names); m != "" {
			return bad("there is no scenario %q; is %s meant? There are: %s", entry.scenario, m, strings.Join(names, ", "))
		}
		return entry, true, nil
	}
	if checks := known[at].Checks; perCheck && !slices.Contains(checks, entry.check) {
		return bad("scenario %s has no check %q; it has: %s", entry.scenario, entry.check, strings.Join(checks, ", "))
	}
	return entry, false, nil
}

// clash says why an entry does not go together with an earlier one.
func (e expectation) clash(earlier expectation) error {
	switch {
	case e.scenario != earlier.scenario || e.check != earlier.check && e.check != "" && earlier.check != "":
		return nil
	case e.check == earlier.check:
		return fmt.Errorf("line %d: %s is there already, on line %d", e.line, e, earlier.line)
	}
	return fmt.Errorf("line %d: %s and %s on line %d: the whole scenario includes the check; remove one of the two",
		e.line, e, earlier, earlier.line)
}

// Compare sets the failures of a report against what was expected. A scenario
// that ran more than once (protocols, transports) counts once: a check has
// failed if it did in any run.
//
// What a warned check comes to is as the flag says: it always keeps an entry
// from being stale, but only if strict is it a failure that has to be expected.
// An entry is stale when what it names was seen to pass and did not fail;
// checks that were skipped or did not run leave it alone.
func (e *Expectations) Compare(report *Report, strict bool) *Baseline {
	b := &Baseline{Expected: []string{}, Unexpected: []string{}, Stale: []string{}, Others: append([]string{}, e.others...)}
	used := make([]Status, len(e.entries)) // the worst that each entry was seen to come to
	for _, o := range outcomes(report) {
		at := slices.IndexFunc(e.entries, func(entry expectation) bool {
			return entry.scenario == o.scenario && (entry.check == "" || entry.check == o.check)
		})
		switch {
		case at >= 0:
			used[at] = worse(used[at], o.status)
		case o.status == Failure || o.status == Warning && strict:
			b.Unexpected = append(b.Unexpected, expectation{scenario: o.scenario, check: o.check}.String())
		}
	}
	for i, entry := range e.entries {
		switch used[i] {
		case Failure, Warning:
			b.Expected = append(b.Expected, entry.String())
		case Success:
			b.Stale = append(b.Stale, entry.String())
		}
	}
	return b
}

// OK reports whether everything is as expected.
func (b *Baseline) OK() bool { return len(b.Unexpected) == 0 && len(b.Stale) == 0 }

// OK reports whether a run is to be called a success: by its baseline if it
// has one, otherwise if a check passed and none failed, nor, if strict, warned.
func (r *Report) OK(strict bool) bool {
	if r.Baseline != nil {
		return r.Baseline.OK()
	}
	passed := false
	for _, o := range outcomes(r) {
		if o.status == Failure || o.status == Warning && strict {
			return false
		}
		passed = passed || o.status == Success
	}
	return passed
}

// An outcome is what a check of a scenario came to in all runs together.
type outcome struct {
	scenario, check string
	status          Status
}

// outcomes are in the order in which the checks first appear. As in the
// official suite, the worst counts where a check was made more than once.
func outcomes(report *Report) []outcome {
	var list []outcome
	index := map[[2]string]int{}
	for _, result := range report.Results {
		for _, check := range result.Checks {
			key := [2]string{result.Scenario, check.ID}
			at, ok := index[key]
			if !ok {
				at = len(list)
				index[key] = at
				list = append(list, outcome{scenario: result.Scenario, check: check.ID})
			}
			list[at].status = worse(list[at].status, check.Status)
		}
	}
	return list
}

// worse is the more severe of two statuses.
func worse(a, b Status) Status {
	rank := []Status{Info, Skipped, Success, Warning, Failure}
	if slices.Index(rank, b) > slices.Index(rank, a) {
		return b
	}
	return a
}
