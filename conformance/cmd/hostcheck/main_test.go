package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// refhost is the reference host, built for these tests.
var refhost string

// As a child of its own test, this binary is the program, or a host.
func TestMain(m *testing.M) {
	// A guard is this program once more, also that of a test which calls the program's own
	// functions: it must not run all tests again, whose guards would do the same.
	if os.Getenv("HOSTCHECK_MAIN") != "" || len(os.Args) > 1 && os.Args[1] == "guard" {
		if len(os.Args) > 3 && os.Args[1] == "stuck-host" {
			stuckHost(os.Args[2], os.Args[3])
			return
		}
		if len(os.Args) > 2 && os.Args[1] == "leaving-host" {
			leavingHost(os.Args[2])
			return
		}
		main()
		return
	}
	os.Exit(func() int {
		folder, err := os.MkdirTemp("", "hostcheck-test-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(folder)
		refhost = filepath.Join(folder, "refhost.exe")
		build := exec.Command("go", "build", "-o", refhost, "../refhost")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "building the reference host:", err)
			return 1
		}
		return m.Run()
	}())
}

// stuckHost is the reference host in one scenario. In all others it says that
// it is there, at address, and hangs; asked to end, it says so, and does not.
func stuckHost(refhost, address string) {
	if os.Getenv("HOSTCHECK_SCENARIO") == "advertising" {
		cmd := exec.Command(refhost)
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			os.Exit(1)
		}
		return
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	if conn, err := net.Dial("tcp", address); err == nil {
		go func() {
			<-asked
			conn.Write([]byte("asked to end\n"))
		}()
		io.Copy(io.Discard, conn) // for as long as the test is there
	}
	os.Exit(1)
}

// A child is the program, running.
type child struct {
	*exec.Cmd
	out, err bytes.Buffer
}

func start(t *testing.T, args ...string) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if len(args) > 0 && args[0] == "run" { // however busy the machine is; a flag that follows is heard
		args = slices.Insert(slices.Clone(args), 1, "--timeout", "5m")
	}
	c := &child{Cmd: exec.CommandContext(t.Context(), self, args...)}
	c.Env = append(os.Environ(), "HOSTCHECK_MAIN=1")
	c.Stdout, c.Stderr = &c.out, &c.err
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// status is the exit status of the program.
func (c *child) status(t *testing.T) int {
	t.Helper()
	err := c.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0
}

// program runs the program and returns its exit status and output.
func program(t *testing.T, args ...string) (status int, out, err string) {
	t.Helper()
	c := start(t, args...)
	status = c.status(t)
	return status, c.out.String(), c.err.String()
}

// short are flags for a run of a few seconds.
func short(more ...string) []string {
	return append([]string{"run", "--scenario", "advertising", "--scenario", "consent"}, more...)
}

// repeats leaves out, with -short, a test that runs the program as TestRun does and judges what it
// says. That is enough to see whether anything races in it.
func repeats(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("TestRun runs the same code")
	}
}

// The reference host passes, over both transports and in both protocols, and
// what --out has says so to people and programs.
func TestRun(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "report")
	status, out, errs := program(t, short("--out", folder, "--", refhost)...)
	if status != statusOK || errs != "" {
		t.Errorf("status %d, %s", status, errs)
	}
	if lines := strings.Split(out, "\n"); len(lines) != 5 || lines[0] != "refhost 1.0.0, checked by hostcheck "+hostcheck.Version()+"." ||
		!strings.HasPrefix(lines[1], "2 scenarios in 8 runs, ") || lines[2] != "OK" || lines[3] != "See "+filepath.Join(folder, "report.html") {
		t.Errorf("printed:\n%s", out)
	}
	var r hostcheck.Report
	data, err := os.ReadFile(filepath.Join(folder, "report.json"))
	if err != nil || json.Unmarshal(data, &r) != nil || len(r.Results) != 8 || !slices.Equal(r.Host, []string{refhost}) {
		t.Errorf("report.json: %v, %d results", err, len(r.Results))
	}
	checks, err := filepath.Glob(filepath.Join(folder, "results", "*", "checks.json"))
	if err != nil || len(checks) != 8 {
		t.Errorf("checks.json: %v %q", err, checks)
	}
	left, err := filepath.Glob(filepath.Join(folder, "*.partial"))
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v %q", err, left)
	}
}

