package hostcheck_test

import (
	"net"
	"net/url"
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
// each says why.
func allFail(t *testing.T, r hostcheck.Result, why string) {
	t.Helper()
	if len(r.Checks) == 0 {
		t.Error("there are no checks")
	}
	for _, c := range r.Checks {
		if c.Status != hostcheck.Failure || !strings.Contains(c.ErrorMessage, why) {
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

func TestHostThatHangs(t *testing.T) {
	r, seen, took := badHost(t, "hang", hostcheck.Config{Timeout: time.Second})
	allFail(t, r, "did not connect to the server within 1s")
	allGone(t, seen["pid"])
	if took > 15*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestHostThatExitsAtOnce(t *testing.T) {
	r, _, took := badHost(t, "exit", hostcheck.Config{Timeout: time.Minute})
	allFail(t, r, "the host ended with exit status 3 without having connected")
	if !strings.Contains(r.HostOutput, "no such flag") {
		t.Errorf("what it wrote to standard error is lost: %q", r.HostOutput)
	}
	if took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestHostThatDoesNotExist(t *testing.T) {
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

func TestHostThatSendsGarbage(t *testing.T) {
	r, seen, _ := badHost(t, "garbage", hostcheck.Config{Host: []string{"{server}"}, Timeout: 2 * time.Second})
	allFail(t, r, "the host did not get there within 2s")
	allGone(t, seen["pid"])
	shown := false
	for _, e := range r.Events {
		shown = shown || e.From == hostcheck.FromHost && strings.Contains(e.Text, "not JSON")
	}
	if !shown {
		t.Error("the garbage is not in the record")
	}
}

func TestHostThatFloods(t *testing.T) {
	for _, how := range []string{"flood", "endless-line"} {
		t.Run(how, func(t *testing.T) {
			r, seen, took := badHost(t, how, hostcheck.Config{Host: []string{"{server}"}, Timeout: time.Minute})
			allFail(t, r, "the host sent more than the suite takes")
			allGone(t, seen["pid"])
			if took > 40*time.Second {
				t.Errorf("it took %v", took)
			}
			size := 0
			for _, e := range r.Events {
				size += len(e.Message) + len(e.Text)
			}
			if size > 9<<20 {
				t.Errorf("%d bytes were kept", size)
			}
		})
	}
}

func TestHostThatWritesMuchToStandardError(t *testing.T) {
	r, _, _ := badHost(t, "chatter", hostcheck.Config{Timeout: 20 * time.Second})
	allFail(t, r, "the host exited without having connected")
	if n := len(r.HostOutput); n == 0 || n > 20<<10 {
		t.Errorf("%d bytes of it were kept", n)
	}
}

// A host that leaves a child behind, and a file: neither outlives the scenario.
func TestNothingIsLeftBehind(t *testing.T) {
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

// What a host is told: in its arguments, its environment and its configuration.
func TestWhatAHostIsTold(t *testing.T) {
	_, seen, _ := badHost(t, "dump", hostcheck.Config{
		Host:       []string{"{tool}", "--at={server}", "{scenario}/{protocol}/{transport}", "{server}", "{arguments}", "{config}"},
		Transports: []string{hostcheck.HTTP},
		Template:   `{"mcpServers": {{json .Task.Server.Name}}, "url": {{json .URL}}}`, TemplateName: "sub/settings.json",
	})
	one := func(key string) string {
		if len(seen[key]) != 1 {
			t.Fatalf("%s: %q", key, seen[key])
		}
		return seen[key][0]
	}
	address := one("URL")
	want := []string{"notes_search", "--at=" + address, "advertising/2026-07-28/http", address}
	args := seen["arg"]
	if len(args) != 6 {
		t.Fatalf("arguments: %q", args)
	}
	for i, w := range want {
		if args[i] != w {
			t.Errorf("argument %d is %q, not %q", i, args[i], w)
		}
	}
	if !strings.Contains(args[4], `"call":"first"`) || !strings.HasSuffix(args[5], filepath.FromSlash("sub/settings.json")) {
		t.Errorf("arguments: %q", args)
	}
	if got := one("config"); got != `{"mcpServers": "hostcheck", "url": "`+address+`"}` {
		t.Errorf("the configuration file is %s", got)
	}
	if one("SCENARIO") != "advertising" || one("PROTOCOL") != hostcheck.Modern || one("COMMAND") != "" ||
		!strings.Contains(one("TASK"), address) || !strings.HasPrefix(one("CONTROL"), "http://127.0.0.1:") {
		t.Errorf("the environment says %q", seen)
	}
	// The ports are closed by now.
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := net.DialTimeout("tcp", u.Host, time.Second); err == nil {
		c.Close()
		t.Errorf("%s is still open", u.Host)
	}
}

// The command line of a stdio server is several arguments where it stands
// alone, and quoted for a shell elsewhere.
func TestServerCommandInArguments(t *testing.T) {
	_, seen, _ := badHost(t, "dump", hostcheck.Config{
		Host: []string{"{server}", "run {server}"}, Stub: []string{"/opt/it's here/hostcheck", "stub"},
	})
	args := seen["arg"]
	if len(args) != 5 || args[0] != "/opt/it's here/hostcheck" || args[1] != "stub" || args[2] != "--control" {
		t.Fatalf("arguments: %q", args)
	}
	if want := `run '/opt/it'\''s here/hostcheck' 'stub' '--control' '` + args[3] + `'`; args[4] != want {
		t.Errorf("the last argument is %s, not %s", args[4], want)
	}
}

func TestConfigThatMakesNoSense(t *testing.T) {
	host := []string{"true"}
	for name, c := range map[string]hostcheck.Config{
		"no host":          {},
		"unknown protocol": {Host: host, Protocols: []string{"2024-01-01"}},
		"unknown carrier":  {Host: host, Transports: []string{"pigeon"}},
		"unknown scenario": {Host: host, Scenarios: []string{"advertizing"}},
		"nothing left":     {Host: host, Scenarios: []string{"restart"}, Transports: []string{hostcheck.HTTP}},
		"broken template":  {Host: host, Template: "{{"},
	} {
		if _, err := hostcheck.Run(t.Context(), c); err == nil {
			t.Errorf("%s: no error", name)
		} else if !strings.HasPrefix(err.Error(), "hostcheck: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
