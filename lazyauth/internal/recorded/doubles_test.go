package recorded_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// A doubled host was not to be had. What it declares is known from what others have
// written, and is all that its double has of it: that it lists the tools and calls one
// is assumed of every host, and so is the person. A double is no proof that the host
// can be signed in with; it shows what this library makes of such a declaration.
type doubledHost struct {
	name       string
	source     string // of what it declares, with the date on which it was read
	initialize string // the parameters, as JSON
	habits     habits // assumed
	stories    []recordedStory
}

// dialogs are the stories of a host that shows prompts in the first of these modes,
// which is the best that it declares.
func dialogs(mode string) []recordedStory {
	return []recordedStory{
		{title: "consents, and approves", person: 20 * time.Second, further: []reactionTime{consents},
			channels: []string{mode}, seen: 1, calls: 1, ends: []string{ok}},
		{title: "leaves the dialog alone", person: 20 * time.Second, further: []reactionTime{unanswered},
			channels: []string{mode}, seen: 1, calls: 1, ends: []string{ok}},
		// A person declines, and is not asked again within a minute.
		{title: "declines", further: []reactionTime{{action: "decline", after: 3 * time.Second}}, again: []time.Duration{5 * time.Second},
			channels: []string{mode}, seen: 1, calls: 2, ends: []string{declined, declined}},
	}
}

var doubledHosts = []doubledHost{
	{
		name: "Visual Studio Code",
		source: "microsoft/vscode, src/vs/workbench/contrib/mcp/common/mcpServerRequestHandler.ts at c5308376, read on 26 November 2026; " +
			"it gives calls no time of its own to end in",
		initialize: `{"protocolVersion":"2025-11-25","capabilities":{"roots":{"listChanged":true},"sampling":{},"elicitation":{"form":{},"url":{}},
			"tasks":{"list":{},"cancel":{},"requests":{"sampling":{"createMessage":{}},"elicitation":{"create":{}}}}},
			"clientInfo":{"name":"Visual Studio Code","version":"1.140.0"}}`,
		stories: append(dialogs("url"), recordedStory{
			// As some versions are reported to do.
			title: "refuses by itself", further: []reactionTime{refusesFast, refusesFast},
			channels: []string{"url", "form"}, calls: 1, ends: []string{declined},
		}),
	},
	{
		name: "Cursor",
		source: "forum.cursor.com/t/147888, a log of 3 January 2026, for what it declares; a probe of Cursor 3.20.17 on 14 September 2026, " +
			"for its name and the protocol; both read on 26 November 2026",
		initialize: `{"protocolVersion":"2025-11-25","capabilities":{"tools":true,"prompts":true,"resources":true,"logging":false,"elicitation":{},
			"roots":{"listChanged":false}},"clientInfo":{"name":"cursor-vscode","version":"1.0.0"}}`,
		habits:  habits{limit: time.Minute}, // that of the TypeScript SDK
		stories: dialogs("form"),
	},
	{
		name:   "Claude Code, with a server that does not speak 2026-07-28",
		source: "what version 2.1.328 said to hostcheck as such a server, on 27 November 2026; with one that speaks 2026-07-28 it was run",
		initialize: `{"protocolVersion":"2025-11-25","capabilities":{"roots":{"listChanged":true},"elicitation":{"form":{},"url":{}}},
			"clientInfo":{"name":"claude-code","title":"Claude Code","version":"2.1.328"}}`,
		stories: dialogs("url"),
	},
	{
		name:   "Claude Code 2.1.281, with a server that does not speak 2026-07-28",
		source: "claude-code issue 88075, read in November 2026, and a log of that version",
		initialize: `{"protocolVersion":"2025-11-25","capabilities":{"roots":{"listChanged":true},"elicitation":{}},
			"clientInfo":{"name":"claude-code","title":"Claude Code","version":"2.1.281"}}`,
		stories: dialogs("form"),
	},
}

// conversation is what such a host says: it initializes, lists the tools, and calls one.
func (h *doubledHost) conversation() (*conversation, error) {
	said := []struct{ from, text string }{
		{"host", `{"jsonrpc":"2.0","id":0,"method":"initialize","params":` + h.initialize + `}`},
		{"server", `{"jsonrpc":"2.0","id":0,"result":{}}`},
		{"host", `{"jsonrpc":"2.0","method":"notifications/initialized"}`},
		{"host", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}`},
		{"server", `{"jsonrpc":"2.0","id":1,"result":{}}`},
		{"host", `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"whoami","arguments":{}}}`},
		{"server", `{"jsonrpc":"2.0","id":2,"result":{}}`},
	}
	run := make([]recorded, 0, len(said))
	for i, line := range said {
		var compact map[string]any
		if err := json.Unmarshal([]byte(line.text), &compact); err != nil {
			return nil, fmt.Errorf("%s: %w", h.name, err)
		}
		raw, err := json.Marshal(compact) // on one line
		if err != nil {
			return nil, err
		}
		m, err := readMessage(raw)
		if err != nil {
			return nil, err
		}
		run = append(run, recorded{MS: int64(100 * i), From: line.from, rpc: m})
	}
	return takeApart(h.name, run)
}

// A first call of each: one prompt, in the best mode that is declared and in no other.
func TestDoubledHosts(t *testing.T) {
	for _, h := range doubledHosts {
		for _, s := range h.stories {
			t.Run(h.name+", "+s.title, func(t *testing.T) {
				c, err := h.conversation()
				if err != nil {
					t.Fatal(err)
				}
				s.habits = &h.habits
				synctest.Test(t, func(t *testing.T) { s.play(t, c) })
			})
		}
	}
}