// Whoever mends one thing runs the scenarios that decide it, and is told of nothing
// else.
func TestRun_Checks(t *testing.T) {
	repeats(t)
	t.Parallel()
	expected := filepath.Join(t.TempDir(), "expected.yaml")
	if err := os.WriteFile(expected, []byte("client:\n  - refusal\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, errs := program(t, "run", "--json", "--protocol", "2026-07-28", "--check", "a34,B12", "--check", "P9", "--scenario", "refusal",
		"--expected-failures", expected, "--", refhost)
	var r hostcheck.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || status != statusOK || len(r.Results) != 2 {
		t.Fatalf("status %d, %v\n%s%s", status, err, out, errs)
	}
	for _, result := range r.Results {
		var ids []string
		for _, c := range result.Checks {
			ids = append(ids, c.ID)
		}
		if !slices.Equal(ids, []string{"A34", "P9"}) || result.Scenario != "refusal" {
			t.Errorf("%s has %q", result.Scenario, ids)
		}
		for _, e := range result.Events {
			if slices.Contains(e.Checks, "A7") {
				t.Error("an event decides what is not judged")
			}
		}
	}
	// What binds everywhere is judged wherever it may be.
	status, out, errs = program(t, "run", "--check", "A41", "--scenario", "era", "--", refhost)
	if status != statusOK || !strings.Contains(out, "\n1 scenario in 1 run, ") || !strings.Contains(out, ": 1 passed.\n") {
		t.Errorf("status %d\n%s%s", status, out, errs)
	}
}

// A fault fails the run, unless a file says that it is known; and when it is
// mended, the file has to follow.
func TestExpectedFailures(t *testing.T) {
	repeats(t)
	t.Parallel()
	folder := t.TempDir()
	baseline, empty := filepath.Join(folder, "expected.yaml"), filepath.Join(folder, "empty.yaml")
	if err := errors.Join(os.WriteFile(baseline, []byte("client:\n  - consent:A11\n"), 0o600), os.WriteFile(empty, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		flags  []string
		fault  string
		status int
		says   string
	}{
		{"not expected", nil, "prefetches", statusFailed, "FAIL  A11"},
		{"expected", []string{"--expected-failures", baseline}, "prefetches", statusOK, "(MUST NOT), as expected"},
		{"stale", []string{"--expected-failures", baseline}, "", statusFailed, "stale, passes now; remove it from the file: consent:A11"},
		{"a warning, which is none of its business", []string{"--expected-failures", empty}, "no-highlight", statusOK, "warn  A15"},
		{"a warning that counts", []string{"--expected-failures", empty, "--strict"}, "no-highlight", statusFailed, "not expected: consent:A15"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			args := short(test.flags...)
			args = append(args, "--protocol", "2025-11-25", "--transport", "stdio", "--", refhost)
			if test.fault != "" {
				args = append(args, "-fault", test.fault)
			}
			if status, out, errs := program(t, args...); status != test.status || !strings.Contains(out, test.says) || errs != "" {
				t.Errorf("status %d\n%s%s", status, out, errs)
			}
		})
	}
}

// A warning fails the run only if it is told to.
func TestStrict(t *testing.T) {
	repeats(t)
	t.Parallel()
	args := []string{"run", "--scenario", "consent", "--protocol", "2025-11-25", "--transport", "http"}
	host := []string{"--", refhost, "-fault", "no-highlight"}
	if status, out, _ := program(t, slices.Concat(args, host)...); status != statusOK || !strings.Contains(out, "warn  A15") {
		t.Errorf("status %d\n%s", status, out)
	}
	if status, out, _ := program(t, slices.Concat(args, []string{"--strict"}, host)...); status != statusFailed || !strings.HasSuffix(out, "FAILED\n") {
		t.Errorf("strict: status %d\n%s", status, out)
	}
}

// A host that ends at once is told as one thing that is wrong.
func TestHostThatEnds(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	status, out, _ := program(t, short("--", self, "no-such-command")...)
	if status != statusFailed || strings.Count(out, "Not reached") != 1 || strings.Count(out, "exit status 2") != 1 {
		t.Errorf("status %d\n%s", status, out)
	}
}

// The formats for programs go to standard output, and nothing else does.
func TestFormats(t *testing.T) {
	repeats(t)
	t.Parallel()
	args := []string{"run", "--scenario", "advertising", "--transport", "http"}
	status, out, errs := program(t, append(args, "--json", "--", refhost)...)
	var r hostcheck.Report
	if err := json.Unmarshal([]byte(out), &r); status != statusOK || err != nil || len(r.Results) != 2 || !strings.HasSuffix(errs, "\nOK\n") {
		t.Errorf("status %d, %v, %d results\n%s", status, err, len(r.Results), errs)
	}
	status, out, errs = program(t, append(args, "--junit", "--", refhost)...)
	if status != statusOK || !strings.HasPrefix(out, "<?xml") || !strings.HasSuffix(out, "</testsuites>\n") || !strings.HasSuffix(errs, "\nOK\n") {
		t.Errorf("status %d\n%s%s", status, out, errs)
	}
}

// A host that reads a configuration file finds in it what the template has.
func TestTemplate(t *testing.T) {
	repeats(t)
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there is no sh")
	}
	folder := t.TempDir()
	for _, transport := range []string{hostcheck.Stdio, hostcheck.HTTP} {
		seen := filepath.Join(folder, transport)
		status, out, errs := program(t, "run", "--template", filepath.Join("testdata", "host.json.tmpl"), "--template-name", ".my-host/settings.json",
			"--scenario", "advertising", "--protocol", "2026-07-28", "--transport", transport,
			"--", "sh", "-c", `case $1 in */.my-host/settings.json) cat "$1" >"$3";; esac; exec "$2"`, "sh", "{config}", refhost, seen)
		if status != statusOK {
			t.Fatalf("status %d\n%s%s", status, out, errs)
		}
		data, err := os.ReadFile(seen)
		if err != nil {
			t.Fatal(err)
		}
		var config struct {
			MCPServers map[string]struct {
				Type, URL, Command string
				Args               []string
			} `json:"mcpServers"`
		}
		if err := json.Unmarshal(data, &config); err != nil {
			t.Fatalf("%v in %s", err, data)
		}
		server := config.MCPServers["hostcheck"]
		stdio := server.Command != "" && len(server.Args) == 3 && server.Args[0] == "stub"
		if stdio != (transport == hostcheck.Stdio) || !stdio && !regexp.MustCompile(`^http://127\.0\.0\.1:\d+/\w+/mcp$`).MatchString(server.URL) {
			t.Errorf("%s: %s", transport, data)
		}
	}
}

