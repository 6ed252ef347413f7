package hostcheck

// legacyRequirements are those of 2025-11-25.
var legacyRequirements = ofRevision(Legacy, []Requirement{
	{
		ID: "A1", Name: "declares elicitation", Level: Must, Observed: onWire,
		Text:    "A host that can be asked to elicit declares the elicitation capability when it initializes.",
		Section: section(Legacy, "client/elicitation#capabilities"),
	},
	{
		ID: "A2", Name: "declares a mode", Level: Must, Observed: onWire,
		Text:    "A host that declares elicitation supports form mode or URL mode, or both.",
		Section: section(Legacy, "client/elicitation#capabilities"),
	},
	{
		ID: "A3", Name: "an empty declaration is form mode", Level: Must, Observed: onWire,
		Text: "A host that declares elicitation without naming a mode has declared form mode alone, and behaves like that: " +
			"it does not take part in URL mode.",
		Section: section(Legacy, "client/elicitation#capabilities"),
	},
	{
		ID: "A4", Name: "a missing mode is form mode", Level: Must, Observed: onWire,
		Text:    "A request to elicit that names no mode is treated as one in form mode.",
		Section: section(Legacy, "client/elicitation#elicitation-requests"),
	},
	{
		ID: "A5", Name: "refuses an undeclared mode", Level: Must, Observed: onWire,
		Text:    "A request to elicit in a mode that the host did not declare gets the error -32602 (invalid params).",
		Section: section(Legacy, "client/elicitation#error-handling"),
	},
	{
		ID: "A6", Name: "accepts a URL without content", Level: Should, Observed: onWire,
		Text:    "The answer that accepts a URL carries no content: nothing that the person typed passes through the host.",
		Section: section(Legacy, "client/elicitation#response-actions"),
	},
	{
		ID: "A7", Name: "answers what the person did", Level: Must, Observed: wireAndUI,
		Text: "The answer is accept if the person agreed, decline if they refused, cancel if they dismissed the dialog; " +
			"and it goes to the prompt that they answered.",
		Section: section(Legacy, "client/elicitation#response-actions"),
	},
	{
		ID: "A8", Name: "offers decline and cancel", Level: Must, Observed: inUI,
		Text:    "Whoever is asked finds a clear way to refuse, and another one to dismiss the question.",
		Section: section(Legacy, "client/elicitation#user-interaction-model"),
	},
	{
		ID: "A9", Name: "shows which server asks", Level: Must, Observed: inUI,
		Text:    "It is clear from what is shown which server wants something.",
		Section: section(Legacy, "client/elicitation#user-interaction-model"),
	},
	{
		ID: "A10", Name: "shows the domain and asks first", Level: Must, Observed: uiAndCanary,
		Text:    "The domain of the URL is displayed clearly, and consent is gathered before anything goes there.",
		Section: section(Legacy, "client/elicitation#user-interaction-model"),
	},
	{
		ID: "A11", Name: "does not pre-fetch the URL", Level: MustNot, Observed: atCanary,
		Text:    "The host requests neither the URL nor anything else of its site, such as an icon, by itself.",
		Section: section(Legacy, "client/elicitation#safe-url-handling"),
	},
	{
		ID: "A12", Name: "opens nothing without consent", Level: MustNot, Observed: uiAndCanary,
		Text:    "The URL is not opened before the person agreed, and not at all if they did not.",
		Section: section(Legacy, "client/elicitation#safe-url-handling"),
	},
	{
		ID: "A13", Name: "shows the full URL", Level: Must, Observed: inUI,
		Text:    "The whole URL can be examined before consent.",
		Section: section(Legacy, "client/elicitation#safe-url-handling"),
	},
	{
		ID: "A14", Name: "opens the URL out of its own sight", Level: Must, Observed: inUI,
		Text:    "The URL is opened where neither the host nor the model can look at the page or at what is typed there.",
		Section: section(Legacy, "client/elicitation#safe-url-handling"),
	},
	{
		ID: "A15", Name: "highlights the domain", Level: Should, Observed: inUI,
		Text:    "The domain stands out from the rest of the URL, so that a misleading subdomain is seen for what it is.",
		Section: section(Legacy, "client/elicitation#safe-url-handling"),
	},
	{
		ID: "A16", Name: "warns of suspicious URLs", Level: Should, Observed: inUI,
		Text:    "There is a warning with ambiguous or suspicious addresses, such as those with Punycode in them.",
		Section: section(Legacy, "client/elicitation#safe-url-handling"),
	},
	{
		ID: "A17", Name: "makes no other text clickable", Level: ShouldNot, Observed: inUI,
		Text:    "A URL in the message or in another field of the request is not rendered as a link.",
		Section: section(Legacy, "client/elicitation#safe-url-handling"),
	},
	{
		ID: "A18", Name: "ignores stray completion notices", Level: Must, Observed: onWire,
		Text:    "A notice that an elicitation is complete is ignored if its ID is unknown or was completed before.",
		Section: section(Legacy, "client/elicitation#completion-notifications-for-url-mode-elicitation"),
	},
	{
		ID: "A19", Name: "retries once the elicitation is complete", Level: May, Observed: onWire,
		Text:    "After error -32042 the completion notice may be what makes the host retry by itself.",
		Section: section(Legacy, "client/elicitation#completion-notifications-for-url-mode-elicitation"),
	},
	{
		ID: "A20", Name: "lets the person retry or cancel", Level: Should, Observed: inUI,
		Text: "After error -32042 the person can retry the call or give it up by hand, since the completion notice may never " +
			"arrive.",
		Section: section(Legacy, "client/elicitation#completion-notifications-for-url-mode-elicitation"),
	},
	{
		ID: "A21", Name: "handles error -32042", Level: Should, Observed: wireAndUI,
		Text:    "Each elicitation that comes with error -32042 is presented to the person; the call is retried only after that.",
		Section: section(Legacy, "client/elicitation#url-mode-with-elicitation-required-error-flow"),
	},
	{
		ID: "A22", Name: "asks for approval", Level: Should, Observed: inUI,
		Text:    "Each elicitation passes through a control with which the person approves or refuses it.",
		Section: section(Legacy, "client/elicitation#security-considerations"),
	},
	{
		ID: "A23", Name: "limits the rate of prompts", Level: Should, Observed: wireAndUI,
		Text: "A server that sends prompts in a burst does not flood the person with dialogs: of 25 at once, no more than 10 " +
			"are shown in a second.",
		Section: section(Legacy, "client/elicitation#security-considerations"),
	},
	{
		ID: "A24", Name: "has call time-outs", Level: Should, Observed: onWire,
		Text:    "A request that is not answered is given up after the time-out that was configured.",
		Section: section(Legacy, "basic/lifecycle#timeouts"),
	},
	{
		ID: "A25", Name: "cancels what timed out", Level: Should, Observed: onWire,
		Text:    "When the host gives a request up it says so with notifications/cancelled.",
		Section: section(Legacy, "basic/lifecycle#timeouts"),
	},
	{
		ID: "A26", Name: "keeps a maximum despite progress", Level: Should, Observed: onWire,
		Text:    "Progress may restart the clock of a call, but a maximum holds all the same.",
		Section: section(Legacy, "basic/lifecycle#timeouts"),
	},
	{
		ID: "A27", Name: "cancels only its own requests in flight", Level: Must, Observed: onWire,
		Text:    "A cancellation names a request that the host itself sent and that has not been answered.",
		Section: section(Legacy, "basic/utilities/cancellation#behavior-requirements"),
	},
	{
		ID: "A28", Name: "ignores late responses", Level: Should, Observed: onWire,
		Text:    "The response to a request that was cancelled is ignored: it is taken for nothing else, and all goes on.",
		Section: section(Legacy, "basic/utilities/cancellation#behavior-requirements"),
	},
	{
		ID: "A29", Name: "uses unique progress tokens", Level: Must, Observed: onWire,
		Text:    "A progress token is a string or an integer, and no two active requests have the same.",
		Section: section(Legacy, "basic/utilities/progress#progress-flow"),
	},
	{
		ID: "A30", Name: "posts one message at a time", Level: Must, Observed: onWire,
		Text: "Every message to the server, answers included, is a POST of its own that accepts application/json and " +
			"text/event-stream.",
		Section: section(Legacy, "basic/transports#sending-messages-to-the-server"),
	},
	{
		ID: "A31", Name: "resumes a broken stream", Level: Should, Observed: onWire,
		Text: "A connection that the server closes before it has answered is not the end of the call: the host reconnects with " +
			"the ID of the last event.",
		Section: section(Legacy, "basic/transports#resumability-and-redelivery"),
	},
	{
		ID: "A32", Name: "honours retry", Level: Must, Observed: onWire,
		Text:    "Before it reconnects, the host waits as long as the last retry field told it.",
		Section: section(Legacy, "basic/transports#sending-messages-to-the-server"),
	},
	{
		ID: "A33", Name: "steps up, and gives up", Level: Should, Observed: onWire,
		Text:    "Told that its token lacks a scope, the host authorizes again with more scopes, and only a few times.",
		Section: section(Legacy, "basic/authorization#step-up-authorization-flow"),
		Reason: "it takes a host that authorizes itself to the server, and the servers here ask for no authorization; " +
			"the official suite covers it",
	},
	{
		ID: "A34", Name: "gives tool errors to the model", Level: Should, Observed: inUI,
		Text:    "The text of a result with isError reaches the model, so that it can do something about it.",
		Section: section(Legacy, "server/tools#error-handling"),
	},
})
