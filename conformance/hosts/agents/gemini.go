package agents

var geminis = []Agent{
	{
		Name: "gemini-tui", Title: "Gemini CLI, terminal", Folder: "gemini", Module: "@google/gemini-cli",
		ShowsProgress: true, configure: inTerminal(geminiLaunch),
	},
	{Name: "gemini-p", Title: "Gemini CLI, `-p`", Folder: "gemini", Module: "@google/gemini-cli", configure: once(geminiLaunch)},
}

// Qwen Code began as a copy of Gemini CLI.
var qwens = []Agent{
	{
		Name: "qwen-tui", Title: "Qwen Code, terminal", Folder: "qwen", Module: "@qwen-code/qwen-code",
		ShowsProgress: true, configure: inTerminal(qwenLaunch),
	},
	{Name: "qwen-p", Title: "Qwen Code, `-p`", Folder: "qwen", Module: "@qwen-code/qwen-code", configure: once(qwenLaunch)},
}

// settings are what both read.
func (s *Session) settings(auth string) object {
	entry := s.entry()
	entry["trust"] = true
	if s.Server.URL != "" {
		entry = object{"httpUrl": s.Server.URL, "trust": true}
	}
	if s.Server.Timeout > 0 {
		entry["timeout"] = s.Server.Timeout.Milliseconds()
	}
	return object{
		"security":   object{"auth": object{"selectedType": auth}, "folderTrust": object{"enabled": false}},
		"general":    object{"enableAutoUpdate": false, "disableAutoUpdate": true},
		"privacy":    object{"usageStatisticsEnabled": false},
		"telemetry":  object{"enabled": false},
		"mcpServers": object{s.Server.Name: entry},
	}
}

func geminiLaunch(s *Session) (launch, error) {
	err := s.writeAll(map[string]any{".gemini/settings.json": s.settings("gemini-api-key")})
	return launch{
		environment: []string{"GEMINI_API_KEY=none", "GOOGLE_GEMINI_BASE_URL=" + s.Model},
		command:     []string{s.program("gemini", "gemini"), "-m", "gemini-2.5-flash", "--yolo"},
	}, err
}

func qwenLaunch(s *Session) (launch, error) {
	err := s.writeAll(map[string]any{".qwen/settings.json": s.settings("openai")})
	return launch{
		environment: []string{"OPENAI_API_KEY=none", "OPENAI_BASE_URL=" + s.Model + "/v1", "OPENAI_MODEL=scripted"},
		command:     []string{s.program("qwen", "qwen"), "--yolo"},
	}, err
}

// once has the task done and nobody before the screen.
func once(base func(*Session) (launch, error)) func(*Session) (launch, error) {
	return func(s *Session) (launch, error) {
		l, err := base(s)
		l.command = append(l.command, "-p", task)
		return l, err
	}
}

// inTerminal has somebody before the screen, who is asked nothing.
func inTerminal(base func(*Session) (launch, error)) func(*Session) (launch, error) {
	return func(s *Session) (launch, error) {
		l, err := base(s)
		l.command = append(l.command, "-i", task)
		l.terminal = &terminal{quit: []string{"C-c", "C-c"}}
		return l, err
	}
}