// withStuckHost starts a run, and returns when its host hangs, with what that host
// says. All that had ended until then are the four runs of one scenario.
func withStuckHost(t *testing.T, flags ...string) (*child, *bufio.Reader) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("there are no signals to send to a child")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	flags = append([]string{"--parallel", "1"}, flags...)
	c := start(t, short(append(flags, "--", self, "stuck-host", refhost, listener.Addr().String())...)...)
	stuck, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stuck.Close() })                    // which ends it if nothing else did
	stuck.SetReadDeadline(time.Now().Add(5 * time.Minute)) // for isGone
	return c, bufio.NewReader(stuck)
}

// isGone checks that a host is not there any more.
func isGone(t *testing.T, stuck *bufio.Reader) {
	t.Helper()
	// Whether its end of the connection was closed or reset is not the point.
	if said, err := stuck.ReadString(0); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the host is still there, and says %q", said)
	}
}

// Ctrl-C ends the hosts, and so does the end of the terminal; what had ended before
// is reported.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	for _, how := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(how.String(), func(t *testing.T) {
			t.Parallel()
			if signal.Ignored(how) {
				t.Skip("the signal is ignored here, as under nohup, and so by what is started")
			}
			folder := t.TempDir()
			c, stuck := withStuckHost(t, "--out", folder)
			if err := c.Process.Signal(how); err != nil {
				t.Fatal(err)
			}
			if status := c.status(t); status != statusInterrupted {
				t.Errorf("status %d", status)
			}
			isGone(t, stuck)
			if !strings.Contains(c.err.String(), "interrupted: 4 of 8 runs had ended") || !strings.Contains(c.out.String(), "\n1 scenario in 4 runs") {
				t.Errorf("%s%s", c.out.String(), c.err.String())
			}
			if _, err := os.Stat(filepath.Join(folder, "report.html")); err != nil {
				t.Error(err)
			}
		})
	}
}

