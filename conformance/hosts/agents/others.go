package agents

import (
	"path/filepath"
	"strings"
)

var (
	opencode  = Agent{Name: "opencode", Title: "opencode, `run`", Folder: "opencode", Module: "opencode-ai", configure: likeOpencode("opencode", "opencode-linux-x64/bin/opencode")}
	kilo      = Agent{Name: "kilo", Title: "Kilo Code, `run`", Folder: "kilo", Module: "@kilocode/cli-linux-x64", configure: likeOpencode("kilo", "@kilocode/cli-linux-x64/bin/kilo")}
	continued = Agent{Name: "continue-p", Title: "Continue, `-p`", Folder: "continue", Module: "@continuedev/cli", configure: continueLaunch}
	cline     = Agent{Name: "cline", Title: "Cline, one task", Folder: "cline", Module: "cline", configure: clineLaunch}
)

// likeOpencode configures opencode, and Kilo Code, which is made of it.
func likeOpencode(name, program string) func(*Session) (launch, error) {
	return func(s *Session) (launch, error) {
		server := object{"type": "local", "command": s.Server.Command, "enabled": true}
		if s.Server.URL != "" {
			server = object{"type": "remote", "url": s.Server.URL, "enabled": true}
		}
		provider := object{
			"npm": "@ai-sdk/openai-compatible", "name": "script", "options": object{"baseURL": s.Model + "/v1", "apiKey": "none"},
			"models": object{"scripted": object{"name": "scripted", "tool_call": true, "limit": object{"context": 100000, "output": 4000}}},
		}
		err := s.writeAll(map[string]any{".config/" + name + "/" + name + ".json": object{
			"autoupdate": false, "share": "disabled", "model": "script/scripted", "small_model": "script/scripted",
			"provider": object{"script": provider}, "permission": object{"*": "allow"}, "mcp": object{s.Server.Name: server},
		}})
		prefix := strings.ToUpper(name)
		return launch{
			environment: []string{prefix + "_DISABLE_AUTOUPDATE=1", prefix + "_DISABLE_MODELS_FETCH=1", prefix + "_DISABLE_LSP_DOWNLOAD=1"},
			command:     []string{filepath.Join(s.npm(name), program), "run", task},
		}, err
	}
}

func clineLaunch(s *Session) (launch, error) {
	program := s.program("cline", "cline")
	add := []string{program, "mcp", "add", "--yes", s.Server.Name, "--"}
	return launch{
		before: [][]string{
			{program, "auth", "-p", "openai", "-k", "none", "-m", "scripted", "-b", s.Model + "/v1"},
			append(add, s.Server.Command...),
		},
		command: []string{program, "--auto-approve", "true", "-P", "openai", "-m", "scripted", task},
	}, nil
}

func continueLaunch(s *Session) (launch, error) {
	server := object{"name": s.Server.Name, "url": s.Server.URL, "type": "streamable-http"}
	if s.Server.URL == "" {
		server = object{"name": s.Server.Name, "command": s.Server.Command[0], "args": s.Server.Command[1:]}
	}
	// Its configuration is YAML, of which JSON is a part.
	err := s.writeAll(map[string]any{"config.yaml": object{
		"name": "scripted", "version": "1.0.0", "schema": "v1", "mcpServers": []object{server},
		"models": []object{{
			"name": "scripted", "provider": "openai", "model": "scripted", "apiBase": s.Model + "/v1", "apiKey": "none",
			"roles": []string{"chat"}, "capabilities": []string{"tool_use"},
		}},
	}})
	return launch{
		environment: []string{"CONTINUE_TELEMETRY_ENABLED=0"},
		command:     []string{s.program("continue", "cn"), "-p", "--auto", "--config", s.home + "/config.yaml", task},
	}, err
}
