package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestWithoutAFileOperatorsSeeWhatTheyShould(t *testing.T) {
	var stderr bytes.Buffer
	cfg := new(config)
	if err := cfg.openLog(&stderr); err != nil {
		t.Fatal(err)
	}
	defer cfg.closeLog()
	cfg.Log.Debug("a poll")
	cfg.Log.Info("a prompt")
	cfg.SDKLog.Info("a session", "session_id", "secret")
	cfg.SDKLog.Warn("a refusal", "version", "2026-07-28")
	var lines []map[string]any
	for text := range strings.Lines(stderr.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		lines = append(lines, line)
	}
	if len(lines) != 2 || lines[0]["msg"] != "a prompt" || lines[1]["msg"] != "a refusal" ||
		lines[1]["logger"] != "mcp" || lines[1]["version"] != "2026-07-28" {
		t.Errorf("the log is %s; want the prompt and the refusal", stderr.String())
	}
}
