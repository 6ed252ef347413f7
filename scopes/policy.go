package scopes

// A Policy says what the tools of a server need, by name, for servers whose
// tools are not registered one by one with what they need.
//
// It fails closed: a tool that is named nowhere gets no grant, unless Unlisted
// says what such tools may have.
type Policy struct {
	// Tools are the gated tools. The empty set stands for a grant of whatever
	// scopes the service names. A tool with a nil requirement may use nothing.
	Tools map[string]Requirement
	// Unlisted is what every other tool may use once it asks for the client or
	// the token; nil means nothing. They are called without asking anybody.
	Unlisted Requirement
}

// Need returns what a tool needs, and whether it is gated. A nil requirement
// means that it may use nothing.
func (p Policy) Need(tool string) (need Requirement, listed bool) {
	if need, listed = p.Tools[tool]; listed {
		return need, need != nil
	}
	return p.Unlisted, false
}
