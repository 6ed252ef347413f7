package interop_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/internal/testmain"
)

// stories is how many stories run at once unless -parallel says otherwise. They
// wait for a polling interval most of their time, so the number of processors,
// Go's default, would be far too few.
const stories = "24"

var serverFlag = flag.String("server", "", "test this `binary`, which takes the flags of examples/stdio, instead of building that")

// world is what all stories share. They do not disturb each other: each has its
// own host, server, person and browser.
var world struct {
	as     *provider            // oidc-provider
	strict *provider            // another one: PKCE in the device flow, and PAR, are demanded
	plain  *provider            // another one, which does not know PAR, and whose tokens live for ten seconds
	apart  *provider            // another one, which gives each client another subject for the same person
	better map[string]*provider // better-auth, by the name of the tenant
	server string               // the binary of examples/stdio
	self   string               // this binary: the relay
}

func TestMain(m *testing.M) {
	if len(os.Args) > 3 && os.Args[1] == relayCommand {
		os.Exit(relay(os.Args[2], os.Args[3], os.Args[4:]))
	}
	if len(os.Args) > 1 && os.Args[1] == serveCommand {
		os.Exit(serve(os.Args[2:]))
	}
	testmain.Run(m, "interop", stories, run)
}

// run sets up the world. What is missing fails: a test that skips when Node is
// not there would pass for ever on a machine without it.
func run(m *testing.M) (code int, err error) {
	if err := errors.Join(hasNode(), hasChromium(), installed("oidc-provider"), installed("better-auth"), installed("hosts"), installed("clis")); err != nil {
		return 1, err
	}
	if world.self, err = os.Executable(); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "interop")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if world.server, err = buildServer(ctx, dir); err != nil {
		return 1, err
	}
	for into, config := range map[**provider]providerConfig{
		&world.as:     {},
		&world.strict: {Strict: true, PAR: "required", Host: "localhost"},
		&world.plain:  {PAR: "off", AccessTokenTTL: 10},
		&world.apart:  {Pairwise: true},
	} {
		as, end, failed := startProvider(ctx, config)
		if failed != nil {
			return 1, failed
		}
		defer func() { err = errors.Join(err, end()) }()
		*into = as
	}
	better, endBetter, err := startBetterAuth(ctx)
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, endBetter()) }()
	world.better = better
	defer func() { err = errors.Join(err, endChromium()) }()
	return m.Run(), nil
}

// hasNode reports whether there is a Node.js that runs what the lock files pin.
func hasNode() error {
	out, err := exec.Command("node", "--version").Output() // such as v20.20.2
	if err == nil {
		text, _, _ := strings.Cut(strings.TrimPrefix(string(out), "v"), ".")
		if major, err := strconv.Atoi(text); err == nil && major >= 20 {
			return nil
		}
	}
	return fmt.Errorf("Node.js 20 or later is needed, in PATH as node: found %q, %v", out, err)
}

// buildServer builds examples/stdio, unless the flag names another server.
func buildServer(ctx context.Context, dir string) (string, error) {
	if *serverFlag != "" {
		return filepath.Abs(*serverFlag)
	}
	return testmain.BuildExample(ctx, dir, "stdio")
}
