package hostcheck_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// badHost runs one scenario with a host that behaves badly. It returns the
// result, what the host recorded, and how long it took.
func badHost(t *testing.T, how string, config hostcheck.Config) (hostcheck.Result, map[string][]string, time.Duration) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	record(path, "how", how)
	t.Setenv("REPORT_TO", path)
	config.Host = append([]string{self, "host", how}, config.Host...)
	if len(config.Protocols) == 0 {
		config.Protocols = []string{hostcheck.Modern}
	}
	if len(config.Transports) == 0 {
		config.Transports = []string{hostcheck.Stdio}
	}
	config.Scenarios = []string{"advertising"}
	began := time.Now()
	report, err := hostcheck.Run(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return report.Results[0], recorded(t, path), time.Since(began)
}

// allFail says that no check of a result may have another status, and that
// each says why; but for what holds of the messages that came.
func allFail(t *testing.T, r hostcheck.Result, why string) {
	t.Helper()
	if len(r.Checks) == 0 {
		t.Error("there are no checks")
	}
	everywhere := make(map[string]bool)
	for _, q := range hostcheck.Requirements() {
		everywhere[q.ID] = q.Everywhere
	}
	for _, c := range r.Checks {
		if everywhere[c.ID] && c.Reached() && c.ID != hostcheck.TaskID {
			continue
		}
		if c.Status != hostcheck.Failure && c.Status != hostcheck.Warning || !strings.Contains(c.ErrorMessage, why) {
			t.Errorf("%s is %s: %q, which does not say %q", c.ID, c.Status, c.ErrorMessage, why)
		}
	}
}

// allGone waits until none of the processes exists. They were killed; until
// whoever inherits them has noticed takes a moment.
func allGone(t *testing.T, pids []string) {
	t.Helper()
	if len(pids) == 0 {
		t.Error("the host started nothing")
	}
	for _, s := range pids {
		pid, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(5 * time.Second)
		for alive(pid) && time.Now().Before(deadline) {
			time.Sleep(10 * time.Millisecond)
		}
		if alive(pid) {
			t.Errorf("process %d was left behind", pid)
		}
	}
}

func alive(pid int) bool {
	if stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); err == nil {
		// A zombie is dead, whoever may have to collect it.
		_, rest, _ := strings.Cut(string(stat), ") ")
		return !strings.HasPrefix(rest, "Z")
	}
	p, err := os.FindProcess(pid)
	return err == nil && p.Signal(syscall.Signal(0)) == nil
}

func TestProcess_Hangs(t *testing.T) {
	r, seen, took := badHost(t, "hang", hostcheck.Config{Timeout: time.Second})
	allFail(t, r, "did not connect to the server within 1s")
	allGone(t, seen["pid"])
	if took > 15*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestProcess_ExitsAtOnce(t *testing.T) {
	r, _, took := badHost(t, "exit", hostcheck.Config{Timeout: time.Minute})
	allFail(t, r, "the host ended with exit status 3 without having connected")
	if !strings.Contains(r.HostOutput, "no such flag") {
		t.Errorf("what it wrote to standard error is lost: %q", r.HostOutput)
	}
	if r.HostStdout != "host 1.0\n" {
		t.Errorf("what it wrote to standard output is lost: %q", r.HostStdout)
	}
	if took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
}

// A host that dies is told how, and after what, although nothing else is wrong.
func TestProcess_DiesAfterInitialize(t *testing.T) {
	r, _, _ := badHost(t, "dies", hostcheck.Config{
		Host: []string{"{server}"}, Timeout: time.Minute, Protocols: []string{hostcheck.Legacy},
	})
	c := check(t, r, hostcheck.TaskID)
	for _, want := range []string{"the host ended with ", "the last that it had been sent is the response to initialize", "no call was made"} {
		if c.Status != hostcheck.Failure || !strings.Contains(c.ErrorMessage, want) {
			t.Errorf("it is %s, and does not say %q: %s", c.Status, want, c.ErrorMessage)
		}
	}
}

func TestProcess_DoesNotExist(t *testing.T) {
	report, err := hostcheck.Run(t.Context(), hostcheck.Config{
		Host: []string{filepath.Join(t.TempDir(), "nothing-here")}, Scenarios: []string{"advertising"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Results {
		allFail(t, r, "the host could not be started")
	}
}

func TestProcess_WritesMuchToStandardError(t *testing.T) {
	r, _, _ := badHost(t, "chatter", hostcheck.Config{Timeout: 20 * time.Second})
	allFail(t, r, "the host exited without having connected")
	if n := len(r.HostOutput); n < 64<<10 || n > 65<<10 || !strings.Contains(r.HostOutput, " bytes are left out here …\n") {
		t.Errorf("%d bytes of it were kept", n)
	}
}

// A host that leaves a child behind, and a file: neither outlives the scenario.
func TestProcess_LeavesNothingBehind(t *testing.T) {
	r, seen, _ := badHost(t, "leave-child", hostcheck.Config{Timeout: 20 * time.Second, Template: `{"a": 1}`})
	allFail(t, r, "the host exited without having connected")
	allGone(t, seen["pid"])
	if len(seen["dir"]) != 1 || seen["dir"][0] == "" {
		t.Fatalf("the host was given the folders %q", seen["dir"])
	}
	if _, err := os.Stat(seen["dir"][0]); !os.IsNotExist(err) {
		t.Errorf("its folder is still there: %v", err)
	}
}
