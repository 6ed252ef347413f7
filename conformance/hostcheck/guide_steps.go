package hostcheck

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// A Step is one scenario of a guided run.
type Step struct {
	Scenario    string     `json:"scenario"`
	Title       string     `json:"title"`
	Description string     `json:"description"` // what happens, and what is expected of the host
	Say         []string   `json:"say"`         // what the person asks the host for, one after the other
	Instruction string     `json:"instruction"` // what the person does about what the host shows then
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

// Checklist returns all steps as they stand.
func (g *Guide) Checklist() []Step {
	out := make([]Step, len(g.todo))
	for i, one := range g.todo {
		s, state := g.find(one.scenario.Name)
		out[i] = Step{
			Scenario: one.scenario.Name, Title: one.scenario.Title, Description: one.scenario.Description, Say: say(one),
			Instruction: one.scenario.Ask, State: state, Questions: questions(one, s),
		}
	}
	return out
}

// say is what a person asks the host for, in words for its model.
func say(one staging) []string {
	var lines []string
	for _, step := range one.scenario.steps(one.protocol) {
		calls := make([]string, len(step))
		for i, c := range step {
			calls[i] = fmt.Sprintf("%s with call set to %v", c.Tool, c.Arguments["call"])
			for _, name := range slices.Sorted(maps.Keys(c.Arguments)) {
				if name != "call" && name != "text" {
					calls[i] += fmt.Sprintf(", %s to %s", name, wire.Encode(c.Arguments[name]))
				}
			}
		}
		switch n := len(calls); n {
		case 1:
			lines = append(lines, "Call the tool "+calls[0]+".")
		default:
			lines = append(lines, fmt.Sprintf("Call these tools at once: %s and %s.", strings.Join(calls[:n-1], ", "), calls[n-1]))
		}
	}
	return lines
}

// questions are those of a step, with the answers so far.
func questions(one staging, s *session) []Question {
	var out []Question
	for _, id := range one.scenario.Checks {
		r := byID(id)
		if !r.appliesTo(one.protocol, one.transport) || !slices.Contains(r.Observed, UI) || r.follows {
			continue
		}
		q := Question{Check: id, Text: r.Text}
		if s != nil {
			q.Answer = s.says(id)
		}
		out = append(out, q)
	}
	return out
}

// Answer records what the person says about a question of a step that was
// started. It fails if there is no such question.
func (g *Guide) Answer(scenario, check string, yes bool) error {
	s, _ := g.find(scenario)
	if s == nil {
		return fmt.Errorf("hostcheck: step %q was not started", scenario)
	}
	one := staging{s.scenario, s.protocol, s.transport}
	if !slices.ContainsFunc(questions(one, nil), func(q Question) bool { return q.Check == check }) {
		return fmt.Errorf("hostcheck: step %q does not ask about %s", scenario, check)
	}
	answer := "no"
	if yes {
		answer = "yes"
	}
	s.watch(check, answer)
	s.Note(0, "the person says "+answer+" to "+check)
	return nil
}
