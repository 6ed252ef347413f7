package process_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/internal/process"
)

// TestMain makes this binary the programs that the tests start as well.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "role" {
		play(os.Args[2])
		return
	}
	os.Exit(m.Run())
}

// role is this binary as one of the programs.
func role(t *testing.T, name string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exec.Command(self, "role", name)
}

// play is one of the programs. Linux has more of them.
func play(name string) {
	switch name {
	case "fail":
		os.Exit(3)
	case "wait":
		_, _ = io.Copy(io.Discard, os.Stdin)
	default:
		playMore(name)
	}
}

// mark is an entry that the programs of no other test have.
func mark(t *testing.T) string { return fmt.Sprintf("PROCESS_TEST=%s-%d", t.Name(), os.Getpid()) }

// A program that exits by itself has the status that it exited with.
func TestEnd_ExitStatus(t *testing.T) {
	p, err := process.Start(role(t, "fail"), mark(t))
	if err != nil {
		t.Fatal(err)
	}
	<-p.Exited()
	for range 2 {
		if err := p.End(time.Minute); err == nil || err.Error() != "exit status 3" {
			t.Errorf("it ended with %v", err)
		}
	}
}

// A program that does not exit is ended.
func TestEnd_Kills(t *testing.T) {
	cmd := role(t, "wait")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	p, err := process.Start(cmd, mark(t))
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Exited():
		t.Error("it exited by itself")
	default:
	}
	if err := p.End(0); err == nil {
		t.Error("it ended well")
	}
	<-p.Exited()
}

func TestStart_NoSuchProgram(t *testing.T) {
	if _, err := process.Start(exec.Command("./nothing-here"), mark(t)); err == nil {
		t.Error("it was started")
	}
}
