package main

import (
	"context"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents"
)

// A host is something that is measured, and how it is run.
type host struct {
	name, title string
	what        string // what it is, in a few words
	module      string // the Go module or the npm package that is measured
	program     string // a command of this module, or a script in node
	template    string // of the configuration file that it reads, in node
	agent       string // the name in package agents, of one that is none of these
	protocols   []string
	scenarios   []string // nil means all
	parallel    int
	aside       map[string]bool // requirements that do not count
}

var (
	legacy = []string{hostcheck.Legacy}
	both   = []string{hostcheck.Legacy, hostcheck.Modern}
)

// hosts are those of the page, in its order.
var hosts = []host{
	{
		name: "go-sdk", title: "Go SDK", what: "client library", module: "github.com/modelcontextprotocol/go-sdk",
		program: "gosdk", protocols: both, parallel: 8, aside: dialog,
	},
	{
		name: "mcp-go", title: "mcp-go", what: "client library", module: "github.com/mark3labs/mcp-go",
		program: "mcpgo", protocols: both, parallel: 8, aside: dialog,
	},
	{
		name: "typescript-v1", title: "TypeScript SDK v1", what: "client library", module: "@modelcontextprotocol/sdk",
		program: "sdk-v1.mjs", protocols: legacy, parallel: 5, aside: dialog,
	},
	{
		name: "typescript-v2", title: "TypeScript SDK v2", what: "client library", module: "@modelcontextprotocol/client",
		program: "sdk-v2.mjs", protocols: both, parallel: 5, aside: dialog,
	},
	{
		name: "inspector", title: "MCP Inspector CLI", what: "command line", module: "@modelcontextprotocol/inspector",
		program: "inspector.mjs", template: "inspector.json.tmpl", protocols: both, scenarios: unasked,
		parallel: 5, aside: timeouts,
	},
	{
		name: "mcporter", title: "mcporter", what: "command line", module: "mcporter",
		program: "mcporter.mjs", template: "mcporter.json.tmpl", protocols: legacy, scenarios: unasked,
		parallel: 4, aside: timeouts,
	},
	{
		name: "codex-app", title: "Codex, app server", what: "agent; the dialog is the adapter's", agent: "codex-app",
		protocols: legacy, parallel: 3, aside: dialogAndTimeouts,
	},
	{
		name: "claude-p", title: "Claude Code, `-p`", what: "agent, unattended", agent: "claude-p",
		protocols: both, scenarios: unasked, parallel: 3, aside: agentTimeouts,
	},
	{
		name: "copilot-p", title: "GitHub Copilot CLI, `-p`", what: "agent, unattended", agent: "copilot-p",
		protocols: both, scenarios: unasked, parallel: 3, aside: agentTimeouts,
	},
	{
		name: "gemini-p", title: "Gemini CLI, `-p`", what: "agent, unattended", agent: "gemini-p",
		protocols: legacy, scenarios: unasked, parallel: 3, aside: agentTimeouts,
	},
}

// unasked are the scenarios that tell something of a host which cannot be asked
// anything: most of the others begin with a prompt. The one that does not is silent,
// which gives a host twelve seconds from its start; some take as long to start.
var unasked = []string{
	"advertising", "era", "versions", "strange-version", "references", "json-answers", "stream-answers", "modes", "waiting",
	"url-required", "mirrored", "result-types", "streams", "sessions", "restart",
}

// timeout of a scenario is long enough for five calls of a command line on a busy machine,
// and for a call that ends by the time-out that hosts have, a minute.
const timeout = 150 * time.Second

// overNPM says whether the host is a script for Node.js.
func (h host) overNPM() bool { return filepath.Ext(h.program) == ".mjs" }

// agentOf is the agent that the host is; the zero value if it is none.
func (h host) agentOf() agents.Agent {
	for _, a := range agents.All {
		if a.Name == h.agent {
			return a
		}
	}
	return agents.Agent{}
}

// config is how the suite runs the host.
func (h host) config(bin string) (hostcheck.Config, error) {
	c := hostcheck.Config{
		Host: []string{filepath.Join(bin, h.program)}, Protocols: h.protocols, Scenarios: h.scenarios,
		Timeout: timeout, Parallel: h.parallel,
	}
	if h.agent != "" {
		c.Host = []string{filepath.Join(bin, "agent"), h.agent}
		return c, nil
	}
	if !h.overNPM() {
		return c, nil
	}
	script, err := filepath.Abs(filepath.Join("node", h.program))
	if err != nil {
		return c, err
	}
	c.Host = []string{"node", script}
	if h.template != "" {
		text, err := os.ReadFile(filepath.Join("node", h.template))
		if err != nil {
			return c, err
		}
		c.Template = string(text)
	}
	return c, nil
}

// install builds the hosts of this module, what stands between agents and their
// servers, and the server that people sign in to, into a folder.
func install(ctx context.Context, bin string) error {
	args := []string{"build", "-o", bin + string(filepath.Separator), "./gosdk", "./mcpgo", "./agents/cmd/agent", "./agents/cmd/relay"}
	build := exec.CommandContext(ctx, "go", args...) //nolint:gosec // into a folder of our own
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("go build: %w", err)
	}
	// The example is of another module, which knows what it is made of.
	build = exec.CommandContext(ctx, "go", "build", "-C", "../..", "-o", bin+string(filepath.Separator), "./examples/stdio") //nolint:gosec // likewise
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("go build: %w", err)
	}
	return nil
}

// installed is the version of what is measured, as it is installed.
func (h host) installed(bin string) (string, error) {
	if h.agent != "" {
		return h.agentOf().Version()
	}
	if h.overNPM() {
		raw, err := os.ReadFile(filepath.Join("node", "node_modules", filepath.FromSlash(h.module), "package.json"))
		if err != nil {
			return "", fmt.Errorf("%w; install with npm ci --ignore-scripts --prefix conformance/hosts/node", err)
		}
		var p struct{ Version string }
		return p.Version, json.Unmarshal(raw, &p)
	}
	info, err := buildinfo.ReadFile(filepath.Join(bin, h.program))
	if err != nil {
		return "", err
	}
	for _, m := range info.Deps {
		if m.Path == h.module {
			return m.Version[1:], nil
		}
	}
	return "", fmt.Errorf("%s is not built with %s", h.program, h.module)
}
