package agents_test

import (
	"encoding/json"
	"errors"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents"
	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents/relay"
)

// Every agent has a lock file and a name of its own.
func TestAll(t *testing.T) {
	t.Chdir("..") // from where commands are run
	folders, names := agents.Folders(), make(map[string]bool)
	for _, a := range agents.All {
		if names[a.Name] || !slices.Contains(folders, a.Folder) {
			t.Errorf("%s: twice, or its folder %q is not in npm", a.Name, a.Folder)
		}
		names[a.Name] = true
	}
	for _, folder := range folders {
		lock, err := os.ReadFile(filepath.Join(agents.Root, "npm", folder, "package-lock.json"))
		if err != nil || !strings.Contains(string(lock), `"integrity"`) || strings.Contains(string(lock), `"resolved"`) {
			t.Errorf("%s is not pinned, or names a registry: %v", folder, err)
		}
		asked, err := os.ReadFile(filepath.Join(agents.Root, "npm", folder, "package.json"))
		if err != nil {
			t.Fatal(err)
		}
		var list struct{ Dependencies map[string]string }
		var locked struct {
			Packages map[string]struct{ Dependencies map[string]string }
		}
		if err := errors.Join(json.Unmarshal(asked, &list), json.Unmarshal(lock, &locked)); err != nil {
			t.Errorf("%s: %v", folder, err)
		}
		if got := locked.Packages[""].Dependencies; len(got) == 0 || !maps.Equal(got, list.Dependencies) {
			t.Errorf("%s asks for %v, and its lock file is for %v", folder, list.Dependencies, got)
		}
	}
}

// An agent that is not installed is told apart from one that fails.
func TestVersion_NotInstalled(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, err := agents.All[0].Version(); err == nil || !strings.Contains(err.Error(), "measure install codex") {
		t.Errorf("the error is %v", err)
	}
}

func newSession(t *testing.T) (s *agents.Session, dir string) {
	t.Helper()
	dir = t.TempDir()
	s, err := agents.NewSession(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

// What an agent would open in a browser is noted, and not opened.
func TestSession_Browser(t *testing.T) {
	s, dir := newSession(t)
	if got := s.Opened(); got != "" {
		t.Errorf("before: %q", got)
	}
	const link = "https://a.test/?x=1&y='2'"
	if err := exec.CommandContext(t.Context(), filepath.Join(dir, "bin", "xdg-open"), link).Run(); err != nil {
		t.Fatal(err)
	}
	if got := s.Opened(); got != link+"\n" {
		t.Errorf("opened %q, want %q", got, link)
	}
}

// A daemon is found by its home, and a server that nothing holds by its relay; both
// are ended.
func TestSession_Leftovers(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc")
	}
	s, dir := newSession(t)
	start := func(environment ...string) <-chan error {
		cmd := exec.CommandContext(t.Context(), "sleep", "60")
		cmd.Env = append(environment, "HOME="+filepath.Join(dir, "home"))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		return ended
	}
	daemon, server := start(), start(relay.Mark+"=1")
	left := s.End()
	if len(left.Own) != 1 || left.Own[0] != "sleep …" || left.Orphan != 1 || left.Kept != 0 {
		t.Errorf("left behind: %+v", left)
	}
	if got := left.String(); got != "1 of its own, the server, 1 times" {
		t.Errorf("in words: %q", got)
	}
	for _, ended := range []<-chan error{daemon, server} {
		if err := <-ended; err == nil {
			t.Error("it ended by itself")
		}
	}
	if left := s.End(); left.String() != "none" {
		t.Errorf("still there: %+v", left)
	}
}

// In a network of its own a program has loopback, and nothing else.
func TestAlone(t *testing.T) {
	if os.Getenv("LAZYAUTH_AGENTS_ALONE") == "" {
		os.Args = []string{os.Args[0], "-test.run=^TestAlone$"}
		status, done, err := agents.Alone(t.Context())
		if err != nil {
			t.Skip("no name spaces are to be had here: ", err)
		}
		if !done || status != 0 {
			t.Errorf("done %t, status %d", done, status)
		}
		return
	}
	if _, done, err := agents.Alone(t.Context()); done || err != nil {
		t.Fatalf("done %t, %v", done, err)
	}
	all, err := net.Interfaces()
	if err != nil || len(all) != 1 || all[0].Flags&net.FlagLoopback == 0 || all[0].Flags&net.FlagUp == 0 {
		t.Fatalf("the network has %+v, %v", all, err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if _, err := net.Dial("tcp", listener.Addr().String()); err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", "192.0.2.1:80"); err == nil {
		t.Error("there is a way out")
	}
}
