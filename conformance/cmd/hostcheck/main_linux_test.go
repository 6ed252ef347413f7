package main

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// leavingHost is a host that leaves a process behind which has nothing of it: not
// its group, nor its session, nor its environment. The process writes its number to
// a file.
func leavingHost(path string) {
	cmd := exec.Command("sh", "-c", `echo $$ >>"$1"; sleep 600`, "sh", path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if said, err := os.ReadFile(path); err == nil && len(said) > 0 {
			return
		}
	}
	panic("the process that was to be left behind did not start")
}

// Nothing that a host started outlives the run.
func TestRun_LeavesNothing(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/pids"
	if status, _, errs := program(t, "run", "--scenario", "era", "--", self, "leaving-host", path); status != statusFailed {
		t.Errorf("status %d\n%s", status, errs)
	}
	pids := strings.Fields(readText(t, path))
	if len(pids) != 1 {
		t.Fatalf("the host left %q", pids)
	}
	stat, err := os.ReadFile("/proc/" + pids[0] + "/stat")
	if _, rest, _ := strings.Cut(string(stat), ") "); err == nil && !strings.HasPrefix(rest, "Z") {
		t.Errorf("process %s is still there", pids[0])
		if pid, err := strconv.Atoi(pids[0]); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// A hostcheck that is killed ends nothing. The kernel kills its hosts, and the guard
// what they had started and what has left their group.
func TestRun_Killed(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/pids"
	const host = `setsid sh -c 'echo $$ >>"$1"; sleep 600' sh "$1" & echo $$ >>"$1"; sleep 600`
	c := start(t, "run", "--scenario", "era", "--", "sh", "-c", host, "sh", path)
	var pids []string
	for deadline := time.Now().Add(2 * time.Minute); len(pids) < 2 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		said, _ := os.ReadFile(path) // it may not be there yet
		pids = strings.Fields(string(said))
	}
	if err := c.Process.Kill(); err != nil || len(pids) != 2 {
		t.Errorf("%v, the host and its child are %q", err, pids)
	}
	_ = c.Wait() // it was killed
	for _, pid := range pids {
		for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
			stat, err := os.ReadFile("/proc/" + pid + "/stat")
			if _, rest, _ := strings.Cut(string(stat), ") "); err != nil || strings.HasPrefix(rest, "Z") {
				break
			}
			if time.Now().After(deadline) {
				t.Errorf("process %s is still there", pid)
				if n, err := strconv.Atoi(pid); err == nil {
					_ = syscall.Kill(n, syscall.SIGKILL)
				}
				break
			}
		}
	}
}
