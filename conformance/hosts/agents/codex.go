package agents

import "fmt"

var codexes = []Agent{
	{Name: "codex-app", Title: "Codex, app server", Folder: "codex", Module: "@openai/codex", Asks: true, configure: codexApp},
	{
		Name: "codex-app-decline", Title: "Codex, app server; the person declines", Folder: "codex", Module: "@openai/codex",
		Declines: true, Asks: true, configure: codexApp,
	},
	{Name: "codex-tui", Title: "Codex, terminal", Folder: "codex", Module: "@openai/codex", configure: codexTerminal},
	{Name: "codex-exec", Title: "Codex, `exec`", Folder: "codex", Module: "@openai/codex", configure: codexExec},
}

// codexLaunch writes the configuration, and returns the beginning of the command.
func codexLaunch(s *Session, policy string) (launch, error) {
	server := "url = " + encoded(s.Server.URL)
	if s.Server.URL == "" {
		server = "command = " + encoded(s.Server.Command[0]) + "\nargs = " + encoded(s.Server.Command[1:])
	}
	if limit := s.Server.Timeout; limit > 0 {
		server += fmt.Sprintf("\ntool_timeout_sec = %g", limit.Seconds())
	}
	err := s.write(".codex/config.toml", fmt.Sprintf(`model = "scripted"
model_provider = "script"
approval_policy = %q
sandbox_mode = "read-only"
check_for_update_on_startup = false
[analytics]
enabled = false
[model_providers.script]
name = "script"
base_url = "%s/v1"
wire_api = "responses"
env_key = "SCRIPT_KEY"
[projects.%q]
trust_level = "trusted"
[mcp_servers.%s]
%s
`, policy, s.Model, s.work, s.Server.Name, server))
	return launch{environment: []string{"SCRIPT_KEY=none"}, command: []string{s.program("codex", "codex")}}, err
}

func codexExec(s *Session) (launch, error) {
	l, err := codexLaunch(s, "never")
	l.command = append(l.command, "exec", "--skip-git-repo-check", task)
	return l, err
}

func codexApp(s *Session) (launch, error) {
	l, err := codexLaunch(s, "on-request")
	l.command = append(l.command, "app-server")
	l.drive = driveAppServer
	return l, err
}

func codexTerminal(s *Session) (launch, error) {
	l, err := codexLaunch(s, "on-request")
	l.command = append(l.command, task)
	l.terminal = &terminal{
		dialogs: []dialog{
			see(`(?i)update available|skip until next version`, "Down", "Enter"),
			see(`(?i)trust (the contents|this (folder|directory))`, "Enter"),
			read(`(?i)open (link|url|in browser|sign)|visit the (link|url)|https://\S+[\s\S]*enter to (submit|confirm|select)`, "Enter"),
			read(`(?i)I (have )?(finished|completed|already)|I've (finished|completed|signed)`, "Enter"),
		},
		quit: []string{"C-c", "C-c", "C-d"},
	}
	return l, err
}
