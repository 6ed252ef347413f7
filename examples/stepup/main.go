// Command stepup shows a tool call that turns out, in its middle, to need more
// than the user has granted: the user is asked for just that, and the same call
// goes on where it stood. Like the quickstart it needs nothing to configure, and
// is the MCP host in the terminal; examples/stepup/server has the tool.
//
//	go run ./examples/stepup
//	go run ./examples/stepup -flow redirect
//
// It ends by printing what the authorization server and the API saw, and exits
// with 1 if anything happened more often than it should.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/examples/internal/demo"
)

// serverPackage is what a host would be configured to run.
const serverPackage = "github.com/lazyauth/mcp-lazyauth/examples/stepup/server"

var stepup = demo.Command{
	Name: "stepup",
	Does: "shows a tool call that asks for more in its middle and then goes on.",
	Tell: tell,
}

func main() { stepup.Main() }

// tell tells the story; an error is the step that did not work.
func tell(ctx context.Context, s *demo.Stage) error {
	s.Title("1. An authorization server, an API, and an MCP server in front of it")
	s.Line("listening on %s", s.AS.Address)
	host, err := s.StartHost(ctx, serverPackage)
	if err != nil {
		return err
	}
	s.Line("The MCP server speaks %s. Its tools:", s.Protocol)
	if err := host.ListTools(ctx); err != nil {
		return err
	}

	s.Title("2. A call that reads: the user is asked for notes:read")
	if _, err := host.Call(ctx, "list_notes", map[string]string{}); err != nil {
		return err
	}
	if err := wantAsked(s.User, "notes:read"); err != nil {
		return err
	}

	s.Title("3. A call that learns in its middle that it has to write")
	s.Line("Its handler starts at once: notes:read is all that the tool declares. It")
	s.Line("counts its start, reads the notes, and writes one. There the API answers")
	s.Line("403 insufficient_scope, and the handler waits.")
	if _, err := host.Call(ctx, "ensure_note", map[string]string{"text": "Try step-up"}); err != nil {
		return err
	}
	if err := wantAsked(s.User, "notes:read", "notes:read notes:write"); err != nil {
		return err
	}
	s.Line("That is the answer to the very call that was stopped by the API.")

	s.Title("4. How often did its handler start?")
	answer, err := host.Call(ctx, "starts", map[string]string{})
	if err != nil {
		return err
	}
	var starts struct {
		EnsureNote int `json:"ensure_note"`
	}
	if err := json.Unmarshal([]byte(answer), &starts); err != nil {
		return fmt.Errorf("reading the answer of starts: %w", err)
	}

	s.Title("5. What the authorization server and the API saw")
	journal := s.AS.Journal()
	for _, line := range lines(journal) {
		s.Line("  %s", line)
	}

	s.Title("6. What came of it")
	came := counts(journal, s.Flow, starts.EnsureNote)
	for _, c := range came {
		s.Line("%-48s %d", c.what, c.got)
	}
	if wrong := failed(came); len(wrong) > 0 {
		return fmt.Errorf("%s: %d, want %d", wrong[0].what, wrong[0].got, wrong[0].want)
	}
	if violations := s.AS.Violations(); len(violations) > 0 {
		return fmt.Errorf("the client broke a rule: %v", violations[0])
	}
	return nil
}

// wantAsked compares what the user was asked for so far, prompt by prompt.
func wantAsked(user *demo.Person, want ...string) error {
	if got := user.Asked(); strings.Join(got, ", then ") != strings.Join(want, ", then ") {
		return fmt.Errorf("the user was asked for %q, want %q", got, want)
	}
	return nil
}