// A second Ctrl-C ends the program at once, and its hosts with it, though they do
// not end when they are asked to.
func TestInterrupt_Twice(t *testing.T) {
	t.Parallel()
	for range 10 {
		c, stuck := withStuckHost(t)
		if err := c.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		_, err := stuck.ReadString('\n')
		_ = c.Process.Signal(os.Interrupt) // it has ended by itself where the host was not quick enough
		if status := c.status(t); status != statusInterrupted {
			t.Errorf("status %d", status)
		}
		if err == nil {
			isGone(t, stuck)
			return
		}
		// The host has half a second between the two ways to end it, in which it does not
		// come to say anything on a very busy machine: then this was another story.
	}
	t.Error("the host was never asked to end")
}

func TestList(t *testing.T) {
	t.Parallel()
	status, out, errs := program(t, "list", "--coverage")
	if status != statusOK || errs != "" {
		t.Errorf("status %d %s", status, errs)
	}
	for _, s := range hostcheck.Scenarios() {
		if !strings.Contains(out, "\n"+s.Name+": "+s.Title+"\n") || !strings.Contains(strings.Join(strings.Fields(out), " "), s.Title+" "+s.Description+" 20") {
			t.Errorf("there is no scenario %s", s.Name)
		}
	}
	for _, r := range hostcheck.Requirements() {
		derived := ""
		if r.Derived {
			derived = ", derived"
		}
		if !regexp.MustCompile(`(?m)^` + r.ID + ` +` + string(r.Level) + ` +` + regexp.QuoteMeta(r.Name) + derived + ` \(.*\)\n(     .*\n)+ +` + regexp.QuoteMeta(r.Section.URL) + `\n +(in \w|not decided: \w)`).MatchString(out) {
			t.Errorf("%s is not listed, or not with all that there is to it", r.ID)
		}
	}
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	var decided, of, percent int
	last := lines[len(lines)-1]
	if n, err := fmt.Sscanf(last, "coverage: %d of %d wire-observable, %d %%", &decided, &of, &percent); n != 3 || err != nil ||
		decided*100/of != percent || decided == 0 || decided > of {
		t.Errorf("the last line is %q: %v", last, err)
	}

	_, out, _ = program(t, "list", "--json")
	var listed struct {
		Scenarios    []hostcheck.Scenario
		Requirements []hostcheck.Requirement
	}
	if err := json.Unmarshal([]byte(out), &listed); err != nil || len(listed.Scenarios) != len(hostcheck.Scenarios()) ||
		len(listed.Requirements) != len(hostcheck.Requirements()) {
		t.Errorf("%v, %d scenarios, %d requirements", err, len(listed.Scenarios), len(listed.Requirements))
	}
}

