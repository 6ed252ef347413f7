package scopes

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
	// Unlisted is what every other tool may use once it asks for the client or
	// the token; nil means nothing. They are called without asking anybody.
	Unlisted Requirement
}

// Need returns all that a tool may use, and whether it is gated, which is to say
// that this has to be granted before the tool runs. A nil need means nothing at
// all, for a tool that is listed with nil as for one that is not listed where
// Unlisted is nil; such a tool is not gated, and has no claim to Unlisted.
func (p Policy) Need(tool string) (need Requirement, gated bool) {
	need, listed := p.Tools[tool]
	if !listed {
		return p.Unlisted, false
	}
	return need, need != nil
}
