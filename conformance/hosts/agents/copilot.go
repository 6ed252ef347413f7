package agents

var copilots = []Agent{
	{
		Name: "copilot-tui", Title: "GitHub Copilot CLI, terminal", Folder: "copilot", Module: "@github/copilot",
		ShowsProgress: true, configure: copilotTerminal,
	},
	{Name: "copilot-p", Title: "GitHub Copilot CLI, `-p`", Folder: "copilot", Module: "@github/copilot", configure: copilotOnce},
}

func copilotLaunch(s *Session) (launch, error) {
	entry := s.entry()
	entry["tools"] = []string{"*"}
	if s.Server.URL == "" {
		entry["type"] = "local"
	}
	err := s.writeAll(map[string]any{
		".copilot/mcp-config.json": object{"mcpServers": object{s.Server.Name: entry}},
		".copilot/config.json":     object{"trusted_folders": []string{s.work}},
	})
	return launch{
		environment: []string{
			"COPILOT_OFFLINE=true", "COPILOT_PROVIDER_BASE_URL=" + s.Model + "/v1", "COPILOT_MODEL=scripted", "COPILOT_AUTO_UPDATE=false",
		},
		command: []string{s.program("copilot", "copilot"), "--allow-all-tools"},
	}, err
}

func copilotOnce(s *Session) (launch, error) {
	l, err := copilotLaunch(s)
	l.command = append(l.command, "-p", task)
	return l, err
}

func copilotTerminal(s *Session) (launch, error) {
	l, err := copilotLaunch(s)
	l.command = append(l.command, "-i", task)
	l.terminal = &terminal{
		dialogs: []dialog{
			see(`(?i)do you trust`, "Enter"),
			read(`(?i)wants you to visit|enter (open|submit|accept|confirm|continue)`, "Enter"),
		},
		quit: []string{"C-c", "C-c", "C-c"},
	}
	return l, err
}
