package refhost

import "slices"

// A Fault is the one thing that a host gets wrong. The empty one is nothing.
type Fault string

// The faults, by what they spoil.
const (
	None Fault = ""

	// What the host says of itself.
	DeclaresNothing        Fault = "declares-nothing"
	DeclaresNoMode         Fault = "declares-no-mode"
	DeclaresEmpty          Fault = "declares-empty"
	DeclaresOnce           Fault = "declares-once"
	RetryWithoutMeta       Fault = "retry-without-meta"
	NamelessRetry          Fault = "nameless-retry"
	FallsBackOnOneCode     Fault = "falls-back-on-one-code"
	ProbesLate             Fault = "probes-late"
	FallsBackOnVersion     Fault = "falls-back-on-version"
	InsistsOnVersion       Fault = "insists-on-version"
	WaitsForProbe          Fault = "waits-for-probe"
	TakesAnyVersion        Fault = "takes-any-version"
	AsksBeforeInitialized  Fault = "asks-before-initialized"
	NeedsMode              Fault = "needs-mode"
	CancelsUndeclaredModes Fault = "cancels-undeclared-modes"
	CancelsUnseen          Fault = "cancels-unseen" // and declares nothing

	// What it shows.
	NoWayOut         Fault = "no-way-out"
	NothingToApprove Fault = "nothing-to-approve"
	NoServerName     Fault = "no-server-name"
	NoDomain         Fault = "no-domain"
	ShortensURL      Fault = "shortens-url"
	DecodesURL       Fault = "decodes-url"
	NoHighlight      Fault = "no-highlight"
	NoWarning        Fault = "no-warning"
	LinksInMessage   Fault = "links-in-message"
	NoControls       Fault = "no-controls"
	NothingToCopy    Fault = "nothing-to-copy"
	CutsMessage      Fault = "cuts-message"
	AllDialogsAtOnce Fault = "all-dialogs-at-once"
	ShowsTwice       Fault = "shows-twice"
	DeclinesUnseen   Fault = "declines-unseen"

	// What it opens.
	Prefetches   Fault = "prefetches"
	OpensUnasked Fault = "opens-unasked"
	EmbedsPage   Fault = "embeds-page"
	OpensNothing Fault = "opens-nothing"
	OpensTwice   Fault = "opens-twice"
	OpensLate    Fault = "opens-late"
	// RemembersConsent opens what leads to a site that the person agreed to before.
	RemembersConsent Fault = "remembers-consent"
	OpensAnything    Fault = "opens-anything"
	OpensWithShell   Fault = "opens-with-shell"

	// What it answers.
	ContentWithURL   Fault = "content-with-url"
	CancelForDecline Fault = "cancel-for-decline"
	AnswersForPerson Fault = "answers-for-person"
	GivesUpForPerson Fault = "gives-up-for-person"
	AcceptsAtTheEnd  Fault = "accepts-at-the-end"
	RepeatsDeclined  Fault = "repeats-declined"
	AnyNoticeCloses  Fault = "any-notice-closes"
	FailsOnStray     Fault = "fails-on-stray"
	CrashesOnStray   Fault = "crashes-on-stray"
	HidesErrors      Fault = "hides-errors"
	LeaksURL         Fault = "leaks-url"

	// Forms.
	SendsAnything   Fault = "sends-anything"
	KeepsDefaults   Fault = "keeps-defaults"
	SendsUnseen     Fault = "sends-unseen"
	DefaultsForSome Fault = "defaults-for-some"
	OneOfSeveral    Fault = "one-of-several"

	// Error -32042.
	RetriesUnasked   Fault = "retries-unasked"
	RetriesAtConsent Fault = "retries-at-consent"
	LoopsOnRequired  Fault = "loops-on-required"

	// Round trips.
	DropsState       Fault = "drops-state"
	TrimsState       Fault = "trims-state"
	NormalizesState  Fault = "normalizes-state"
	CutsState        Fault = "cuts-state"
	InventsState     Fault = "invents-state"
	KeepsFirstState  Fault = "keeps-first-state"
	ChangesArguments Fault = "changes-arguments"
	SharesResponses  Fault = "shares-responses"
	AnswersOneInput  Fault = "answers-one-input"
	SwapsAnswers     Fault = "swaps-answers"
	AsksOnce         Fault = "asks-once"
	IgnoresStateOnly Fault = "ignores-state-only"
	FiveRounds       Fault = "five-rounds"
	RetryKeepsID     Fault = "retry-keeps-id"
	CarriesStale     Fault = "carries-stale"
	CachesCalls      Fault = "caches-calls"
	ReadsInOneRound  Fault = "reads-in-one-round"

	// Parameters in headers.
	MirrorsTopAlone   Fault = "mirrors-top-alone"
	MarksOtherwise    Fault = "marks-otherwise"
	KeepsInvalidTools Fault = "keeps-invalid-tools"
	LeavesAnnotated   Fault = "leaves-annotated-tools"
	MirrorsNothing    Fault = "mirrors-nothing"
	MirrorsHex        Fault = "mirrors-hex"
	NeverRefreshes    Fault = "never-refreshes"

	// Requests, and waiting for them.
	SameIDs           Fault = "same-ids"
	OneProgressToken  Fault = "one-progress-token"
	AnswersRequests   Fault = "answers-requests"
	NeverTimesOut     Fault = "never-times-out"
	ImpatientCalls    Fault = "impatient-calls"
	NeverCancels      Fault = "never-cancels"
	Misspells         Fault = "misspells-cancelled"
	EndsServer        Fault = "ends-server-to-cancel"
	NeverHangsUp      Fault = "never-hangs-up"
	CancelsStrangers  Fault = "cancels-strangers"
	IgnoresProgress   Fault = "ignores-progress"
	NoMaximum         Fault = "no-maximum"
	ClockRunsOn       Fault = "clock-runs-on"
	UsesLateResponses Fault = "uses-late-responses"
	CrashesOnLate     Fault = "crashes-on-late"
	UsesUnknownTypes  Fault = "uses-unknown-types"
	GuessesTypes      Fault = "guesses-types"
	NeedsResultType   Fault = "needs-result-type"

	// HTTP, and the server process.
	AcceptsJSONOnly   Fault = "accepts-json-only"
	ReadsJSONAlone    Fault = "reads-json-alone"
	ReadsStreamsAlone Fault = "reads-streams-alone"
	RetryWithoutName  Fault = "retry-without-name"
	ChokesOnComments  Fault = "chokes-on-comments"
	NeverResumes      Fault = "never-resumes"
	IgnoresRetry      Fault = "ignores-retry"
	SameIDAfterBreak  Fault = "same-id-after-break"
	LeavesServerDead  Fault = "leaves-server-dead"
	ListensOnce       Fault = "listens-once"
	ListensToOthers   Fault = "listens-to-others"
	ServerForEachCall Fault = "server-for-each-call"
	KillsServer       Fault = "kills-server"
	KeepsLostSession  Fault = "keeps-lost-session"
	LeavesSession     Fault = "leaves-session"
	StreamsUnasked    Fault = "accepts-any-stream"
	DeafStream        Fault = "deaf-stream"

	// The wire.
	NoVersionMember       Fault = "no-jsonrpc-member"
	OldJSONRPC            Fault = "old-jsonrpc"
	LogsToServer          Fault = "logs-to-server"
	WritesLatin1          Fault = "writes-latin-1"
	NoVersionHeader       Fault = "no-version-header"
	WrongVersionHeader    Fault = "wrong-version-header"
	DropsSession          Fault = "drops-session"
	NeverInitialized      Fault = "never-says-initialized"
	HalfInitialize        Fault = "half-initialize"
	ReusesIDs             Fault = "reuses-ids"
	FractionalIDs         Fault = "fractional-ids"
	IgnoresPings          Fault = "ignores-pings"
	NumericReason         Fault = "numeric-reason"
	MalformedContent      Fault = "malformed-content"
	SendsTwice            Fault = "sends-twice"
	AnswersTwice          Fault = "answers-twice"
	AnswersNobody         Fault = "answers-nobody"
	FetchesIcons          Fault = "fetches-icons"
	FollowsFormReferences Fault = "follows-form-references"
	FollowsReferences     Fault = "follows-references"
	CrashesAtOnce         Fault = "crashes-at-once"
	Hangs                 Fault = "hangs"
	EndsMidCall           Fault = "ends-mid-call"
)

