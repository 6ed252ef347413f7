package relay_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents/record"
	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents/relay"
)

// What the agent writes reaches the server, what the server writes reaches the
// agent, and all of it is on record, in the order of cause and effect.
func TestRelay(t *testing.T) {
	file := filepath.Join(t.TempDir(), "wire")
	var out, errs bytes.Buffer
	server := []string{"sh", "-c", `read line; echo "got $line"; echo trouble >&2; test "$` + relay.Mark + `" = 1 && exit 3`}
	status, err := relay.Run(t.Context(), file, server, strings.NewReader("hello\n"), &out, &errs)
	if err != nil || status != 3 || out.String() != "got hello\n" || errs.String() != "trouble\n" {
		t.Errorf("status %d, %v, %q, %q", status, err, out.String(), errs.String())
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var reader record.File
	said := make(map[record.Speaker]string)
	var order []string
	for _, l := range reader.More(file) {
		said[l.From] = l.Text
		if l.From != record.Stderr {
			order = append(order, string(l.From))
		}
	}
	if got := strings.Join(order, " "); got != "started agent server ended" || said[record.Agent] != "hello" ||
		said[record.Server] != "got hello" || said[record.Stderr] != "trouble" || said[record.Ended] != "exit status 3" {
		t.Errorf("on record: %s", raw)
	}
}

// A server that cannot be started is an error, and so is none.
func TestRelay_NoServer(t *testing.T) {
	file := filepath.Join(t.TempDir(), "wire")
	for want, command := range map[int][]string{127: {"/no/such/program"}, 2: nil} {
		status, err := relay.Run(t.Context(), file, command, strings.NewReader(""), new(bytes.Buffer), new(bytes.Buffer))
		if err == nil || status != want {
			t.Errorf("%q: status %d, want %d; %v", command, status, want, err)
		}
	}
}
