package agents

import (
	"fmt"
	"path/filepath"
	"time"
)

var claudes = []Agent{
	{Name: "claude-tui", Title: "Claude Code, terminal", Folder: "claude", Module: "@anthropic-ai/claude-code", configure: claudeTerminal},
	{Name: "claude-p", Title: "Claude Code, `-p`", Folder: "claude", Module: "@anthropic-ai/claude-code", configure: claudeOnce},
}

// claudeKey is no key of anybody's: the program wants one, and asks whether to
// use it unless its configuration has the end of it.
const claudeKey = "none-none-none-none-none"

// claudeLaunch points Claude Code at the script by the variable that it has for
// gateways, and switches off all else that it would do in the network, and that
// it hides tools from the model until it searches for them.
func claudeLaunch(s *Session) (launch, error) {
	err := s.writeAll(map[string]any{
		"mcp.json": object{"mcpServers": object{s.Server.Name: s.entry()}},
		".claude.json": object{
			"hasCompletedOnboarding": true, "theme": "dark",
			"customApiKeyResponses": object{"approved": []string{claudeKey[len(claudeKey)-20:]}},
			"projects":              object{s.work: object{"hasTrustDialogAccepted": true, "hasCompletedProjectOnboarding": true}},
		},
	})
	environment := []string{}
	if limit := s.Server.Timeout; limit > 0 {
		environment = append(environment, fmt.Sprintf("MCP_TOOL_TIMEOUT=%d", limit.Milliseconds()))
	}
	return launch{
		environment: append(environment,
			"ANTHROPIC_BASE_URL="+s.Model, "ANTHROPIC_API_KEY="+claudeKey, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
			"DISABLE_AUTOUPDATER=1", "ENABLE_TOOL_SEARCH=false",
		),
		command: []string{
			filepath.Join(s.npm("claude"), "@anthropic-ai/claude-code-linux-x64/claude"), "--mcp-config", s.home + "/mcp.json", "--strict-mcp-config",
			"--allowedTools=mcp__" + s.Server.Name, "--model", "claude-sonnet-4-5",
		},
	}, err
}

func claudeOnce(s *Session) (launch, error) {
	l, err := claudeLaunch(s)
	l.command = append(l.command, "-p", task)
	return l, err
}

func claudeTerminal(s *Session) (launch, error) {
	l, err := claudeLaunch(s)
	l.terminal = &terminal{
		dialogs: []dialog{
			// A task on the command line would begin before the server is there.
			first(`\? for shortcuts`, 4*time.Second, task, "Enter"),
			see(`(?i)trust (this|the files in this) folder|do you trust`, "Enter"),
			read(`wants to open a URL`, "Enter"),
			read(`I'm done, continue`, "Enter"),
		},
		quit: []string{"C-c", "C-c", "C-c"},
	}
	return l, err
}
