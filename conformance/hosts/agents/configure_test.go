package agents //nolint:testpackage // what an agent is told is nobody else's business

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each agent is told of the server, by command and by URL, and of the script, and
// of nothing outside of its own home.
func TestConfigure(t *testing.T) {
	for _, a := range All {
		for name, server := range map[string]Server{
			"stdio": {Name: "notes", Command: []string{"/relay", "a b", `c"d`}},
			"http":  {Name: "notes", URL: "http://127.0.0.1:1/mcp"},
		} {
			if a.Name == "cline" && name == "http" {
				continue // it is told by a command, which is for servers over stdio
			}
			t.Run(a.Name+"/"+name, func(t *testing.T) {
				s, err := NewSession(t.TempDir())
				if err != nil {
					t.Fatal(err)
				}
				s.Server, s.Model = server, "http://127.0.0.1:2"
				l, err := a.configure(s)
				if err != nil {
					t.Fatal(err)
				}
				told := strings.Join(append(l.environment, l.command...), "\n") + written(t, s.home)
				for _, command := range l.before {
					told += strings.Join(command, "\n")
				}
				want := []string{"notes", s.Model, server.URL}
				if name == "stdio" {
					want = append(want, "/relay")
				}
				for _, part := range want {
					if !strings.Contains(told, part) {
						t.Errorf("it is not told of %q:\n%s", part, told)
					}
				}
				for _, variable := range s.environment() {
					if key, value, _ := strings.Cut(variable, "="); (key == "HOME" || strings.HasPrefix(key, "XDG_") || key == "TMPDIR") && !strings.HasPrefix(value, s.dir) {
						t.Errorf("%s is outside of the session", variable)
					}
				}
			})
		}
	}
}

// written is all that was written in the home; JSON has to be that.
func written(t *testing.T, home string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if filepath.Ext(path) == ".json" && !json.Valid(raw) {
			t.Errorf("%s is no JSON: %s", path, raw)
		}
		all.Write(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
