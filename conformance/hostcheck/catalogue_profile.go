package hostcheck

// profileRequirements are what lazy authorization needs beyond the
// specification. They are this project's, and labelled so.
var profileRequirements = ofRevision("profile", []Requirement{
	{
		ID: "P1", Name: "waits, or comes back", Level: Must, Observed: onWire,
		Section: profileSection("P1"),
		Text: "A call that waits for a person is held for as long as its time-out says; or it ends cleanly, and a later call " +
			"finds what the person did meanwhile.",
	},
	{
		ID: "P2", Name: "lets progress prolong a call", Level: Should, Observed: onWire,
		Section: profileSection("P2"),
		Text:    "A call carries a progress token, and progress keeps it from timing out.",
	},
	{
		ID: "P3", Name: "never answers for the person", Level: MustNot, Observed: wireAndUI,
		Section: profileSection("P3"),
		Text:    "A prompt is answered when the person acted and not before, however short the time.",
	},
	{
		ID: "P4", Name: "shows what it advertises", Level: Must, Observed: wireAndUI,
		Section: profileSection("P4"),
		Text:    "A prompt in a mode that the host declares is shown.",
	},
	{
		ID: "P5", Name: "keeps the URL from the model", Level: MustNot, Observed: inUI,
		Section: profileSection("P5"),
		Text:    "Neither the URL of a prompt nor the code in it becomes part of what the model reads.",
	},
	{
		ID: "P6", Name: "shows the message, and the code to copy", Level: Should, Observed: inUI,
		Section: profileSection("P6"),
		Text:    "The message is shown whole, and a code in it can be copied.",
	},
	{
		ID: "P7", Name: "handles parallel prompts", Level: Must, Observed: onWire,
		Section: profileSection("P7"),
		Text: "First calls that run side by side each get their prompt shown once and their answer; none waits for another " +
			"for ever.",
	},
	{
		ID: "P8", Name: "does eight rounds", Level: Must, Observed: onWire,
		Section: profileSection("P8"),
		Text:    "A call may ask for input eight times before it completes.",
	},
	{
		ID: "P9", Name: "takes no for an answer", Level: MustNot, Observed: onWire,
		Section: profileSection("P9"),
		Text:    "A call whose prompt was declined or cancelled is not repeated without being asked to.",
	},
	{
		ID: "P10", Name: "answers at consent", Level: Should, Observed: wireAndVisit,
		Section: profileSection("P10"),
		Text:    "Accept is sent when the person agrees to open the URL, not when they are done there.",
	},
	{
		ID: "P11", Name: "stops the clock while it asks", Level: Should, Observed: onWire,
		Section: profileSection("P11"),
		Text:    "A call does not time out while a prompt that it caused is open in front of the person.",
	},
	{
		ID: "P12", Name: "does not loop on error -32042", Level: MustNot, Observed: onWire,
		Section: profileSection("P12"),
		Text: "The error, which the newer era no longer has, is an error like any other there: the call is not repeated over " +
			"and over.",
	},
	{
		ID: "P13", Name: "starts afresh", Level: MustNot, Observed: onWire,
		Section: profileSection("P13"),
		Text:    "A new call carries no state and no answers of an earlier one.",
	},
})

func profileSection(id string) Reference {
	return Reference{ID: "lazy-auth profile " + id, URL: profilePage}
}
