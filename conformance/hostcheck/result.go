package hostcheck

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// A Status is the verdict of a check, in the words of the official suite.
type Status string

// The statuses. A failed MUST is a FAILURE, a failed SHOULD a WARNING.
const (
	Success Status = "SUCCESS"
	Failure Status = "FAILURE"
	Warning Status = "WARNING"
	Skipped Status = "SKIPPED"
	Info    Status = "INFO"
)

// A Reference points into a specification.
type Reference struct {
	ID  string `json:"id"`
	URL string `json:"url,omitempty"`
}

// A Source says where a requirement comes from, in the terms of the official suite: the
// revisions in which the check is made, or, for the lazy-auth profile, a name of its own,
// which is in no revision.
type Source struct {
	IntroducedIn string `json:"introducedIn,omitempty"` // the first one
	RemovedIn    string `json:"removedIn,omitempty"`    // the first one after it without the check
	ExtensionID  string `json:"extensionId,omitempty"`  // [ProfileID]
}

// ProfileID names the lazy-auth profile where the official suite has the identifier of
// an extension. It is in no host's capabilities: a host does not negotiate the profile.
const ProfileID = "io.github.lazyauth/lazy-auth"

// A Check is one verdict, in the shape of the official suite's checks.json, so
// that results can be merged. Its ID is the same whether it passed or failed.
type Check struct {
	ID             string         `json:"id"`
	Name           string         `json:"name"`
	Description    string         `json:"description"`
	Status         Status         `json:"status"`
	Timestamp      time.Time      `json:"timestamp"`
	SpecReferences []Reference    `json:"specReferences,omitempty"`
	Source         *Source        `json:"source,omitempty"`
	Details        map[string]any `json:"details,omitempty"`
	Metadata       map[string]any `json:"metadata,omitempty"`
	ErrorMessage   string         `json:"errorMessage,omitempty"`
	Logs           []string       `json:"logs,omitempty"`
}

// Profile says whether the check is about the lazy-auth profile, and not about MCP.
func (c Check) Profile() bool { return c.Source != nil && c.Source.ExtensionID != "" }

// A Party is who a recorded event comes from.
type Party string

// The parties. A note is the suite's own remark on what happened between two
// messages: a connection, a press of a button, a process that ended.
const (
	FromHost   Party = "host"
	FromServer Party = "server"
	FromCanary Party = "canary" // a request to the web server behind a prompt's URL
	Note       Party = "note"
)

// NotTestable begins the message of a check that was not reached: the conversation
// ended before it could be made. The prefix and the severity, which is that of the
// level, are those of the official suite, and so is "untestable" among the details.
const NotTestable = "Not testable: "

// Reached says whether the conversation got to the check. What was not reached says
// nothing of its requirement.
func (c Check) Reached() bool { return !strings.HasPrefix(c.ErrorMessage, NotTestable) }

// An Event is one line of a recorded conversation.
type Event struct {
	// At is the time since the scenario began.
	At time.Duration `json:"at"`
	// From is who spoke.
	From Party `json:"from"`
	// Connection numbers the server processes (stdio) or the requests (HTTP)
	// from 1, so that parallel ones can be told apart.
	Connection int `json:"connection,omitempty"`
	// Message is the JSON-RPC message as it went over the wire, if that was JSON.
	Message json.RawMessage `json:"message,omitempty"`
	// Text is a note, or bytes that were not JSON, escaped and shortened.
	Text string `json:"text,omitempty"`
	// HTTP is what HTTP had around the message, or all there was: the request line, or
	// the status, and the headers. It is nil over stdio, and for the later messages of
	// an event stream.
	HTTP *Envelope `json:"http,omitempty"`
	// Checks are the IDs of the checks that this event decided.
	Checks []string `json:"checks,omitempty"`
}

// An Envelope is the line and the headers of an HTTP request or response. The values of
// headers that are secret (Authorization, Cookie and their like) are not in it, nor
// the unguessable parts of the suite's own paths; long values are cut.
type Envelope struct {
	Method string      `json:"method,omitempty"` // of a request
	Path   string      `json:"path,omitempty"`   // of a request
	Status int         `json:"status,omitempty"` // of a response
	Header http.Header `json:"header"`
}

// An Implementation is what a host says of itself: its name and its version.
type Implementation struct {
	Name    string `json:"name"`
	Title   string `json:"title,omitempty"`
	Version string `json:"version"`
}

// A Result is what one run of a scenario came to.
type Result struct {
	Scenario string `json:"scenario"`
	Title    string `json:"title"`
	// Description is what happens in the scenario, and what is expected of the host.
	Description string `json:"description"`
	// Client is what the host said of itself; nil if it never did.
	Client    *Implementation `json:"client,omitempty"`
	Protocol  string          `json:"protocol"`  // "2025-11-25" or "2026-07-28"
	Transport string          `json:"transport"` // "stdio" or "http"
	Started   time.Time       `json:"started"`
	Took      time.Duration   `json:"took"`
	Checks    []Check         `json:"checks"`
	Events    []Event         `json:"events"`
	// HostOutput is what the host wrote to standard error. Of more than 64 KiB the middle
	// is left out, which is said there.
	HostOutput string `json:"hostOutput,omitempty"`
	// HostStdout is the same of standard output, which carries no messages: a server over
	// stdio is a program that the host starts.
	HostStdout string `json:"hostStdout,omitempty"`

	// What is looked at when all runs are known.
	reached bool   // the host came to the server
	spoke   bool   // and spoke the protocol
	excuse  string // why it need not have; empty if it has to
}

// A Report is what a whole run came to.
type Report struct {
	// Suite is the version of the suite: see [Version].
	Suite string `json:"suite"`
	// Host is the command that was run.
	Host    []string      `json:"host"`
	Started time.Time     `json:"started"`
	Took    time.Duration `json:"took"`
	Results []Result      `json:"results"`
	// Baseline is what --expected-failures made of the failures; nil without it.
	Baseline *Baseline `json:"baseline,omitempty"`
}

// A Baseline compares a report with the failures that were expected of it.
type Baseline struct {
	Expected   []string `json:"expected"`   // failed, as expected
	Unexpected []string `json:"unexpected"` // failed, and was not expected to
	Stale      []string `json:"stale"`      // expected to fail, and did not
	Others     []string `json:"others"`     // entries that name no scenario of this suite, and say nothing here
}
