package connect_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/internal/testmain"
)

// atOnce is how many stories run at once unless -parallel says otherwise. It is the browser that keeps two processors
// busy.
const atOnce = "4"

var (
	example string // the binary of examples/http
	axe     string // the script of axe-core
)

func TestMain(m *testing.M) { testmain.Run(m, "connect", atOnce, run) }

// run starts what all stories share. What is missing fails: a test that skips where Chromium is not there would pass
// for ever on a machine without it.
func run(m *testing.M) (code int, err error) {
	if axe, err = installed("axe-core", "axe.min.js"); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "connect")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	if err := writeCertificate(dir); err != nil {
		return 1, err
	}
	if example, err = testmain.BuildExample(context.Background(), dir, "http"); err != nil {
		return 1, err
	}
	var end func() error
	if chromium, end, err = startChromium(dir); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, end()) }()
	if code = m.Run(); code == 0 && flag.Lookup("test.run").Value.String() == "" {
		err = everyPageWasRead()
	}
	return code, err
}

// installed returns a file of a package of npm's, if that is there in the version of the lock file.
func installed(name, file string) (text string, err error) {
	want, err := version(filepath.Join("axe", "package-lock.json"), name)
	if err != nil {
		return "", err
	}
	dir := filepath.Join("axe", "node_modules", name)
	have, err := version(filepath.Join(dir, "package.json"), "")
	if err != nil || have != want {
		return "", fmt.Errorf("%s %s is needed: run npm ci --prefix conformance/connect/axe (found %q: %v)", name, want, have, err)
	}
	content, err := os.ReadFile(filepath.Join(dir, file))
	return string(content), err
}

// version returns the version that a package.json names, or a lock file for a package.
func version(file, of string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	var read struct {
		Version  string
		Packages map[string]struct{ Version string }
	}
	err = json.Unmarshal(text, &read)
	if of != "" {
		read.Version = read.Packages["node_modules/"+of].Version
	}
	return read.Version, err
}
