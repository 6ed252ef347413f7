package scopes

import (
	"encoding/json"
	"fmt"
)

// A Policy says what the tools of a server need, by name, for servers whose
// tools are not registered one by one with what they need.
//
// It fails closed: a tool that is named nowhere gets no grant, unless Unlisted
// says what such tools may have.
type Policy struct {
	// Tools are the gated tools. The empty set stands for a grant of whatever
	// scopes the service names. A tool with a nil requirement may use nothing,
	// whatever Unlisted says.
	Tools map[string]Requirement
	// ByArguments are gated tools, too: what a call needs depends on its arguments, which are
	// given as the JSON object that the host sent, with what it lacks of the defaults in the
	// tool's input schema. No tool is in both.
	ByArguments map[string]Needs[json.RawMessage]
	// Unlisted is what every other tool may use once it asks for the client or
	// the token; nil means nothing. They are called without asking anybody.
	Unlisted Requirement
}

// Check returns what is wrong with p: a tool that is in Tools and in ByArguments, or [Needs]
// that [Needs.Check] finds fault with.
func (p Policy) Check() error {
	for tool, needs := range p.ByArguments {
		if _, both := p.Tools[tool]; both {
			return fmt.Errorf("scopes: Policy has %q in Tools and in ByArguments", tool)
		}
		if err := needs.Check(); err != nil {
			return fmt.Errorf("%w, in the Policy for %q", err, tool)
		}
	}
	return nil
}

// Need returns all that a tool may use, and whether it is gated, which is to say
// that this has to be granted before the tool runs. A nil need means nothing at
// all, for a tool that is listed with nil as for one that is not listed where
// Unlisted is nil; such a tool is not gated, and has no claim to Unlisted. Of a tool in
// ByArguments it returns the whole [Ceiling]: what its calls need is [Needs.For] to say.
func (p Policy) Need(tool string) (need Requirement, gated bool) {
	if needs, listed := p.ByArguments[tool]; listed {
		return Ceiling(needs.Possible...), true
	}
	need, listed := p.Tools[tool]
	if !listed {
		return p.Unlisted, false
	}
	return need, need != nil
}
