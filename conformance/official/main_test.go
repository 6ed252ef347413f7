package official_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/internal/testmain"
)

// atOnce is how many runs of the suite there are at once unless -parallel says otherwise. They
// wait for a polling interval most of their time. With more of them, the suite would not see
// within half a second what it waits for no longer.
const atOnce = "6"

// everything is the binary of the server, everythingClient that of the client.
var everything, everythingClient string

// scratch is a folder that is there as long as the tests run.
var scratch string

func TestMain(m *testing.M) { testmain.Run(m, "official", atOnce, run) }

// run builds server and client. What is missing fails: a test that skips where Node.js is not
// there would pass for ever on a machine without it.
func run(m *testing.M) (code int, err error) {
	if err := errors.Join(hasNode(), installed()); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "official")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	scratch = dir
	if everything, err = buildEverything(dir); err != nil {
		return 1, err
	}
	if everythingClient, err = buildClient(dir); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// hasNode reports whether there is a Node.js that runs what the lock file pins.
func hasNode() error {
	out, err := exec.Command("node", "--print", "parseInt(process.versions.node) >= 20").Output()
	if err != nil || string(out) != "true\n" {
		return fmt.Errorf("Node.js 20 or later is needed, in PATH as node: %v", err)
	}
	return nil
}

// installed reports whether what is installed is what the lock file pins.
func installed() error {
	const advice = "run npm ci in conformance/official"
	type lock struct {
		Packages map[string]struct {
			Version string `json:"version"`
		} `json:"packages"`
	}
	var want, have lock
	for name, into := range map[string]*lock{"package-lock.json": &want, "node_modules/.package-lock.json": &have} {
		text, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("%w; %s", err, advice)
		}
		if err := json.Unmarshal(text, into); err != nil {
			return fmt.Errorf("%s: %w; %s", name, err, advice)
		}
	}
	delete(want.Packages, "") // the folder itself
	for name, pinned := range want.Packages {
		if got := have.Packages[name].Version; got != pinned.Version {
			return fmt.Errorf("%s: version %q is installed, and %s is pinned; %s", name, got, pinned.Version, advice)
		}
	}
	return nil
}
