package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/conformance/internal/process"
)

// runVariable marks all that is started in one run of this program, and not the guard.
const runVariable = "HOSTCHECK_RUN"

// keepGuard starts the guard: this program once more, which ends what hosts leave
// behind if this one is killed. By itself the kernel kills the hosts then, and no
// more.
func keepGuard() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	mark := runVariable + "=" + rand.Text()
	if err := process.Guard(exec.Command(self, "guard", mark)); err != nil { //nolint:gosec,noctx // it outlives everything
		return fmt.Errorf("the program that looks after hosts: %w", err)
	}
	_, value, _ := strings.Cut(mark, "=")
	return os.Setenv(runVariable, value)
}

// guard is the command guard.
func guard(args []string, std streams) error {
	if len(args) != 1 || !strings.HasPrefix(args[0], runVariable+"=") {
		return fmt.Errorf("guard: hostcheck starts it; people have no use for it")
	}
	_, _ = io.Copy(io.Discard, std.in) // until there is nobody to write to it
	process.KillMarked(args[0])
	return nil
}
