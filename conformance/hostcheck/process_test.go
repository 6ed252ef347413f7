package hostcheck_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// badHost runs one scenario with a host that behaves badly. It returns the
// result and what the host recorded.
func badHost(t *testing.T, how string, config hostcheck.Config) (hostcheck.Result, map[string][]string) {
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
	report, err := hostcheck.Run(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return report.Results[0], recorded(t, path)
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
		deadline := time.Now().Add(2 * time.Minute)
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

// slowHost is badHost for a host that does not end. It is given two seconds, and more if it
// did not come to say its number in them, on a busy machine, nor the result to say a text.
func slowHost(t *testing.T, how, text string, args ...string) (hostcheck.Result, map[string][]string, time.Duration) {
	t.Helper()
	for limit := 2 * time.Second; ; limit *= 5 {
		r, seen := badHost(t, how, hostcheck.Config{Host: args, Timeout: limit})
		says := slices.ContainsFunc(r.Checks, func(c hostcheck.Check) bool { return strings.Contains(c.ErrorMessage, text) })
		if says && len(seen["pid"]) > 0 || limit > time.Minute {
			return r, seen, limit
		}
	}
}

// A host that hangs is ended when it has had its time.
func TestProcess_Hangs(t *testing.T) {
	r, seen, limit := slowHost(t, "hang", "")
	allFail(t, r, fmt.Sprintf("did not connect to the server within %v", limit))
	allGone(t, seen["pid"])
}

func TestProcess_ExitsAtOnce(t *testing.T) {
	r, _ := badHost(t, "exit", hostcheck.Config{Timeout: patience}) // which it would take if the end were not noticed
	allFail(t, r, "the host ended with exit status 3 without having connected")
	if !strings.Contains(r.HostOutput, "no such flag") {
		t.Errorf("what it wrote to standard error is lost: %q", r.HostOutput)
	}
	if r.HostStdout != "host 1.0\n" {
		t.Errorf("what it wrote to standard output is lost: %q", r.HostStdout)
	}
}

// patience is how long a scenario may take here, however busy the machine is.
const patience = 5 * time.Minute

// A host that dies is told how, and after what, although nothing else is wrong.
func TestProcess_DiesAfterInitialize(t *testing.T) {
	r, _ := badHost(t, "dies", hostcheck.Config{
		Host: []string{"{server}"}, Timeout: patience, Protocols: []string{hostcheck.Legacy},
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
	r, _ := badHost(t, "chatter", hostcheck.Config{Timeout: patience})
	allFail(t, r, "the host exited without having connected")
	if n := len(r.HostOutput); n < 64<<10 || n > 65<<10 || !strings.Contains(r.HostOutput, " bytes are left out here …\n") {
		t.Errorf("%d bytes of it were kept", n)
	}
}

// A host that leaves a child behind, and a file: neither outlives the scenario.
func TestProcess_LeavesNothingBehind(t *testing.T) {
	r, seen := badHost(t, "leave-child", hostcheck.Config{Timeout: patience, Template: `{"a": 1}`})
	allFail(t, r, "the host exited without having connected")
	allGone(t, seen["pid"])
	if len(seen["dir"]) != 1 || seen["dir"][0] == "" {
		t.Fatalf("the host was given the folders %q", seen["dir"])
	}
	if _, err := os.Stat(seen["dir"][0]); !os.IsNotExist(err) {
		t.Errorf("its folder is still there: %v", err)
	}
}
