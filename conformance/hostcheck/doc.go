// Package hostcheck finds out whether an MCP host can take part in lazy
// authorization: whether it shows a person the prompts of a server, answers
// them as the person did, keeps a call alive or comes back to it, and carries
// round trips without spoiling what they carry.
//
// The command of the same name is what most need: hostcheck run -- HOST. In Go,
// for a host that can be started from a command:
//
//	report, err := hostcheck.Run(ctx, hostcheck.Config{
//		Host: []string{"my-host", "--mcp-server", "{server}"},
//		Stub: []string{"hostcheck", "stub"}, // the command, for stdio
//	})
//	if err != nil {
//		log.Fatal(err) // of the configuration; what the host does is in the report
//	}
//	ok := report.OK(false)
//
// A host that is a function is [Config].Play; one that a person works by hand is
// checked with a [Guide]. [ReadBaseline] allows for failures that are known. Package
// report writes reports for people and for programs. docs/hostcheck.md has the rest.
//
// # How it works
//
// A [Scenario] is a conversation. For each one, in each protocol and over each
// transport, [Run] opens a loopback port, starts the host, tells it what to do
// (a [Task]: which server to use, which tools to call, with which time-outs),
// and plays the server itself, on raw JSON-RPC, so that it can say things that
// no library would say, and see every byte that the host says.
//
//	              task, dialogs, presses (adapter protocol)
//	  ┌───────────────────────────────────────────────────────┐
//	  │                                                       │
//	host ── stdin/stdout ── stub ── loopback ── session ── record ── checks
//	  │                                            │
//	  └── streamable HTTP ─────────────────────────┤
//	  └── whatever it requests of a prompt's URL ──┘ canary
//
// Over stdio, the server that the host launches is a stub ([Stub]) that relays
// bytes. Over HTTP the host is given a URL. Behind the URL of every prompt is a
// canary, a web server that records who comes before a person agreed.
//
// A host that can be scripted reports what it shows, over a small protocol of
// JSON and HTTP (see [Shown], [Press], [Opened] and [Outcome]), and is told what
// the person does. A requirement that shows in a user interface alone is
// SKIPPED for a host that does not, and so is one about what a host never declared,
// as in the official suite. Whatever else cannot be decided because the conversation
// did not get there is not testable, which is told apart from what failed.
//
// # Requirements
//
// Each [Requirement] has an ID: A for what revision 2025-11-25 of the
// specification asks of a host, B for 2026-07-28, P for what this project asks
// beyond that. Its text is in our words; its Section is a link to theirs; it is
// Derived if they have no keyword of RFC 2119 there. A
// check has the ID of its requirement, whether it passed or failed. A
// requirement that no scenario decides says why ([Requirement].Reason).
package hostcheck

// How to read the source:
//
// require_*.go are the requirements, one file for each subject. All about one is
// in its literal: what it says and where that is written, where it binds, what a
// host has to report for it, and how it is judged (suite.go has the fields).
//
// scenario_*.go are the scenarios: which calls the host makes, and the server's
// part in each of them (play). flow.go and prompt.go are what scenarios are
// written in: a flow is one call as the model sees it; ask.go asks in the way of
// either era.
//
// A scenario under way is three things: a session (session.go, server.go), which
// is the server's side of the conversation; a person (person.go), who is shown
// prompts and acts; and an observer (observer.go), which keeps what was found.
// judge.go has the requirements judge what happens, at the moments that there are;
// verdict.go turns findings into checks. internal/wire is the raw server beneath
// the session, with its ports and its record. adapter.go is the adapter protocol;
// launch.go is what a host is told, process.go its process; guide.go is the same
// with a person in place of a script, and guide_steps.go what that person is told.
// config.go checks a configuration and says what is to be run; run.go runs it.
