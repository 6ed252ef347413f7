package main

// The page, but for its tables and lists.
const (
	opening = `<!-- Written by conformance/hosts/measure. Change the words there, not here. -->

# Hosts, measured

Two things are measured, with different means and different hosts, by one command:

- whether **a sign-in comes through** in hosts as they are installed, programs with an agent among them;
- what **[hostcheck](hostcheck.md) finds** in those that can be scripted, against the text of the specification.

Done again, the page has to be the same but for the times in the first part: [Doing it again](#doing-it-again).

`

	aboutHostcheck = headHostcheck + `
It is not a ranking: most of what is below "failed" shows only when a server does something unusual. It says what a server that signs
people in on the first call can rely on.

**In short.** All four libraries, and Codex, carry URL prompts from the server to the person and back, in each protocol revision that they speak,
without mixing up parallel calls, and without touching what they carry. None of them sends a progress token by itself, so
progress does not keep a call alive unless the host asks for it. None handles error -32042 by itself. The two command lines, and
agents that run unattended, cannot be asked anything.

`

	middle = `
An adapter is the least that somebody would write to have a host on that library: it declares both modes of elicitation, shows prompts,
opens the browser when the person agrees, uses the call time-outs that it is told, and leaves to the library whatever the library
decides. A command line is run anew for each call, in an environment of its own, with a configuration file. An agent is run for each scenario,
with a script for its model that makes the calls; what it hands to the model is what they came to.

### Results

Requirements, each counted once in a row, by the worst that was seen of it in any scenario:

`

	columns = `
- **failed** a MUST or MUST NOT; **excused** the same, but see below why it is not held against the host; **warned** a SHOULD.
- **not reached** the conversation did not get to where it is decided, which says nothing of the requirement.
- **nothing to decide** the host did not do what it may do; **skipped** it shows in a user interface alone, and the host has none, or it
  is about what the host does not declare.

Two that count as nothing to decide are good to know. A call whose stream broke (B26) ends with an error at once in the Go libraries,
and only by its time-out, after a minute, in the TypeScript SDK v2 and the Inspector. And mcp-go does not compare the mode of a
prompt with what was declared (A5): tried apart from this table, a host on it that declares forms alone is handed URL prompts all the
same, while one on the TypeScript SDK v1 refuses them with -32602. Here both modes are declared, and there is no mode to refuse but
one that does not exist.

The libraries and Codex are given all scenarios. The command lines, and agents that run unattended, are given fifteen that do not begin
with a prompt, as nothing can be learnt from those that do. A sixteenth, of a server that does not answer, is left out there: it
gives a host twelve seconds, its start among them, and on a busy machine some take longer to start. A command line begins a session
for each call, so that none ends between two of its calls (A46).
`

	aboutFailures = `Each failure was looked at in the recording and compared with the text that it is about. Some say more of the check than of the host.
`

	aboutWarnings = `None of these breaks a MUST, and somebody who writes a host on a library can make good most of them.

`

	aboutDialog = `The library hands a prompt to the host, and these are about what the host's dialog and browser do. They decide nothing here.`

	aboutTimeouts = `How a call is given up cannot be told of a host that cannot be told when: the Inspector's command line has no option for it, and
that of mcporter, '--timeout', covers the start of the server, too.`

	aboutAgents = `They have one time-out for all calls of a server at the best, and are given the shortest of a scenario's. For Codex what is left to a dialog is left aside as well, since the app server hands its prompts to an editor.`

	closing = `
### Doing it again

With Go, Node.js 20 or later, tmux, Linux, and a clone of this repository:

` + "```sh" + `
npm ci --ignore-scripts --prefix conformance/hosts/node
go run -C conformance/hosts ./measure install   # the agents, 2.5 GB
go run -C conformance/hosts ./measure           # all, and this page
go run -C conformance/hosts ./measure -check    # fails if this page would change, but for times
` + "```" + `

[conformance/hosts](../conformance/hosts) says how to measure one of them, what is pinned where, and how to add another. Continuous
integration runs Codex, Copilot and Gemini, and the command lines with a server that keeps files, and compares their rows.
`
)

// warnings are what there is to say of each.
var warnings = map[string]string{
	"A6": "Codex adds an empty object to what the client of its app server has answered.",
	"A47": "To end the session is a call of its own in the TypeScript SDK (`terminateSession`), which the adapter, as little as somebody would write, " +
		"does not make; nor do the programs that are built on it.",
	"B46": "It is a command line: the server lives as long as the command.",
	"A55": "The server's process is ended without its input having been closed.",
	"A58": "It goes on as if it knew the version in the answer to `initialize`.",
	"B47": "The library sets no time-out of its own to the question: in the Go SDK the answer is waited for until the context ends that the host has " +
		"connected with, and in the TypeScript SDK v2 for a minute, as any answer is.",
	"B48": "Both end with status 0, and print nothing of it.",
	"B44": "The error reaches the host; to list the tools again, and to call again, is left to it, and the programs here do not.",
	"A21": "The error reaches the host with its data; presenting what is in it is left to the host.",
	"A25": "The host's context ends, and the library closes the connection of the request without a word; in this revision that is not " +
		"a cancellation, so the server goes on.",
	"B22": "That the server ended reaches the host as an error of the call; starting it again is left to the host, and Copilot does not.",
	"P2": "The token, and that progress restarts the clock, have to be asked for with each call in the TypeScript SDK; in the Go libraries " +
		"the token is a parameter of the call, and the clock is the caller's. The command lines ask for no progress. Codex, Claude Code and Gemini CLI do, and it changes nothing.",
	"P11": "The clock of a call is the caller's, and the library does not stop it while the host shows a prompt.",
}
