package main

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/examples/internal/hosttest"
)

func TestMain(m *testing.M) { hosttest.Main(m, main) }

// The program itself, over pipes and sockets, with an Enterprise Server.
func TestServesAHost(t *testing.T) {
	for _, protocol := range hosttest.Protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			listener := httptest.NewUnstartedServer(nil)
			address := listener.Listener.Addr().String()
			g := newGitHub(t, address, time.Second)
			g.as.Script(fakeas.Poll, fakeas.Pending())
			listener.Config.Handler = g
			listener.Start()
			defer listener.Close()

			logFile := filepath.Join(t.TempDir(), "log")
			cmd, stderr := hosttest.Program(t, "-client-id", clientID, "-host", address, "-log", logFile)
			host := hosttest.Connect(t, g.as, protocol, hosttest.Subprocess(cmd))
			var codes []string
			host.Decide = func(request fakeas.Request) string {
				codes = append(codes, request.UserCode)
				return host.Approve(request)
			}
			host.WantAnswer("whoami", nil, isOctocat)
			host.WantAnswer("create_gist", recipe, isFirstGist)
			host.WantAsked("read:user", "gist read:user")
			g.wantJournal("GET /user 200", "POST /gists 201")

			if err := host.Close(); err != nil {
				t.Errorf("after the end of its input the server did not exit with 0: %v", err)
			}
			if stderr.Len() > 0 {
				t.Errorf("stderr: %s", stderr)
			}
			log, err := os.ReadFile(logFile)
			if err != nil || strings.Count(string(log), `"msg":"authorization granted"`) != 2 {
				t.Errorf("the log tells no two sign-ins: %s, %v", log, err)
			}
			for _, code := range codes {
				if strings.Contains(string(log), code) {
					t.Error("a user code is in the log")
				}
			}
			for _, violation := range g.as.Violations() {
				t.Error(violation)
			}
		})
	}
}

func TestToolsAreDescribedToHosts(t *testing.T) {
	cmd, stderr := hosttest.Program(t, "-client-id", clientID)
	host := hosttest.Connect(t, fakeas.New(nil), "2026-07-28", hosttest.Subprocess(cmd))
	var names, readOnly, idempotent []string
	for _, tool := range host.Tools() {
		names = append(names, tool.Name)
		a := tool.Annotations
		switch {
		case a == nil || a.Title == "" || a.OpenWorldHint == nil || !*a.OpenWorldHint:
			t.Errorf("%s has no title, or does not say that it reaches out", tool.Name)
			continue
		case a.ReadOnlyHint:
			readOnly = append(readOnly, tool.Name)
		case a.DestructiveHint == nil || *a.DestructiveHint:
			t.Errorf("%s counts as destructive", tool.Name)
		}
		if a.IdempotentHint {
			idempotent = append(idempotent, tool.Name)
		}
		if tool.OutputSchema == nil {
			t.Errorf("%s does not say what it answers", tool.Name)
		}
	}
	for _, list := range []struct {
		what, want string
		names      []string
	}{
		{"tools", "create_gist list_repositories star_repository whoami", names},
		{"read-only tools", "list_repositories whoami", readOnly},
		{"idempotent tools", "list_repositories star_repository whoami", idempotent},
	} {
		slices.Sort(list.names)
		if got := strings.Join(list.names, " "); got != list.want {
			t.Errorf("%s: %s; want %s", list.what, got, list.want)
		}
	}
	if err := host.Close(); err != nil || stderr.Len() > 0 {
		t.Errorf("at the end of its input: %v, stderr: %s", err, stderr)
	}
}
