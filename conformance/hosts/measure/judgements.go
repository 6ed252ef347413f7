package main

import "strings"

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
		"B26": notSentAgain,
	},
	"mcp-go": {
		"A5": {
			found: "in the mode sketch",
			why: "The host declares both modes, so it is asked in one that does not exist; it refuses with -32603 where the text wants " +
				"-32602. Tried apart from this table, a host that declares forms alone is handed URL prompts all the same: the library " +
				"does not compare the mode with what was declared.",
		},
		"B15": {
			found: "a result of an unknown type was used",
			why:   "The content of a result of type `half_done` was handed to the caller as if it were complete.",
		},
		"B20": answersRequests,
		"B26": notSentAgain,
	},
	"typescript-v1": {
		"A5": {
			found: "in the mode sketch", ruling: excused,
			why: "The host declares both modes, so it is asked in one that does not exist; it refuses with -32603 where the text wants " +
				"-32602. Tried apart from this table, a host that declares forms alone answers a URL prompt with -32602, which is what the " +
				"text is about.",
		},
	},
	"typescript-v2": {
		"B15": needsType,
		"B26": neverNoticed,
	},
	"inspector": {
		"A1": declaresNone,
		"A4": {
			found: "declares no form mode", ruling: excused,
			why: "It cannot show forms and does not say it can; it answers `cancel` to this as to any prompt. What is wrong with that " +
				"is A5.",
		},
		"A5": {
			found: "answered with cancel",
			why: "It declares no elicitation, and answers a prompt as if somebody had dismissed it, where the text wants an error. A " +
				"server cannot tell that nobody was asked; nothing is agreed to.",
		},
		"B1":  declaresNone,
		"B15": needsType,
		"B26": neverNoticed,
	},
	"mcporter": {
		"A1": declaresNone,
	},
}

var (
	answersRequests = judgement{
		found: "sent a JSON-RPC response",
		why: "It answers a `ping` that the server should not have sent: this revision has no requests from servers. The text forbids " +
			"the answer without exceptions, yet it does no harm.",
	}
	notSentAgain = judgement{
		found: "was not sent again", ruling: excused,
		why: "The call ends with an error at once, and whoever wrote the host can make it again. That clients must is in the changelog " +
			"alone; the page on the transport does not say that a library has to, and not every call can safely be made twice.",
	}
	neverNoticed = judgement{
		found: "was not sent again", ruling: excused,
		why: "That clients must is in the changelog alone; the page on the transport does not say it. What a person will notice: the " +
			"call does not end when its stream breaks, but only by its time-out, after a minute.",
	}
	needsType = judgement{
		found: "a result without a type was not taken for complete", ruling: excused,
		why: "The client takes results without a type from servers of the older protocol, and refuses them from one that speaks " +
			"2026-07-28, where the type is required. The text gives older servers as its reason and can be read like that. A result of " +
			"an unknown type it refuses, as it must.",
	}
	declaresNone = judgement{
		found: "declar", ruling: excused,
		why: "It has no elicitation, and the text wants the declaration of hosts that have. What it means for lazy authorization: a " +
			"server can hand the link and the code to this host as text only.",
	}
)

// dialog are the requirements that the SDKs leave to who writes a host: the
// dialog and the browser. What the adapters do there says nothing of an SDK.
var dialog = set("A8 A9 A10 A12 A13 A14 A15 A16 A17 A20 A22 A23 A35 B5 P6 P15 P16")

// timeouts are the requirements on giving up a call, for hosts that cannot be
// told when to.
var timeouts = set("A24 A25 A26 A27 A28 B17 B18 B19 B34")

func set(ids string) map[string]bool {
	out := make(map[string]bool)
	for id := range strings.FieldsSeq(ids) {
		out[id] = true
	}
	return out
}
