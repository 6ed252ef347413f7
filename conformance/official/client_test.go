package official_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/report"
)

// buildClient compiles the SDK's everything client, of the version in go.mod, as it is.
func buildClient(dir string) (binary string, err error) {
	binary = filepath.Join(dir, "client.exe")
	build := exec.Command("go", "build", "-o", binary, "github.com/modelcontextprotocol/go-sdk/conformance/everything-client")
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the everything client: %w\n%s", err, out)
	}
	return binary, nil
}

// officialResults has the suite examine the client with all that a revision requires, and
// returns the folder with the results. It does so once.
func officialResults(t *testing.T, revision string) string {
	t.Helper()
	folder := filepath.Join(scratch, "client", revision)
	if _, err := os.Stat(folder); err == nil {
		return folder
	}
	said := suite(t, "client", "--command", everythingClient, "--requirements", revision, "--output-dir", folder)
	if files := checkFiles(t, folder); len(files) == 0 {
		t.Fatalf("the suite wrote no checks:\n%s", said)
	}
	return folder
}

// made is the scenario that the client is told that it is in: the one in which it makes
// the calls that are in the context.
const made = "MCP_CONFORMANCE_SCENARIO=http-custom-headers"

// tried are the scenarios that need no person, and no time-outs of the host's.
var tried = []string{"advertising", "streams", "result-types"}

// ourResults has hostcheck examine the same client over HTTP, in one revision, and returns
// the report and the folder with the results: of the scenarios in tried, and more. The
// client is as it is: it reads the official suite's variables.
func ourResults(t *testing.T, revision string, more ...string) (*hostcheck.Report, string) {
	t.Helper()
	r, err := hostcheck.Run(context.WithoutCancel(t.Context()), hostcheck.Config{
		Host:       []string{"env", made, everythingClient, "{server}"},
		Transports: []string{hostcheck.HTTP}, Protocols: []string{revision}, Scenarios: slices.Concat(tried, more),
	})
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := report.Write(folder, r, report.Options{}); err != nil {
		t.Fatal(err)
	}
	return r, filepath.Join(folder, "results")
}

// checkFiles are all checks.json below a folder.
func checkFiles(t *testing.T, folder string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(folder, func(path string, _ os.DirEntry, err error) error {
		if filepath.Base(path) == "checks.json" {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// shortfalls are what the client fails of these scenarios, and why.
var shortfalls = map[string]string{
	"2026-07-28 result-types:B20": "go-sdk v1.8.0 answers requests of a server, which the revision does not have",
}

// A client that an SDK keeps for the official suite is examined by hostcheck over HTTP,
// unmodified: it makes the calls that it finds in MCP_CONFORMANCE_CONTEXT. What it fails is
// known, and nothing else is.
func TestClient_MadeForTheOfficialSuite(t *testing.T) {
	seen := make(map[string]bool)
	for _, revision := range []string{hostcheck.Legacy, hostcheck.Modern} {
		r, _ := ourResults(t, revision)
		for _, result := range r.Results {
			passed := 0
			for _, c := range result.Checks {
				name := revision + " " + result.Scenario + ":" + c.ID
				switch {
				case c.Status == hostcheck.Success:
					passed++
				case c.Status != hostcheck.Failure && c.Status != hostcheck.Warning:
				case shortfalls[name] == "":
					t.Errorf("%s is %s: %s\n%s", name, c.Status, c.ErrorMessage, result.HostOutput)
				default:
					seen[name] = true
				}
			}
			if passed < 5 {
				t.Errorf("%s, %s: only %d checks passed: did the client make its calls?\n%s", result.Scenario, revision, passed, result.HostOutput)
			}
		}
	}
	for name, why := range shortfalls {
		if !seen[name] {
			t.Errorf("%s does not fail any more: take it off the list (%s)", name, why)
		}
	}
}
