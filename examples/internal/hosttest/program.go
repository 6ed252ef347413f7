package hosttest

import (
	"bytes"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// serveVariable makes a test binary be the program that it tests.
const serveVariable = "LAZYAUTH_EXAMPLE_SERVE"

// Main is the TestMain of a program that [Program] starts.
func Main(m *testing.M, main func()) {
	if os.Getenv(serveVariable) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Subprocess is how a host talks to a server that it starts. Once its input has ended the server has a minute, on however
// busy a machine, before it is ended by force.
func Subprocess(cmd *exec.Cmd) mcp.Transport {
	return &mcp.CommandTransport{Command: cmd, TerminateDuration: time.Minute}
}

// Program returns the program under test as a subprocess, with little in its
// environment, as many hosts start servers, and what it will write to standard
// error. Its tests must have [Main] for their TestMain.
func Program(t testing.TB, args ...string) (cmd *exec.Cmd, stderr *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.CommandContext(t.Context(), self, args...)
	cmd.Env = []string{serveVariable + "=1"}
	stderr = new(bytes.Buffer)
	cmd.Stderr = stderr
	return cmd, stderr
}
