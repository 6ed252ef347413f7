// Command quickstart shows lazyauth with nothing to configure: it starts an
// authorization server on this machine, starts examples/stdio as an MCP host
// would, and is that host, in the terminal. The first call needs a sign-in;
// you approve it in a browser, and that same call goes on.
//
//	go run ./examples/quickstart
//	go run ./examples/quickstart -flow redirect
//
// The first signs in with a code, the second with a link that leads the browser
// back to the server.
// It needs Go and nothing else, and leaves nothing behind.
package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/examples/internal/demo"
)

// serverPackage is what a host would be configured to run.
const serverPackage = "github.com/lazyauth/mcp-lazyauth/examples/stdio"

var quickstart = demo.Command{
	Name: "quickstart",
	Does: "shows a tool call that signs its user in and then goes on.",
	Tell: tell,
}

func main() { quickstart.Main() }

// tell tells the story; an error is the step that did not work.
func tell(ctx context.Context, s *demo.Stage) error {
	s.Title("1. An authorization server and an API, on this machine only")
	s.Line("listening on %s", s.AS.Address)

	s.Title("2. The MCP server examples/stdio, started as a host does")
	host, err := s.StartHost(ctx, serverPackage)
	if err != nil {
		return err
	}
	s.Line("It speaks MCP %s. Its tools, listed before anybody has signed in:", s.Protocol)
	if err := host.ListTools(ctx); err != nil {
		return err
	}

	s.Title("3. A call that needs a sign-in")
	if _, err := host.Call(ctx, "create_note", map[string]string{"text": "Try lazyauth"}); err != nil {
		return err
	}
	if n := len(s.User.Asked()); n != 1 {
		return fmt.Errorf("the user was asked %d times, not once", n)
	}
	s.Line("That is the answer to the very call that waited for you.")

	s.Title("4. Another call: nobody is asked again")
	if _, err := host.Call(ctx, "whoami", map[string]string{}); err != nil {
		return err
	}
	if n := len(s.User.Asked()); n != 1 {
		return errors.New("the user was asked a second time")
	}

	s.Title("5. What the authorization server says about its client")
	if violations := s.AS.Violations(); len(violations) > 0 {
		return fmt.Errorf("the client broke a rule: %v", violations[0])
	}
	if s.Flow == "redirect" {
		s.Line("codes exchanged for a token: %d; rules of RFC 6749 and 7636 broken: none", s.AS.Count(fakeas.Exchange, fakeas.OK))
		return nil
	}
	s.Line("polls until the approval: %d; rules of RFC 8628 broken: none", s.AS.Count(fakeas.Poll, ""))
	return nil
}
