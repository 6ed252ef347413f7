package interop_test

import (
	"context"
	"errors"
	"os/exec"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
)

// mcpGo is a host on mcp-go, in this process.
type mcpGo struct{ client *client.Client }

func startMCPGo(ctx context.Context, o hostOptions) (host, error) {
	var capabilities mcp.ClientCapabilities
	options := []client.ClientOption{client.WithProtocolVersion(string(o.era))}
	if o.elicitation {
		// A handler alone would declare {}, which is form mode only.
		capabilities.Elicitation = &mcp.ElicitationCapability{Form: &struct{}{}, URL: &struct{}{}}
		options = append(options, client.WithElicitationHandler(mcpGoPerson(o.prompts)))
	}
	stdio := transport.NewStdioWithOptions(o.command, nil, o.args,
		transport.WithCommandFunc(func(_ context.Context, command string, _, args []string) (*exec.Cmd, error) {
			cmd := exec.Command(command, args...)
			inOwnGroup(cmd)
			return cmd, nil
		}))
	c := client.NewClient(stdio, options...)
	// The transport serves the server's requests under this context for as long
	// as it lives.
	if err := c.Start(context.WithoutCancel(ctx)); err != nil {
		return nil, err
	}
	initialize := mcp.InitializeRequest{Params: mcp.InitializeParams{
		ProtocolVersion: string(o.era),
		ClientInfo:      mcp.Implementation{Name: "interop-mcp-go", Version: "1.0.0"},
		Capabilities:    capabilities,
	}}
	if _, err := c.Initialize(ctx, initialize); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return mcpGo{c}, nil
}

func (h mcpGo) tools(ctx context.Context) (names []string, err error) {
	list, err := h.client.ListTools(ctx, mcp.ListToolsRequest{})
	if err != nil {
		return nil, err
	}
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
	}
	return names, nil
}

func (h mcpGo) call(ctx context.Context, tool string, arguments map[string]any) (result, error) {
	res, err := h.client.CallTool(ctx, mcp.CallToolRequest{
		Params: mcp.CallToolParams{Name: tool, Arguments: arguments},
	})
	if err != nil {
		return result{}, err
	}
	return asResult(res)
}

func (h mcpGo) close() error { return h.client.Close() }

// mcpGoPerson consents to what the host is asked to show.
type mcpGoPerson chan<- prompt

func (p mcpGoPerson) Elicit(_ context.Context, req mcp.ElicitationRequest) (*mcp.ElicitationResult, error) {
	p <- prompt{Mode: req.Params.Mode, Message: req.Params.Message, URL: req.Params.URL}
	return &mcp.ElicitationResult{
		ElicitationResponse: mcp.ElicitationResponse{Action: mcp.ElicitationResponseActionAccept},
	}, nil
}
