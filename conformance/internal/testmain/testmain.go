// Package testmain is what test binaries have in common that need programs from outside of Go: a
// browser, Node.js, servers of other makers.
package testmain

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Run is what a TestMain calls, and does not return. It has as many tests run at once as atOnce
// says, unless -parallel says otherwise, has run set up what they share and call m.Run, and exits with the code that
// this returns; with 1 if it fails, which it says in the name of the suite.
func Run(m *testing.M, name, atOnce string, run func(*testing.M) (code int, err error)) {
	flag.Parse()
	explicit := false
	flag.Visit(func(f *flag.Flag) { explicit = explicit || f.Name == "test.parallel" })
	if !explicit {
		if err := flag.Set("test.parallel", atOnce); err != nil {
			panic(err)
		}
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		code = 1
	}
	os.Exit(code)
}

// BuildExample builds a program of the main module's examples into a folder, for a suite in a
// module two folders below: with the versions that the main module's go.mod names, and not with
// those that the suite's dependencies ask for.
func BuildExample(ctx context.Context, dir, name string) (binary string, err error) {
	binary = filepath.Join(dir, name+".exe")                                           // the suffix is needed on one system and harmless on the others
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./examples/"+name) //nolint:gosec // the suite names it
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building examples/%s: %w\n%s", name, err, out)
	}
	return binary, nil
}
