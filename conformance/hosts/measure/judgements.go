package main

import (
	"maps"
	"strings"
)

// A ruling is what becomes of a failure.
type ruling int

const (
	// upheld: the specification says so, and the host does otherwise.
	upheld ruling = iota
	// excused: the text can be read in another way, or does not bind this host.
	excused
)

// A judgement is on a check that a host failed.
type judgement struct {
	// found is a part of what the suite says, so that a judgement does not
	// cover what it does not speak of.
	found  string
	ruling ruling
	why    string
}

// judgements are on every failure of every host. What has none, and those that
// are on nothing, make the measurement fail.
var judgements = map[string]map[string]judgement{
	"go-sdk": {
		"B15": {
			found: "taken for a request for input",
			why: "The client goes by whether there are `inputRequests` and does not look at `resultType`: it asked the person, " +
				"and retried, for a result of type `half_done`.",
		},
		"B20": answersRequests,
		"A46": leavesSession,
		"B39": fallsBack,
		"B43": listsInvalid,
	},
	"mcp-go": {
		"A46": leavesSession,
		"B43": listsInvalid,
		"B15": {
			found: "a result of an unknown type was used",
			why:   "The content of a result of type `half_done` was handed to the caller as if it were complete.",
		},
		"B20": answersRequests,
		"B39": fallsBack,
	},
	"typescript-v1": {
		"A46": leavesSession,
	},
	"typescript-v2": {
		"A46": leavesSession,
		"B15": needsType,
	},
	"inspector": {
		"A5": {
			found: "answered with cancel",
			why: "It declares no elicitation, and answers a prompt as if somebody had dismissed it, where the text wants an error. A " +
				"server cannot tell that nobody was asked; nothing is agreed to.",
		},
		"B15": needsType,
		"P17": {
			found: `the last that it had been sent is the response to call "needs"`,
			why: "After error -32042, which this revision does not have any more, it waits for somebody to answer a prompt that it has no way to " +
				"show, and never ends. Over HTTP it waits as well, but there nothing keeps its process alive: it ends with status 0 " +
				"and prints nothing.",
		},
	},
	"mcporter": {},
	"codex-app": {
		"P5": {
			found: `what call "needs" came to for the model has the URL or the code of a prompt in it`,
			why: "The data of error -32042 is handed to the model as text, and the prompt in it is shown to nobody. lazyauth does not " +
				"use that error.",
		},
	},
	"claude-p": {
		"B15": {found: "a result of an unknown type was used", why: usesAnyType},
	},
	"copilot-p": {
		"B15": {found: "a result of an unknown type was used", why: usesAnyType},
		"B20": answersRequests,
		"B39": {
			found: "falls back to initialize after error -32022",
			why: "The error says that the server is of the newer era, and names a version to come. It takes the server for one of the older " +
				"era, and sends `initialize`, which the server refuses as well.",
		},
		"B41": {
			found: "Mcp-Param-Region is missing",
			why:   "It sends no header for any parameter that is annotated with `x-mcp-header`.",
		},
		"B43": {
			found: `calls "notes_`,
			why:   "It looks at no `x-mcp-header`: of the six tools whose annotations are invalid each could be called.",
		},
	},
	"gemini-p": {
		"A46": {
			found: "the host did not initialize again",
			why: "The calls that follow go on in the session that there is not any more, and each fails. No person is there who could connect " +
				"anew, and the model is told of an error of the tool.",
		},
		"A39": {
			found: "MCP-Protocol-Version is missing",
			why:   "No request after the initialization has the header. A server has to take it for one of an older revision then.",
		},
	},
}

// usesAnyType is what agents do with a result of type half_done.
const usesAnyType = "The content of a result of type `half_done` was handed to the model as if it were complete."

var (
	leavesSession = judgement{
		found: "the host did not initialize again", ruling: excused,
		why: "The library hands the 404 to the host, which can connect anew; the adapter, as little as somebody would write, does not. " +
			"Only a client that begins the session by itself would do so for it.",
	}
	listsInvalid = judgement{
		found: `calls "notes_items"`,
		why: "The list that the library returns leaves out the tools whose `x-mcp-header` is invalid, but for one: where it stands below " +
			"`items`, it is not seen, and the tool is called.",
	}
	fallsBack = judgement{
		found: "falls back to initialize after error -32022",
		why: "The error says that the server is of the newer era. If it names a version of that era that the library has, the library goes " +
			"on with it; otherwise it takes the server for one of the older era, and sends `initialize`. The server of the check, of a " +
			"version to come, refuses that as well, so the connection fails all the same.",
	}
	answersRequests = judgement{
		found: "sent a JSON-RPC response",
		why: "It answers a `ping` that the server should not have sent: this revision has no requests from servers. The text forbids " +
			"the answer without exceptions, yet it does no harm.",
	}
	needsType = judgement{
		found: "a result without a type was not taken for complete",
		why: "The client takes results without a type from servers of the older protocol, and refuses them from one that speaks " +
			"2026-07-28, where the type is required. The text gives older servers as its reason; the official suite takes it to bind " +
			"here, too (`sep-2322-default-result-type-complete`). A result of an unknown type it refuses, as it must.",
	}
)

// dialog are the requirements that the SDKs leave to who writes a host: the
// dialog and the browser. What the adapters do there says nothing of an SDK.
var dialog = set("A8 A9 A10 A12 A13 A14 A15 A16 A17 A20 A22 A23 A35 A50 B5 P6 P15 P16 P18")

// timeouts are the requirements on giving up a call, for hosts that cannot be
// told when to.
var timeouts = set("A24 A25 A26 A27 A28 B17 B18 B19 B34 B36 B37")

// agentTimeouts are those for agents, which have one time-out for all calls at the
// best. Of a task that gives its calls different ones they get the shortest, which
// P1 is about.
var agentTimeouts = set("A24 A25 A26 A27 A28 B17 B18 B19 B34 B36 B37 P1")

// dialogAndTimeouts are both, for an agent whose dialogs are its client's.
var dialogAndTimeouts = union(dialog, agentTimeouts)

func union(sets ...map[string]bool) map[string]bool {
	out := make(map[string]bool)
	for _, s := range sets {
		maps.Copy(out, s)
	}
	return out
}

func set(ids string) map[string]bool {
	out := make(map[string]bool)
	for id := range strings.FieldsSeq(ids) {
		out[id] = true
	}
	return out
}
