// Command gosdk is a host on the client of the Go SDK. It declares what it can
// show, and leaves to the SDK all that the SDK decides.
package main

import (
	"context"
	"log"
	"os/exec"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/screen"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	s, err := screen.Open(ctx)
	if err != nil {
		return err
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "gosdk-host", Version: "1.0.0"}, &mcp.ClientOptions{
		// A handler alone would declare form mode alone.
		Capabilities: &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{
			Form: &mcp.FormElicitationCapabilities{}, URL: &mcp.URLElicitationCapabilities{},
		}},
		ElicitationHandler: func(ctx context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			action, err := s.Ask(ctx, req.Params.Mode, req.Params.Message, req.Params.URL)
			if err != nil {
				return nil, err
			}
			return &mcp.ElicitResult{Action: action}, nil
		},
	})
	session, err := client.Connect(ctx, transport(ctx, s.Task.Server), nil)
	if err != nil {
		return err
	}
	defer func() { _ = session.Close() }() // the record has how the server ended
	var offered []string
	for tool, err := range session.Tools(ctx, nil) {
		if err != nil {
			return err
		}
		offered = append(offered, tool.Name)
	}
	s.Offer(offered)
	s.Do(ctx, func(ctx context.Context, c hostcheck.Call) (string, bool, error) {
		res, err := session.CallTool(ctx, &mcp.CallToolParams{Name: c.Tool, Arguments: c.Arguments})
		if err != nil {
			return "", true, err
		}
		return text(res), res.IsError, nil
	})
	return nil
}

func transport(ctx context.Context, server hostcheck.Server) mcp.Transport {
	if server.URL != "" {
		return &mcp.StreamableClientTransport{Endpoint: server.URL}
	}
	return &mcp.CommandTransport{Command: exec.CommandContext(ctx, server.Command[0], server.Command[1:]...)} //nolint:gosec // as the task says
}

func text(res *mcp.CallToolResult) string {
	var b strings.Builder
	for _, content := range res.Content {
		if t, ok := content.(*mcp.TextContent); ok {
			b.WriteString(t.Text)
		}
	}
	return b.String()
}
