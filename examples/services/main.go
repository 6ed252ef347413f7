// Command services shows a tool call that needs the grants of two services, each with an
// authorization server of its own: the user is asked for one after the other, and each API
// gets its own token. Like the quickstart it needs nothing to configure, and is the MCP
// host in the terminal; examples/services/server has the tool.
//
//	go run ./examples/services
//	go run ./examples/services -flow redirect
//
// It ends by printing what the two servers saw, and exits with 1 if either was asked for more
// than its part.
package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/examples/internal/demo"
)

// serverPackage is what a host would be configured to run.
const serverPackage = "github.com/lazyauth/mcp-lazyauth/examples/services/server"

var services = demo.Command{
	Name: "services",
	Does: "shows a tool call that needs two services, and asks for one after the other.",
	Two:  true,
	Tell: tell,
}

func main() { services.Main() }

// tell tells the story; an error is the step that did not work.
func tell(ctx context.Context, s *demo.Stage) error {
	s.Title("1. Two authorization servers, each with an API, and an MCP server for both")
	s.Line("Directory listens on %s", s.AS.Address)
	s.Line("Notes     listens on %s", s.Other.Address)
	host, err := s.StartHost(ctx, serverPackage, "-other-issuer", s.Other.Issuer(), "-other-api", s.Other.API())
	if err != nil {
		return err
	}
	s.Line("The MCP server speaks %s. Its tool:", s.Protocol)
	if err := host.ListTools(ctx); err != nil {
		return err
	}

	s.Title("2. A call that needs both: the user is asked twice, and it runs once")
	if _, err := host.Call(ctx, "sign_note", map[string]string{"text": "Try two services"}); err != nil {
		return err
	}
	if got := s.User.Asked(); !slices.Equal(got, []string{"profile", "notes:write"}) {
		return fmt.Errorf("the user was asked for %q", got)
	}

	s.Title("3. Another call: nobody is asked again")
	if _, err := host.Call(ctx, "sign_note", map[string]string{"text": "And once more"}); err != nil {
		return err
	}

	s.Title("4. What each of the two saw of its API")
	for _, seen := range []struct {
		name string
		as   *demo.AuthorizationServer
		want string
	}{
		{"Directory", s.AS, "GET /me 200, GET /me 200"},
		{"Notes", s.Other, "POST /notes 201, POST /notes 201"},
	} {
		got := requests(seen.as.Journal())
		s.Line("%-9s  %s", seen.name, got)
		if got != seen.want {
			return fmt.Errorf("%s saw %s, want %s", seen.name, got, seen.want)
		}
		if violations := seen.as.Violations(); len(violations) > 0 {
			return fmt.Errorf("the client broke a rule at %s: %v", seen.name, violations[0])
		}
	}
	if got := len(s.User.Asked()); got != 2 {
		return fmt.Errorf("the user was asked %d times, want 2", got)
	}
	return nil
}

// requests returns the requests to the API.
func requests(journal []fakeas.Entry) string {
	var out []string
	for _, e := range journal {
		switch e.Operation {
		case fakeas.Me, fakeas.ListNotes, fakeas.CreateNote:
			out = append(out, fmt.Sprintf("%s %d", e.Operation, e.Status))
		}
	}
	return strings.Join(out, ", ")
}
