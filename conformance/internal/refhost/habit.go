package refhost

import "slices"

// A Habit is something that few hosts do and that every host may. The empty one is
// nothing out of the ordinary.
type Habit string

// The habits.
const (
	Ordinary Habit = ""

	// OpensThenAccepts has no hooks: its person agrees at once, and the browser is
	// at the page before the answer is at the server.
	OpensThenAccepts Habit = "opens-then-accepts"
	// Nameless does not say who it is, as it may be configured.
	Nameless Habit = "nameless"
	// CancelsUnknownModes answers cancel in a mode that does not exist.
	CancelsUnknownModes Habit = "cancels-unknown-modes"
	// GivesUpOnVersion ends when the version that it speaks is refused.
	GivesUpOnVersion Habit = "gives-up-on-version"
	// GivesUpBroken does not make a request again whose stream broke.
	GivesUpBroken Habit = "gives-up-broken"
	// NeverRetries leaves a call alone that came to error -32042.
	NeverRetries Habit = "never-retries"
	// FormsAlone and NoElicitation declare no more than that.
	FormsAlone    Habit = "forms-alone"
	URLsAlone     Habit = "urls-alone"
	NoElicitation Habit = "no-elicitation"
	// ShowsHostAndPort has the port beside the domain, and highlights both.
	ShowsHostAndPort Habit = "shows-host-and-port"
	// HighlightsOrigin has the scheme stand out as well.
	HighlightsOrigin Habit = "highlights-origin"
	// NamesServerInWords has the name in a sentence.
	NamesServerInWords Habit = "names-server-in-words"
	// EncodesURL opens URLs percent-encoded.
	EncodesURL Habit = "encodes-url"
	// WrapsResults puts more around a result before the model reads it.
	WrapsResults Habit = "wraps-results"
	// NoContentType does not say that it posts JSON.
	NoContentType Habit = "no-content-type"
	// DraftFirst asks for a version to come first, and takes what the server has.
	DraftFirst Habit = "draft-first"
	// EncodesAllParameters has all that headers mirror in Base64.
	EncodesAllParameters Habit = "encodes-all-parameters"
	// CallsByName calls what it is told to, also what its list does not have.
	CallsByName Habit = "calls-by-name"
	// OwnMaximum cannot be told how long progress may prolong a call: it has a maximum
	// of its own.
	OwnMaximum Habit = "own-maximum"
	// FieldsAsText has numbers, and the names of choices, stand in forms as text.
	FieldsAsText Habit = "fields-as-text"
	// NoDefaults shows forms without the defaults of their fields.
	NoDefaults Habit = "no-defaults"
	// EndsOnRefusal ends a call of the newer era when the person refuses, and does
	// not retry.
	EndsOnRefusal Habit = "ends-on-refusal"
	// OneCallAtATime makes the calls of a step in turn.
	OneCallAtATime Habit = "one-call-at-a-time"
	// SessionPerCall has a session of its own for each call of the older era over
	// HTTP, and counts its requests from one again.
	SessionPerCall Habit = "session-per-call"
	// OlderEraAlone and NewerEraAlone speak one protocol.
	OlderEraAlone Habit = "older-era-alone"
	NewerEraAlone Habit = "newer-era-alone"
	// StdioAlone has no HTTP, HTTPAlone starts no servers.
	StdioAlone Habit = "stdio-alone"
	HTTPAlone  Habit = "http-alone"
	// NoStream asks for no stream of the older era with GET.
	NoStream Habit = "no-stream"
	// OddIDs has strings, negative integers, zero, and integers that no double has for
	// the ids of its requests.
	OddIDs Habit = "odd-ids"
)

// Habits returns all habits but the ordinary.
func Habits() []Habit { return slices.Clone(habits) }

var habits = []Habit{
	OpensThenAccepts, Nameless, CancelsUnknownModes, GivesUpOnVersion, GivesUpBroken, NeverRetries, FormsAlone, URLsAlone, NoElicitation,
	ShowsHostAndPort, HighlightsOrigin, NamesServerInWords, EncodesURL, WrapsResults, NoContentType, DraftFirst, EncodesAllParameters, NoDefaults,
	CallsByName, OwnMaximum, FieldsAsText, EndsOnRefusal, OneCallAtATime, SessionPerCall, OlderEraAlone, NewerEraAlone, StdioAlone,
	HTTPAlone, NoStream, OddIDs,
}
