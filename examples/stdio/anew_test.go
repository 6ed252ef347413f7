package main

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/examples/internal/hosttest"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A commandLine is a host that starts the server for each call, and has no way to ask anybody.
type commandLine struct {
	s        *service
	protocol string
	refuses  bool // it has one, and refuses every prompt by itself
}

// starts begins a session with a server of its own; kill ends that as the system does.
func (c commandLine) starts() (session *mcp.ClientSession, kill func()) {
	c.s.t.Helper()
	cmd, _, stderr := c.s.command()
	options := &mcp.ClientOptions{}
	if c.refuses {
		options.Capabilities = &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}}
		options.ElicitationHandler = func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			return &mcp.ElicitResult{Action: "decline"}, nil
		}
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "test-cli", Version: "1"}, options)
	session, err := client.Connect(c.s.t.Context(), hosttest.Subprocess(cmd), &mcp.ClientSessionOptions{ProtocolVersion: c.protocol})
	if err != nil {
		c.s.t.Fatalf("%v: %s", err, stderr)
	}
	return session, func() {
		if err := cmd.Process.Kill(); err != nil {
			c.s.t.Error(err)
		}
		_ = session.Close() // it was killed
	}
}

// calls has one call made, and returns what it comes to.
func (c commandLine) calls(session *mcp.ClientSession) (string, error) {
	result, err := session.CallTool(c.s.t.Context(), &mcp.CallToolParams{Name: "whoami", Arguments: struct{}{}})
	if err != nil {
		return "", err
	}
	return hosttest.Text(result), nil
}

// runs is one run of the command.
func (c commandLine) runs() string {
	c.s.t.Helper()
	session, _ := c.starts()
	text, err := c.calls(session)
	if err != nil {
		c.s.t.Error(err)
	}
	if err := session.Close(); err != nil {
		c.s.t.Error(err)
	}
	return text
}

var userCode = regexp.MustCompile(`[B-Z]{4}-[B-Z]{4}`)

const ada = `{"name":"Ada Example","sub":"ada"}`

// One prompt, whatever number of processes comes before the approval, some of which belong to a host that
// refuses to ask; and after it the result.
func TestServerThatIsStartedForEachCall(t *testing.T) {
	for _, protocol := range hosttest.Protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			s := startService(t, fakeas.Options{})
			asks, refuses := commandLine{s: s, protocol: protocol}, commandLine{s: s, protocol: protocol, refuses: true}
			code := userCode.FindString(asks.runs())
			if text := refuses.runs(); !strings.Contains(text, "without asking its user") {
				t.Errorf("the host that refuses: %s", text)
			}
			if again := asks.runs(); code == "" || !strings.Contains(again, code) {
				t.Errorf("shown %q, and then: %s", code, again)
			}
			if err := s.as.Approve(code); err != nil {
				t.Fatal(err)
			}
			if text := refuses.runs(); text != ada {
				t.Errorf("after the approval: %s", text)
			}
			if text := asks.runs(); text != ada {
				t.Errorf("with the grant: %s", text)
			}
			if n := s.as.Count(fakeas.DeviceAuthorization, ""); n != 1 {
				t.Errorf("%d codes", n)
			}
			s.keepsSecretsOnDisk()
		})
	}
}

// Processes that ask at the same moment show one code, and another one takes over when they all are killed.
func TestServersThatAreKilledWhileTheyWait(t *testing.T) {
	t.Parallel()
	s := startService(t, fakeas.Options{})
	c := commandLine{s: s, protocol: hosttest.Protocols[0]}
	var together sync.WaitGroup
	shown, kills := make([]string, 3), make([]func(), 3)
	for i := range shown {
		session, kill := c.starts()
		kills[i] = kill
		together.Go(func() { shown[i], _ = c.calls(session) })
	}
	together.Wait()
	code := userCode.FindString(shown[0])
	for i, text := range shown {
		if code == "" || !strings.Contains(text, code) {
			t.Errorf("one shows %q, another one: %s", code, text)
		}
		kills[i]()
	}
	if err := s.as.Approve(code); err != nil {
		t.Fatal(err)
	}
	session, _ := c.starts()
	defer session.Close()
	look, late := time.NewTicker(300*time.Millisecond), time.After(3*time.Minute)
	defer look.Stop()
	for text := ""; text != ada; {
		var err error
		if text, err = c.calls(session); err != nil {
			t.Fatal(err)
		}
		if shows := userCode.FindString(text); shows != "" && shows != code {
			t.Fatalf("another code is shown: %s", text)
		}
		select {
		case <-look.C:
		case <-late:
			t.Fatalf("nobody took over: %s", text)
		}
	}
	if n := s.as.Count(fakeas.DeviceAuthorization, ""); n != 1 {
		t.Errorf("%d codes", n)
	}
}
