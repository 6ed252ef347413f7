package official_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/internal/process"
	"github.com/lazyauth/mcp-lazyauth/conformance/official/gated"
)

const (
	suiteProgram = "node_modules/@modelcontextprotocol/conformance/dist/index.js"

	// bound is how long one run of the suite may take; half a minute is usual.
	bound = 6 * time.Minute
	// grace is how long the server has to begin, and to end once it should.
	grace = 2 * time.Minute
)

// An era is a revision of MCP, with the requirements that the suite has frozen for it.
type era struct {
	revision  string
	stateless bool // how the SDK's own runs serve it
}

var eras = []era{{revision: "2025-11-25"}, {revision: "2026-07-28", stateless: true}}

// verdicts are what the suite said of each check, by "scenario:check-id", as in its files of
// expected failures.
type verdicts map[string]string

// examine runs the suite against the server with these flags. Of no scenarios it takes those
// that the revision requires.
func examine(t *testing.T, e era, flags []string, scenarios ...string) (verdicts, gated.Report) {
	t.Helper()
	s := startServer(t, append([]string{"-http=127.0.0.1:0", fmt.Sprintf("-stateless=%t", e.stateless)}, flags...))
	results := t.TempDir()
	selections := [][]string{{"--requirements", e.revision}}
	if len(scenarios) > 0 {
		selections = nil
		for _, name := range scenarios {
			selections = append(selections, []string{"--scenario", name, "--spec-version", e.revision})
		}
	}
	var said string
	for _, selection := range selections {
		said += suite(t, append([]string{"server", "--url", s.url, "--output-dir", results}, selection...)...)
	}
	report := s.end(t)
	all := readVerdicts(t, results)
	if len(all) == 0 {
		t.Fatalf("the suite made no checks:\n%s", said)
	}
	return all, report
}

// suite runs the suite's command line and returns what it printed. That a check has failed,
// which its status tells as well, is nothing that has gone wrong.
func suite(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("node", append([]string{"--import", "./node20.mjs", suiteProgram}, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	p, err := process.Start(cmd, "OFFICIAL_SUITE="+t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Exited():
		_ = p.End(0)
	case <-time.After(bound):
		_ = p.End(0)
		t.Fatalf("the suite has not ended after %v:\n%s", bound, out.String())
	}
	return out.String()
}

// required are the names of the scenarios that a revision requires.
func required(t *testing.T, revision string) []string {
	t.Helper()
	return listed(t, revision, "Server scenarios", "Client scenarios")
}

// requiredOfClients are those that a revision requires of clients.
func requiredOfClients(t *testing.T, revision string) []string {
	t.Helper()
	return listed(t, revision, "Client scenarios", "Run and reported")
}

// listed are the scenarios that a revision requires, under a heading and before another.
func listed(t *testing.T, revision, heading, next string) []string {
	t.Helper()
	out := suite(t, "list", "--requirements", revision)
	_, out, _ = strings.Cut(out, heading)
	out, _, _ = strings.Cut(out, next)
	var names []string
	for _, match := range regexp.MustCompile(`(?m)^  - (\S+)`).FindAllStringSubmatch(out, -1) {
		names = append(names, match[1])
	}
	if len(names) == 0 {
		t.Fatalf("the suite lists no scenarios:\n%s", out)
	}
	return names
}

// directory is the name of a scenario's results.
var directory = regexp.MustCompile(`^server-(.+)-\d{4}-\d\d-\d\dT[-\dZ]+$`)

// readVerdicts reads the results of all scenarios.
func readVerdicts(t *testing.T, results string) verdicts {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(results, "*", "checks.json"))
	if err != nil {
		t.Fatal(err)
	}
	all := make(verdicts)
	for _, file := range files {
		name := directory.FindStringSubmatch(filepath.Base(filepath.Dir(file)))
		if name == nil {
			t.Fatalf("which scenario is %s?", file)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var checks []struct {
			ID           string `json:"id"`
			Status       string `json:"status"`
			ErrorMessage string `json:"errorMessage"`
		}
		if err := json.Unmarshal(text, &checks); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, c := range checks {
			check := name[1] + ":" + c.ID
			for n := 2; all[check] != ""; n++ { // some scenarios make a check more than once
				check = fmt.Sprintf("%s:%s#%d", name[1], c.ID, n)
			}
			all[check] = c.Status
			if c.ErrorMessage != "" {
				all[check] += ": " + c.ErrorMessage
			}
		}
	}
	return all
}

// scenarios are the names of those that have verdicts.
func (v verdicts) scenarios() map[string]bool {
	names := make(map[string]bool)
	for check := range v {
		name, _, _ := strings.Cut(check, ":")
		names[name] = true
	}
	return names
}

// A server is the everything server, running.
type server struct {
	url    string
	p      *process.Process
	stdin  io.Closer
	stdout *bufio.Reader
	stderr *bytes.Buffer
}

func startServer(t *testing.T, args []string) *server {
	t.Helper()
	cmd := exec.Command(everything, args...)
	s := &server{stderr: new(bytes.Buffer)}
	cmd.Stderr = s.stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.stdin, s.stdout = stdin, bufio.NewReader(stdout)
	if s.p, err = process.Start(cmd, "OFFICIAL_SERVER="+t.TempDir()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.p.End(0) })
	late := time.AfterFunc(grace, func() { _ = s.p.End(0) })
	defer late.Stop()
	line, err := s.stdout.ReadString('\n')
	if err != nil {
		_ = s.p.End(0)
		t.Fatalf("the server has not begun: %v\n%s", err, s.stderr)
	}
	s.url = strings.TrimSpace(line)
	return s
}

// end has the server end, and returns its report.
func (s *server) end(t *testing.T) (report gated.Report) {
	t.Helper()
	late := time.AfterFunc(grace, func() { _ = s.p.End(0) })
	defer late.Stop()
	_ = s.stdin.Close()
	text, _ := io.ReadAll(s.stdout)
	if err := s.p.End(grace); err != nil {
		t.Fatalf("the server: %v\n%s%s", err, text, s.stderr)
	}
	if err := json.Unmarshal(text, &report); err != nil {
		t.Fatalf("the server reported %q: %v\n%s", text, err, s.stderr)
	}
	return report
}
