package hostcheck

import (
	"cmp"
	"context"
	"net"
	"slices"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// The protocols and transports that a host can be checked in.
const (
	Legacy = "2025-11-25" // initialize, elicitation/create
	Modern = "2026-07-28" // server/discover, input_required
	Stdio  = "stdio"
	HTTP   = "http" // streamable HTTP
)

// A Level says how binding a requirement is, in the words of RFC 2119.
type Level string

// The levels. A violated MUST or MUST NOT is a [Failure], a violated SHOULD or
// SHOULD NOT a [Warning]; a MAY is told as [Success] where a host makes use of
// it, and as [Info] where it does not.
const (
	Must      Level = "MUST"
	MustNot   Level = "MUST NOT"
	Should    Level = "SHOULD"
	ShouldNot Level = "SHOULD NOT"
	May       Level = "MAY"
)

// An Observation is a way in which it shows whether a host meets a
// requirement.
type Observation string

// The ways. A requirement that has [UI] among them is SKIPPED for a host that
// reports nothing of what it shows.
const (
	Wire   Observation = "wire"   // in the messages alone
	UI     Observation = "ui"     // in what the host reports to show, over the control endpoint
	Canary Observation = "canary" // at the web server behind a prompt's URL
)

// A Requirement is one thing that a host must, should or may do.
type Requirement struct {
	ID       string        `json:"id"`       // "A8", "B11", "P7"
	Name     string        `json:"name"`     // a few words
	Text     string        `json:"text"`     // a sentence or two, in our own words
	Level    Level         `json:"level"`    // how binding it is
	Revision string        `json:"revision"` // [Legacy], [Modern] or "profile"
	Section  Reference     `json:"section"`  // where the specification says so
	Observed []Observation `json:"observed"` // all of them are needed
	// Derived says that the text has no keyword of RFC 2119 there: the level is what
	// this project reads in a definition, a schema, or another standard.
	Derived bool `json:"derived,omitempty"`
	// Reason is why no scenario decides it; empty if one does.
	Reason string `json:"reason,omitempty"`
	// Everywhere says that it is judged in every scenario that gives occasion to,
	// and not only in those that exist for it.
	Everywhere bool `json:"everywhere,omitempty"`
	// Official are the ids of the checks of the official suite that are about the same
	// sentence of the specification. They are in the metadata of each [Check] of it.
	// Where there are several, this requirement holds only if all of them do.
	Official []string `json:"official,omitempty"`

	overHTTP  Reference // the section for HTTP, where each transport has its own
	newer     Reference // the section in the newer revision, where it stands elsewhere
	eras      []string  // the protocols in which it binds
	transport string    // the only one on which it binds; empty for both
	hook      string    // what a host has to report for it to be decided; for [UI]
	elsewhere string    // what is wrong with a host that speaks the protocol in other runs, and not in this one
	follows   bool      // a person who watches is not asked: it follows from what they were to press

	// How it is judged, each at a moment of its own; nil for what says nothing of it.
	line      func(judge, *session, *wire.Line) // each message, and what is none
	post      func(judge, *wire.Line)           // each HTTP request with a message
	bare      func(judge, *session, *wire.Bare) // each one without
	response  func(judge, *wire.Line)           // each response, where the protocol has none
	request   func(judge, *call)                // each request
	fresh     func(judge, *call)                // each call that follows nothing
	started   func(judge, *flow)                // the same, as what it begins
	retry     func(judge, *retry)               // each one that follows a result
	cancelled func(judge, *cancellation)        // each cancellation
	answered  func(judge, *session, *prompt)    // each prompt, when all is over
	shown     func(judge, *session, *prompt)    // the same, if the host reports what it shows
	opened    func(judge, *session, *prompt)    // the same of a URL, if it reports what it opens
	reported  func(judge, *session, *prompt)    // the same of a URL, if it reports what calls come to
	played    func(judge, occasion)             // what a scenario does to find out: see judgePlayed
	end       func(judge, *session)             // when all is over
}

// Requirements returns the catalogue, in the order of the IDs. The caller owns the
// slice.
func Requirements() []Requirement {
	return slices.SortedFunc(slices.Values(catalogue), func(a, b Requirement) int {
		return cmp.Or(cmp.Compare(a.ID[:1], b.ID[:1]), cmp.Compare(len(a.ID), len(b.ID)), cmp.Compare(a.ID, b.ID))
	})
}

// A Scenario is a conversation that is staged with a host, and the
// requirements that it decides.
type Scenario struct {
	Name        string   `json:"name"` // as in --scenario: "round-trips"
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Protocols   []string `json:"protocols"`
	Transports  []string `json:"transports"`
	// Checks are the IDs of the requirements it decides. Those that do not
	// apply to a protocol or transport are left out of its results. A requirement
	// that binds everywhere has a result, too, where there was occasion for it.
	Checks []string `json:"checks"`
	// Ask is what a person is told to do in guided mode.
	Ask string `json:"ask"`

	script
}

// Steps are the calls that the host is to make in a protocol: one step after the
// other, and the calls of a step all at once.
func (s Scenario) Steps(protocol string) [][]Call { return s.steps(protocol) }

// Scenarios returns all scenarios, in order. The caller owns the slice.
func Scenarios() []Scenario { return append([]Scenario(nil), scenarios...) }

// Config says which host is checked, and in what.
type Config struct {
	// Host is the command that starts the host, once for each scenario. These
	// placeholders in its arguments are replaced:
	//
	//	{server}    the server: a URL; or, for stdio, the command line to start
	//	            it. An argument that is just {server} becomes as many
	//	            arguments as it has words; within another it is quoted for a
	//	            POSIX shell.
	//	{control}   the control endpoint, see [Task]
	//	{task}      the [Task], as JSON
	//	{tool}      the name of the first tool to call
	//	{arguments} its arguments, as JSON
	//	{config}    the path of the rendered Template
	//	{dir}       a folder that exists as long as the scenario
	//	{scenario}, {protocol}, {transport}
	//
	// The same is in the environment: HOSTCHECK_CONTROL, HOSTCHECK_TASK,
	// HOSTCHECK_SCENARIO, HOSTCHECK_PROTOCOL, HOSTCHECK_TRANSPORT,
	// HOSTCHECK_DIR, HOSTCHECK_CONFIG, and HOSTCHECK_URL for HTTP or
	// HOSTCHECK_COMMAND, a JSON array, for stdio. A client made for the official suite
	// finds its MCP_CONFORMANCE_SCENARIO, MCP_CONFORMANCE_PROTOCOL_VERSION and
	// MCP_CONFORMANCE_CONTEXT, too; the context has toolCalls, as the official scenario
	// http-custom-headers has, and hostcheck, with the task and the control endpoint.
	Host []string
	// Protocols and Transports are what to check; nil means all.
	Protocols, Transports []string
	// Scenarios are the names of those to run; nil means all.
	Scenarios []string
	// Checks are the IDs of the requirements to judge; nil means all. Of the scenarios
	// those are run that decide one of them, and results have no other checks. Those
	// that bind everywhere and that no scenario exists for are judged in all.
	Checks []string
	// Timeout bounds one scenario. Zero means 60 s.
	Timeout time.Duration
	// Parallel is how many scenarios run side by side. Zero means as many as
	// are sensible on this machine.
	Parallel int
	// Template is a text/template of a configuration file for the host, and
	// TemplateName the name that the file gets in the scenario's folder
	// (default "host.json"). It is executed with a [Launch]; besides the built-in
	// functions it has json, which encodes any value.
	Template, TemplateName string
	// Stub is the command line that becomes a stdio server when --control and
	// a URL are added: a program that calls [Stub]. Nil means this very
	// executable and "stub".
	Stub []string
	// Play, if set, is a host inside this process, in place of Host: it runs
	// until it has done its task or ctx ends. What it reaches it reaches over
	// a network in memory, so that the suite can run inside a testing/synctest
	// bubble, where waiting takes no time. Parallel is then 1 by default.
	Play func(ctx context.Context, launch Launch) error
	// Progress, if set, is called after each scenario, one call at a time.
	Progress func(done, total int, r Result)
}

// A Launch is everything that a host is told when it is started.
type Launch struct {
	Control   string   // the control endpoint; paths are appended
	Scenario  string   // the name of the scenario
	Protocol  string   // [Legacy] or [Modern]
	Transport string   // [Stdio] or [HTTP]
	Command   []string // stdio: how to start the server
	URL       string   // HTTP: where the server is
	Dir       string   // a folder; empty for [Config.Play]
	ConfigAt  string   // the path of the rendered template; empty without one
	Task      Task     // what to do

	// Dial reaches Control, URL and the control URL in Command. It is set for
	// [Config.Play] alone.
	Dial func(ctx context.Context, network, address string) (net.Conn, error) `json:"-"`
}

// A Task is what the host is to do in a scenario. The host's adapter reads it
// as JSON from HOSTCHECK_TASK or from GET {control}/task.
type Task struct {
	Server Server `json:"server"`
	// Steps are done one after the other; the calls of a step all at once.
	Steps [][]Call `json:"steps"`
}

// A Server is how the host reaches the server that it is to use.
type Server struct {
	Name    string   `json:"name"`              // what the host is to call it
	Command []string `json:"command,omitempty"` // stdio
	URL     string   `json:"url,omitempty"`     // HTTP
}

// A Call is one call of a tool, or another request that a host can be told to make. Its arguments name it, so that the server knows
// which is which.
type Call struct {
	ID        string         `json:"id"` // names the call in reports: "first"
	Tool      string         `json:"tool,omitempty"`
	Arguments map[string]any `json:"arguments,omitempty"`
	// In place of a tool, the URI of a resource to read, or the name of a prompt to get
	// with the arguments. They are for hosts alone that say that they can be told to.
	Resource string `json:"resource,omitempty"`
	Prompt   string `json:"prompt,omitempty"`
	// TimeoutMs is the call time-out to use, in milliseconds; 0 means that of
	// the host, which must then be at least ten seconds.
	TimeoutMs int `json:"timeoutMs,omitempty"`
	// MaxMs is how long progress may prolong the call at the most; 0 leaves that
	// to the host. A host that keeps to it says so (does=maximum).
	MaxMs int `json:"maxMs,omitempty"`
}
