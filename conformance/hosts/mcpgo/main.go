// Command mcpgo is a host on the client of mcp-go. It declares what it can
// show, and leaves to the library all that the library decides.
package main

import (
	"context"
	"log"
	"strings"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

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
	way, err := reach(s.Task.Server)
	if err != nil {
		return err
	}
	c := client.NewClient(way, client.WithElicitationHandler(person{s}))
	if err := c.Start(ctx); err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // the record has how the server ended
	_, err = c.Initialize(ctx, mcp.InitializeRequest{Params: mcp.InitializeParams{
		ProtocolVersion: mcp.LATEST_PROTOCOL_VERSION,
		ClientInfo:      mcp.Implementation{Name: "mcpgo-host", Version: "1.0.0"},
		// A handler alone would declare {}, which is form mode alone.
		Capabilities: mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapability{Form: &struct{}{}, URL: &struct{}{}}},
	}})
	if err != nil {
		return err
	}
	list, err := c.ListTools(ctx, mcp.ListToolsRequest{})
	if err != nil {
		return err
	}
	var offered []string
	for _, tool := range list.Tools {
		offered = append(offered, tool.Name)
	}
	s.Offer(offered)
	s.Do(ctx, func(ctx context.Context, call hostcheck.Call) (string, bool, error) {
		res, err := c.CallTool(ctx, mcp.CallToolRequest{Params: mcp.CallToolParams{Name: call.Tool, Arguments: call.Arguments}})
		if err != nil {
			return "", true, err
		}
		return text(res), res.IsError, nil
	})
	return nil
}

func reach(server hostcheck.Server) (transport.Interface, error) {
	if server.URL != "" {
		return transport.NewStreamableHTTP(server.URL)
	}
	return transport.NewStdio(server.Command[0], nil, server.Command[1:]...), nil
}

// person answers prompts.
type person struct{ *screen.Screen }

func (p person) Elicit(ctx context.Context, req mcp.ElicitationRequest) (*mcp.ElicitationResult, error) {
	action, err := p.Ask(ctx, req.Params.Mode, req.Params.Message, req.Params.URL)
	if err != nil {
		return nil, err
	}
	return &mcp.ElicitationResult{
		ElicitationResponse: mcp.ElicitationResponse{Action: mcp.ElicitationResponseAction(action)},
	}, nil
}

func text(res *mcp.CallToolResult) string {
	var b strings.Builder
	for _, content := range res.Content {
		if t, ok := content.(mcp.TextContent); ok {
			b.WriteString(t.Text)
		}
	}
	return b.String()
}
