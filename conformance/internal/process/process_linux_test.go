package process_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/internal/process"
)

// playMore is a program that leaves others behind. It writes their numbers to
// standard output.
func playMore(name string) {
	start := func(role string, session bool, env ...string) {
		cmd := exec.Command("/proc/self/exe", "role", role)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: session}
		if cmd.Env = env; len(env) == 0 {
			cmd.Env = os.Environ()
		}
		cmd.Stdout = os.Stdout
		if err := cmd.Start(); err != nil {
			panic(err)
		}
	}
	said := func() { fmt.Println(os.Getpid()) }
	hang := func() {
		signal.Ignore(syscall.SIGTERM, syscall.SIGHUP)
		said()
		time.Sleep(time.Hour)
	}
	switch name {
	case "hang":
		hang()
	case "leave in the group":
		start("hang", false)
	case "leave the group":
		start("hang", true)
	case "leave twice":
		start("leave the group", true)
	case "leave with another environment":
		start("hang", true, "A=b")
	case "run a host":
		// The program that the suite runs in, ended before it has ended its host.
		host := exec.Command("/proc/self/exe", "role", "hang")
		host.Stdout = os.Stdout
		if _, err := process.Start(host, "PROCESS_TEST=inner"); err != nil {
			panic(err)
		}
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "kill all":
		process.Adopt()
		for _, role := range []string{"leave with another environment", "leave twice", "hang"} {
			host := exec.Command("/proc/self/exe", "role", role)
			host.Stdout = os.Stdout
			if _, err := process.Start(host, "PROCESS_TEST="+role); err != nil {
				panic(err)
			}
		}
		_, _ = io.Copy(io.Discard, os.Stdin)
		process.KillAll()
	}
}

// numbers starts a command, and reads the numbers of n processes that it starts.
func numbers(t *testing.T, cmd *exec.Cmd, n int) (*process.Process, []int) {
	t.Helper()
	r, w, err := os.Pipe() // not that of Cmd, which would wait for whoever has it open
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	cmd.Stdout = w
	p, err := process.Start(cmd, mark(t))
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for in := bufio.NewScanner(r); len(pids) < n; {
		if !in.Scan() {
			t.Fatalf("it started %v and no more", pids)
		}
		pid, err := strconv.Atoi(in.Text())
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return p, pids
}

// state is the letter that the system has for what a process does; empty if there
// is none.
func state(pid int) string {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return rest[:1]
}

// gone waits until none of the processes runs.
func gone(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		for deadline := time.Now().Add(2 * time.Minute); !strings.Contains("ZX", state(pid)); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Errorf("process %d was left behind", pid)
				_ = syscall.Kill(pid, syscall.SIGKILL)
				break
			}
		}
	}
}

// Whatever a program leaves behind is ended with it: in its group, in a session of
// its own, and if it took two steps to get there.
func TestEnd_WhatIsLeftBehind(t *testing.T) {
	for _, how := range []string{"leave in the group", "leave the group", "leave twice"} {
		t.Run(how, func(t *testing.T) {
			p, pids := numbers(t, role(t, how), 1)
			<-p.Exited()
			if err := p.End(time.Minute); err != nil {
				t.Error(err)
			}
			gone(t, pids)
		})
	}
}

// The number of a group is its leader's, and another's as soon as the leader was
// waited for and the group is empty. So the leader is a zombie until the group was
// signalled.
func TestEnd_GroupKeepsItsNumber(t *testing.T) {
	cmd := role(t, "leave in the group")
	p, pids := numbers(t, cmd, 1)
	<-p.Exited()
	if got := state(cmd.Process.Pid); got != "Z" {
		t.Errorf("the leader that has exited is %q, not a zombie", got)
	}
	_ = p.End(0)
	if got := state(cmd.Process.Pid); got == "Z" {
		t.Error("the leader is a zombie after the end")
	}
	gone(t, pids)
}

// A program that has the mark of none is left alone.
func TestEnd_LeavesOthersAlone(t *testing.T) {
	other, pids := numbers(t, role(t, "hang"), 1)
	p, err := process.Start(role(t, "fail"), mark(t)+"-another")
	if err != nil {
		t.Fatal(err)
	}
	_ = p.End(0)
	if got := state(pids[0]); got == "" || got == "Z" {
		t.Errorf("the other program is %q", got)
	}
	_ = other.End(0)
	gone(t, pids)
}

// A program whose starter is killed before it can end it is killed by the system.
func TestStart_StarterIsKilled(t *testing.T) {
	cmd := role(t, "run a host")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, pids := numbers(t, cmd, 1)
	in.Close()
	<-p.Exited()
	gone(t, pids)
	_ = p.End(0)
}

// KillAll leaves nothing, wherever it went and whatever its environment is.
func TestKillAll(t *testing.T) {
	cmd := role(t, "kill all")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, pids := numbers(t, cmd, 3)
	in.Close()
	<-p.Exited()
	gone(t, pids)
	if err := p.End(0); err != nil {
		t.Error(err)
	}
}
