package scopes

// A Policy says what the tools of a server need, by name, for servers whose
// tools are not registered one by one with what they need.
//
// It fails closed: a tool that is named nowhere gets no grant, unless Unlisted
// says what such tools may have.
type Policy struct {
	// Tools are the gated tools. The empty set stands for a grant of whatever
	// scopes the service names. A nil requirement is refused, as if the tool
	// were not listed.
	Tools map[string]Requirement
	// Unlisted is what every other tool may use once it asks for the client or
	// the token; nil means nothing. They are called without asking anybody.
	Unlisted Requirement
}

// Need returns what a tool needs, and whether the policy lists it. A nil
// requirement means that it may use nothing.
func (p Policy) Need(tool string) (need Requirement, listed bool) {
	if need = p.Tools[tool]; need != nil {
		return need, true
	}
	return p.Unlisted, false
}
