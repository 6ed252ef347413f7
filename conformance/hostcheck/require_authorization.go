package hostcheck

// What a host does to be authorized itself. No scenario decides it.
var authorization = []Requirement{
	{
		ID: "A33", Name: "steps up, and gives up", Revision: Legacy, Level: Should, Observed: onWire,
		Text:    "Told that its token lacks a scope, the host authorizes again with more scopes, and only a few times.",
		Section: section(Legacy, "basic/authorization#step-up-authorization-flow"),
		Reason: "it takes a host that authorizes itself to the server, and the servers here ask for no authorization; " +
			"the official suite covers it",
		eras: legacyOnly,
	},
	{
		ID: "B28", Name: "shares no private results", Revision: Modern, Level: MustNot, Observed: onWire,
		Text:    "A result with the cache scope private is served in no other authorization context.",
		Section: section(Modern, "server/utilities/caching#cache-scope-field"),
		Reason: "it takes one host that serves two principals of an HTTP server with authorization; " +
			"a scenario has one local user",
		eras: modernOnly,
	},
	{
		ID: "B30", Name: "keeps scopes when it steps up", Revision: Modern, Level: Should, Observed: onWire,
		Text:    "Told to step up, the host asks for the union of what it asked for before and what is missing, a few times at the most.",
		Section: section(Modern, "basic/authorization#step-up-authorization-flow"),
		Reason: "it takes a host that authorizes itself to the server, and the servers here ask for no authorization; " +
			"the official suite covers it",
		eras: modernOnly,
	},
	{
		ID: "B31", Name: "believes the scopes of a challenge", Revision: Modern, Level: Must, Observed: onWire,
		Text:    "The scopes of a challenge are what the operation needs, whatever the server's metadata lists.",
		Section: section(Modern, "basic/authorization#scope-selection-strategy"),
		Reason: "it takes a host that authorizes itself to the server, and the servers here ask for no authorization; " +
			"the official suite covers it",
		eras: modernOnly,
	},
}
