package main

import (
	"slices"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents"
	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents/signin"
)

// A pair is a program in which a person is asked, and one of its modes that runs
// unattended, which is used after it.
type pair struct{ name, title, asks, after string }

var pairs = []pair{
	{"codex-kept", "Codex, app server; then `exec`", "codex-app", "codex-exec"},
	{"codex-quit-kept", "Codex, app server, quit before the approval; then `exec`", "codex-app", "codex-exec"},
	{"copilot-kept", "GitHub Copilot CLI, terminal; then `-p`", "copilot-tui", "copilot-p"},
	{"claude-kept", "Claude Code, terminal; then `-p`", "claude-tui", "claude-p"},
}

// startAnew are the hosts that start the server for each call.
var startAnew = []string{"inspector", "inspector-modern", "mcporter"}

// kept are the sign-ins in hosts that end the server's process before another one of them
// calls again, while the server keeps things in files. All are by a code: a browser comes back
// to the process that has sent it away.
func kept(all []agents.Agent) (out []signin.Trial) {
	for _, a := range all {
		if slices.Contains(startAnew, a.Name) {
			out = append(out, signin.Trial{Name: a.Name + "-kept", Hosts: []agents.Agent{a}, Flow: "device", Kept: true, Title: a.Title})
		}
	}
	for _, p := range pairs {
		first := agents.Named(p.asks)
		first.Quits = strings.Contains(p.name, "quit")
		out = append(out, signin.Trial{
			Name: p.name, Hosts: []agents.Agent{first, agents.Named(p.after)}, Flow: "device", Kept: true, Title: p.title,
		})
	}
	return out
}