// What is wrong with a command line is said before any host is started, with
// what to do about it.
func TestUsage(t *testing.T) {
	folder := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	host := []string{"--", refhost}
	for _, test := range []struct {
		args []string
		says string
	}{
		{nil, "hostcheck run [flags] -- HOST"},
		{[]string{"check"}, `there is no command "check"; there are list, run, serve and version`},
		{[]string{"run"}, "no host; its command comes after the flags"},
		{[]string{"run", "--"}, "no host"},
		{[]string{"run", "--", "./no-such-host"}, "the host cannot be started"},
		{append([]string{"run", "--protocol", "2024-11-05"}, host...), `--protocol "2024-11-05": it is one of 2025-11-25, 2026-07-28, both`},
		{append([]string{"run", "--transport", "sse"}, host...), `--transport "sse": it is one of stdio, http, both`},
		{append([]string{"run", "--scenario", "concent"}, host...), "there is no such scenario; there are advertising, "},
		{append([]string{"run", "--scenario", "streams", "--transport", "stdio"}, host...), "nothing to run"},
		{append([]string{"run", "--check", "A7,A99"}, host...), `there is no requirement "A99"; "hostcheck list" has them all`},
		{append([]string{"run", "--check", "B28"}, host...), "no scenario decides B28: it takes"},
		{append([]string{"run", "--check", "B8", "--protocol", "2025-11-25"}, host...), "none of these scenarios exists for that protocol and transport, and decides that"},
		{append([]string{"run", "--timeout", "45"}, host...), "a number with a unit, as in 45s"},
		{append([]string{"run", "--timeout", "-1s"}, host...), "a number with a unit, as in 45s"},
		{append([]string{"run", "--parallel", "-1"}, host...), "--parallel is not negative"},
		{append([]string{"run", "--no-such-flag"}, host...), `"hostcheck run -h" lists the flags`},
		{append([]string{"run", "--json", "--junit"}, host...), "--out writes both"},
		{append([]string{"run", "--out", file("out", "")}, host...), "--out: "},
		{append([]string{"run", "--template", filepath.Join(folder, "gone")}, host...), "--template: "},
		{append([]string{"run", "--template", file("open", "{{")}, host...), "template: "},
		{append([]string{"run", "--template", file("wrong", "{{.Comand}}")}, host...), "can't evaluate field Comand"},
		{append([]string{"run", "--transport", "http", "--template", file("args", "{{slice .Command 1}}")}, host...), "slice"},
		{append([]string{"run", "--template", file("good", ""), "--template-name", "../x"}, host...), "stays in its folder"},
		{append([]string{"run", "--template-name", "x"}, host...), "there is none"},
		{append([]string{"run", "--expected-failures", filepath.Join(folder, "gone")}, host...), "--expected-failures: "},
		{append([]string{"run", "--expected-failures", file("bad.yaml", "client:\n  - consent: A11\n")}, host...), `bad.yaml: line 2: an entry is "scenario"`},
		{[]string{"list", "all"}, `there is neither a scenario nor a requirement "all"`},
		{[]string{"list", "--json", "--coverage"}, "do not go together"},
		{[]string{"serve", "--protocol", "both"}, "it is one of 2025-11-25, 2026-07-28"},
		{[]string{"serve", "--", refhost}, "the host is started by you"},
		{[]string{"serve", "--port", "99999"}, "--port: "},
		{[]string{"stub"}, "it takes --control URL"},
		{[]string{"stub", "--control", "https://example.com/x"}, "loopback"},
	} {
		var out, errs bytes.Buffer
		status := run(t.Context(), test.args, streams{strings.NewReader(""), &out, &errs})
		if status != statusUsage || !strings.Contains(errs.String(), test.says) || out.Len() > 0 {
			t.Errorf("%q: status %d, %s%s", test.args, status, errs.String(), out.String())
		}
	}
}

func TestHelp(t *testing.T) {
	for _, test := range []struct {
		args []string
		says []string
	}{
		{[]string{"-h"}, []string{"list", "run", "serve"}},
		{[]string{"help"}, []string{"A first report"}},
		{[]string{"version"}, []string{"hostcheck " + hostcheck.Version() + "\n"}},
		{[]string{"run", "-h"}, []string{"{server}", "-expected-failures file", "-timeout duration", "130 interrupted", "(default \"both\")"}},
		{[]string{"list", "--help"}, []string{"-coverage"}},
		{[]string{"serve", "-h"}, []string{"-port port", "by hand"}},
	} {
		var out, errs bytes.Buffer
		status := run(context.Background(), test.args, streams{strings.NewReader(""), &out, &errs})
		if status != statusOK || errs.Len() > 0 {
			t.Errorf("%q: status %d %s", test.args, status, errs.String())
		}
		for _, want := range test.says {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%q does not say %q:\n%s", test.args, want, out.String())
			}
		}
		for l := range strings.Lines(out.String()) {
			if columns := len(strings.Replace(strings.TrimSuffix(l, "\n"), "    \t", "        ", 1)); columns > 80 {
				t.Errorf("%q: %d columns: %q", test.args, columns, l)
			}
		}
	}
}
