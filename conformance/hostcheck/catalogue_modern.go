package hostcheck

// modernRequirements are those of 2026-07-28.
var modernRequirements = ofRevision(Modern, []Requirement{
	{
		ID: "B1", Name: "declares elicitation with each request", Level: Must, Observed: onWire,
		Text:    "A host that can be asked to elicit says so in the client capabilities of every request.",
		Section: section(Modern, "client/elicitation#capabilities"),
	},
	{
		ID: "B2", Name: "sends the required metadata", Level: Must, Observed: onWire,
		Text:    "Every request, a retry included, names the protocol version and the client's capabilities in its _meta.",
		Section: section(Modern, "basic/index#meta"),
	},
	{
		ID: "B3", Name: "says who it is", Level: Should, Observed: onWire,
		Text:    "Every request carries the name and version of the client.",
		Section: section(Modern, "basic/index#meta"),
	},
	{
		ID: "B4", Name: "takes accept for consent only", Level: Must, Observed: onWire,
		Text: "Accepting a URL does not complete the interaction: a server that asks for the same thing again after accept is " +
			"heard again.",
		Section: section(Modern, "client/elicitation#url-mode-elicitation-requests"),
	},
	{
		ID: "B5", Name: "lets the person retry or cancel", Level: Should, Observed: inUI,
		Text:    "The person can retry the call or give it up by hand while something is asked of them elsewhere.",
		Section: section(Modern, "client/elicitation#url-mode-elicitation-requests"),
	},
	{
		ID: "B6", Name: "gathers every input before the retry", Level: Must, Observed: onWire,
		Text:    "A retry answers every input request of the result that it follows.",
		Section: section(Modern, "basic/patterns/mrtr#client-requirements-basic-workflow"),
	},
	{
		ID: "B7", Name: "retries at once when nothing is asked", Level: May, Observed: onWire,
		Text:    "A result that carries state and no input requests may be followed by a retry at once.",
		Section: section(Modern, "basic/patterns/mrtr#client-requirements-basic-workflow"),
	},
	{
		ID: "B8", Name: "echoes the state", Level: Must, Observed: onWire,
		Text:    "A retry carries exactly the state of the result that it follows, whatever characters are in it.",
		Section: section(Modern, "basic/patterns/mrtr#client-requirements-basic-workflow"),
	},
	{
		ID: "B9", Name: "does not touch the state", Level: MustNot, Observed: onWire,
		Text:    "The state is opaque: the host neither parses, trims, re-encodes nor completes it.",
		Section: section(Modern, "basic/patterns/mrtr#inputrequiredresult"),
	},
	{
		ID: "B10", Name: "invents no state", Level: MustNot, Observed: onWire,
		Text:    "A retry that follows a result without state has none.",
		Section: section(Modern, "basic/patterns/mrtr#client-requirements-basic-workflow"),
	},
	{
		ID: "B11", Name: "gives the retry a new id", Level: Must, Observed: onWire,
		Text:    "The id of a retry differs from that of the request that it repeats: they are independent.",
		Section: section(Modern, "basic/patterns/mrtr#client-requirements-basic-workflow"),
	},
	{
		ID: "B12", Name: "leaks nothing between parallel requests", Level: MustNot, Observed: onWire,
		Text:    "The answers and the state of one request are never sent with another one that is under way.",
		Section: section(Modern, "basic/patterns/mrtr#client-requirements-basic-workflow"),
	},
	{
		ID: "B13", Name: "repeats the same request", Level: Must, Observed: onWire,
		Text:    "A retry is the original request: the same method, tool and arguments.",
		Section: section(Modern, "basic/patterns/mrtr#multi-round-trip-requests"),
	},
	{
		ID: "B14", Name: "replaces the state", Level: Must, Observed: onWire,
		Text:    "After another round the retry carries the newer state, and none if the newer result had none.",
		Section: section(Modern, "basic/patterns/mrtr#client-requirements-basic-workflow"),
	},
	{
		ID: "B15", Name: "knows its result types", Level: Must, Observed: onWire,
		Text:    "A result of an unknown type is invalid and is not used; one without a type is complete.",
		Section: section(Modern, "basic/index#resulttype"),
	},
	{
		ID: "B16", Name: "does not reuse ids in flight", Level: MustNot, Observed: onWire,
		Text:    "The id of a request, a string or an integer, is not that of another one which has not been answered.",
		Section: section(Modern, "basic/index#requests"),
	},
	{
		ID: "B17", Name: "cancels by closing the stream", Level: Should, Observed: onWire,
		Text:    "Over HTTP a request that timed out is cancelled by closing its response stream.",
		Section: section(Modern, "basic/patterns/cancellation#transport-specific-cancellation"),
	},
	{
		ID: "B18", Name: "sends a cancellation", Level: Must, Observed: onWire,
		Text:    "Over stdio a request that is given up is cancelled by a notification with its id.",
		Section: section(Modern, "basic/transports/stdio#cancellation"),
	},
	{
		ID: "B19", Name: "has call time-outs", Level: Should, Observed: onWire,
		Text: "A request that is not answered is given up after the time-out that was configured; progress may restart the " +
			"clock, but a maximum holds.",
		Section: section(Modern, "basic/patterns/cancellation#timeouts"),
	},
	{
		ID: "B20", Name: "sends no responses", Level: MustNot, Observed: onWire,
		Text:    "The host writes requests and notifications only, even to a server that wrongly sends it a request.",
		Section: section(Modern, "basic/transports/stdio#sending-messages"),
	},
	{
		ID: "B21", Name: "finds out the era of a server", Level: MustNot, Observed: onWire,
		Text: "A host for both eras asks with server/discover first, and falls back to initialize on any error that is not one " +
			"of the newer era: not on one code alone.",
		Section: section(Modern, "basic/transports/stdio#backward-compatibility"),
	},
	{
		ID: "B22", Name: "restarts a dead server", Level: Should, Observed: onWire,
		Text:    "A server process that ended by itself is started again.",
		Section: section(Modern, "basic/transports/stdio#unexpected-termination"),
	},
	{
		ID: "B23", Name: "posts one message at a time", Level: Must, Observed: onWire,
		Text:    "Every message is a POST of its own that accepts application/json and text/event-stream.",
		Section: section(Modern, "basic/transports/streamable-http#sending-messages"),
	},
	{
		ID: "B24", Name: "mirrors the body in headers", Level: Must, Observed: onWire,
		Text: "MCP-Protocol-Version, Mcp-Method and, for a call, Mcp-Name say what the body of the request says, on a retry " +
			"too.",
		Section: section(Modern, "basic/transports/streamable-http#request-metadata"),
	},
	{
		ID: "B25", Name: "tolerates comments in a stream", Level: Must, Observed: onWire,
		Text:    "Lines of an event stream that begin with a colon are ignored.",
		Section: section(Modern, "basic/transports/streamable-http#receiving-messages"),
	},
	{
		ID: "B26", Name: "re-issues a lost request under a new id", Level: Must, Observed: onWire,
		Text:    "A request whose response stream broke is sent again as a new request, with a new id; nothing is resumed.",
		Section: section(Modern, "changelog#major-changes"),
	},
	{
		ID: "B27", Name: "does not cache what a retry brought", Level: MustNot, Observed: onWire,
		Text:    "A result that was got with answers or state is not served again to the next request: that reaches the server.",
		Section: section(Modern, "server/utilities/caching#cache-key"),
	},
	{
		ID: "B28", Name: "shares no private results", Level: MustNot, Observed: onWire,
		Text:    "A result with the cache scope private is served in no other authorization context.",
		Section: section(Modern, "server/utilities/caching#cache-scope-field"),
		Reason: "it takes one host that serves two principals of an HTTP server with authorization; " +
			"a scenario has one local user",
	},
	{
		ID: "B29", Name: "uses unique progress tokens", Level: Must, Observed: onWire,
		Text:    "A progress token is a string or an integer, and no two active requests have the same.",
		Section: section(Modern, "basic/patterns/progress#progress-flow"),
	},
	{
		ID: "B30", Name: "keeps scopes when it steps up", Level: Should, Observed: onWire,
		Text:    "Told to step up, the host asks for the union of what it asked for before and what is missing, a few times at the most.",
		Section: section(Modern, "basic/authorization#step-up-authorization-flow"),
		Reason: "it takes a host that authorizes itself to the server, and the servers here ask for no authorization; " +
			"the official suite covers it",
	},
	{
		ID: "B31", Name: "believes the scopes of a challenge", Level: Must, Observed: onWire,
		Text:    "The scopes of a challenge are what the operation needs, whatever the server's metadata lists.",
		Section: section(Modern, "basic/authorization#scope-selection-strategy"),
		Reason: "it takes a host that authorizes itself to the server, and the servers here ask for no authorization; " +
			"the official suite covers it",
	},
	{
		ID: "B32", Name: "opens only http and https", Level: Must, Observed: uiAndCanary,
		Text: "URLs of any other scheme, such as javascript: or file:, are refused. The text is about authorization URLs; a " +
			"prompt's URL reaches the same browser.",
		Section: bestPractices,
	},
	{
		ID: "B33", Name: "opens URLs without a shell", Level: MustNot, Observed: uiAndCanary,
		Text:    "No shell sees the URL: what a shell would run or split in it reaches the browser unchanged, or not at all.",
		Section: bestPractices,
	},
})

// bestPractices is published beside the specification, for each revision.
var bestPractices = Reference{
	ID:  "MCP " + Modern + " security best practices",
	URL: site + "/docs/" + Modern + "/tutorials/security/security_best_practices#oauth-authorization-url-validation",
}
