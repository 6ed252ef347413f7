package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/examples/internal/hosttest"
)

func TestMain(m *testing.M) { hosttest.Main(m, main) }

// nowhere is a command line that names a service where nobody answers.
var nowhere = []string{"-issuer", "http://127.0.0.1:1", "-client-id", "c", "-api", "http://127.0.0.1:1"}

// pipes returns the two ends of a conversation with a program that is about to
// be started.
func pipes(t *testing.T, cmd *exec.Cmd) (io.WriteCloser, io.Reader) {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	return in, out
}

func TestListsItsToolsThoughNobodyAnswersAtTheService(t *testing.T) {
	for _, protocol := range hosttest.Protocols {
		t.Run(protocol, func(t *testing.T) {
			cmd, stderr := hosttest.Program(t, nowhere...)
			host := hosttest.Connect(t, fakeas.New(nil), protocol, hosttest.Subprocess(cmd))
			var names, readOnly []string
			for _, tool := range host.Tools() {
				names = append(names, tool.Name)
				switch a := tool.Annotations; {
				case a == nil || a.Title == "" || a.OpenWorldHint == nil:
					t.Errorf("%s has no title or no openWorldHint", tool.Name)
				case a.ReadOnlyHint:
					readOnly = append(readOnly, tool.Name)
				case a.DestructiveHint == nil || *a.DestructiveHint:
					t.Errorf("%s counts as destructive", tool.Name)
				}
			}
			slices.Sort(names)
			slices.Sort(readOnly)
			if got, want := strings.Join(names, " "), "create_note list_notes ping whoami"; got != want {
				t.Errorf("tools: %s; want %s", got, want)
			}
			if got, want := strings.Join(readOnly, " "), "list_notes ping whoami"; got != want {
				t.Errorf("read-only tools: %s; want %s", got, want)
			}
			host.WantAnswer("ping", nil, "pong")
			if result := host.Call("whoami", nil); !result.IsError || result.Meta["io.github.lazyauth/reason"] != "unavailable" {
				t.Errorf("whoami: %+v; want an error result with reason unavailable", result)
			}
			if err := host.Close(); err != nil {
				t.Errorf("after the end of its input the server did not exit with 0: %v", err)
			}
			if stderr.Len() > 0 {
				t.Errorf("stderr: %s", stderr)
			}
		})
	}
}

func TestWritesOnlyMessagesToStandardOutput(t *testing.T) {
	cmd, stderr := hosttest.Program(t, append(nowhere, "-log", filepath.Join(t.TempDir(), "log"))...)
	in, out := pipes(t, cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, message := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`,
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"whoami","arguments":{}}}`,
		`{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"create_note","arguments":{}}}`,
		`{"jsonrpc":"2.0","id":4,"method":"no/such/method"}`,
	} {
		if _, err := io.WriteString(in, message+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	lines := bufio.NewScanner(out)
	for answered := map[int]bool{}; lines.Scan(); {
		var message struct {
			Version string `json:"jsonrpc"`
			ID      int    `json:"id"`
		}
		if err := json.Unmarshal(lines.Bytes(), &message); err != nil || message.Version != "2.0" {
			t.Errorf("stdout has a line that is no message: %q", lines.Text())
		}
		if answered[message.ID] = true; len(answered) == 4 {
			in.Close()
		}
	}
	if err := cmd.Wait(); err != nil || stderr.Len() > 0 {
		t.Errorf("after the end of input: %v, stderr: %s; want exit code 0 and silence", err, stderr)
	}
}

func TestEndsWithItsInputThoughACallWaitsForThePerson(t *testing.T) {
	service := httptest.NewServer(fakeas.New(nil))
	defer service.Close()
	cmd, stderr := hosttest.Program(t, "-issuer", service.URL, "-client-id", fakeas.DefaultClientID, "-api", service.URL, "-patience", "1h")
	in, out := pipes(t, cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, message := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{"url":{}}},"clientInfo":{"name":"test","version":"1"}}}`,
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"whoami","arguments":{}}}`,
	} {
		if _, err := io.WriteString(in, message+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	asked := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.Contains(lines.Text(), `"elicitation/create"`) {
			asked = true
			in.Close()
		}
	}
	if err := cmd.Wait(); err != nil || stderr.Len() > 0 || !asked {
		t.Errorf("asked: %t, then at the end of input: %v, stderr: %s; want exit code 0 and silence", asked, err, stderr)
	}
}

func TestEndsOnInterrupt(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be sent an interrupt there")
	}
	cmd, stderr := hosttest.Program(t, nowhere...)
	in, out := pipes(t, cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Once it has answered it is up, and waits for more.
	if _, err := io.WriteString(in, `{"jsonrpc":"2.0","id":1,"method":"ping"}`+"\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || stderr.Len() > 0 {
		t.Errorf("after an interrupt: %v, stderr: %s; want exit code 0 and silence", err, stderr)
	}
}