// Faults returns all faults but none.
func Faults() []Fault { return slices.Clone(faults) }

var faults = []Fault{
	DeclaresNothing, DeclaresNoMode, DeclaresEmpty, DeclaresOnce, RetryWithoutMeta, NamelessRetry, FallsBackOnOneCode, ProbesLate, FallsBackOnVersion, InsistsOnVersion, WaitsForProbe, TakesAnyVersion, AsksBeforeInitialized, NeedsMode, CancelsUndeclaredModes, CancelsUnseen,
	NoWayOut, NothingToApprove, NoServerName, NoDomain, ShortensURL, DecodesURL, NoHighlight, NoWarning, LinksInMessage, NoControls,
	NothingToCopy, CutsMessage, AllDialogsAtOnce, ShowsTwice, DeclinesUnseen,
	Prefetches, OpensUnasked, EmbedsPage, OpensNothing, OpensTwice, OpensLate, RemembersConsent, OpensAnything, OpensWithShell,
	ContentWithURL, CancelForDecline, AnswersForPerson, GivesUpForPerson, AcceptsAtTheEnd, RepeatsDeclined, AnyNoticeCloses, FailsOnStray, CrashesOnStray,
	HidesErrors, LeaksURL, SendsAnything, KeepsDefaults, SendsUnseen, DefaultsForSome, OneOfSeveral,
	RetriesUnasked, RetriesAtConsent, LoopsOnRequired,
	DropsState, TrimsState, NormalizesState, CutsState, InventsState, KeepsFirstState, ChangesArguments, SharesResponses, AnswersOneInput, SwapsAnswers, AsksOnce,
	IgnoresStateOnly, FiveRounds, RetryKeepsID, CarriesStale, CachesCalls, ReadsInOneRound,
	MirrorsTopAlone, MarksOtherwise, KeepsInvalidTools, LeavesAnnotated, MirrorsNothing, MirrorsHex, NeverRefreshes,
	SameIDs, OneProgressToken, AnswersRequests, NeverTimesOut, ImpatientCalls, NeverCancels, Misspells, EndsServer, NeverHangsUp, CancelsStrangers,
	IgnoresProgress, NoMaximum, ClockRunsOn, UsesLateResponses, CrashesOnLate, UsesUnknownTypes, GuessesTypes, NeedsResultType,
	AcceptsJSONOnly, ReadsJSONAlone, ReadsStreamsAlone, RetryWithoutName, ChokesOnComments, NeverResumes, IgnoresRetry, SameIDAfterBreak,
	LeavesServerDead, ListensOnce, ListensToOthers, ServerForEachCall, KillsServer, KeepsLostSession, LeavesSession, StreamsUnasked, DeafStream,
	NoVersionMember, OldJSONRPC, LogsToServer, WritesLatin1, NoVersionHeader, WrongVersionHeader, DropsSession, NeverInitialized, HalfInitialize, ReusesIDs, FractionalIDs, IgnoresPings, NumericReason, MalformedContent, SendsTwice, AnswersTwice, AnswersNobody, FollowsReferences, FollowsFormReferences, FetchesIcons, CrashesAtOnce, Hangs, EndsMidCall,
}
