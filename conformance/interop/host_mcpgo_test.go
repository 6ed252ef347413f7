package interop_test

import (
	"cmp"
	"context"
	"errors"
	"os/exec"
	"sync/atomic"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
)

// mcpGo is a host on mcp-go, in this process.
type mcpGo struct {
	client *client.Client
	reach  reach
	calls  *atomic.Int64
}

func startMCPGo(ctx context.Context, o hostOptions) (host, error) {
	var capabilities mcp.ClientCapabilities
	// By itself it takes a server that has not answered in five seconds for one of the legacy era.
	options := []client.ClientOption{client.WithProtocolVersion(string(o.era)), client.WithDiscoverTimeout(patience)}
	if o.reach == byURL {
		// A handler alone declares {}, which is form mode only.
		capabilities.Elicitation = &mcp.ElicitationCapability{Form: &struct{}{}, URL: &struct{}{}}
	}
	if o.reach.elicits() {
		options = append(options, client.WithElicitationHandler(mcpGoPerson(o)))
	}
	stdio := transport.NewStdioWithOptions(o.command, nil, o.args,
		transport.WithCommandFunc(func(_ context.Context, command string, _, args []string) (*exec.Cmd, error) {
			cmd := exec.Command(command, args...)
			inOwnGroup(cmd)
			return cmd, nil
		}))
	c := client.NewClient(stdio, options...)
	c.OnNotification(func(n mcp.JSONRPCNotification) {
		if n.Method == "notifications/progress" {
			message, _ := n.Params.AdditionalFields["message"].(string)
			o.prompts <- prompt{Mode: "progress", Message: message}
		}
	})
	// The transport serves the server's requests under this context for as long
	// as it lives.
	if err := c.Start(context.WithoutCancel(ctx)); err != nil {
		return nil, err
	}
	initialize := mcp.InitializeRequest{Params: mcp.InitializeParams{
		ProtocolVersion: string(o.era),
		ClientInfo:      mcp.Implementation{Name: cmp.Or(o.name, "interop-mcp-go"), Version: "1.0.0"},
		Capabilities:    capabilities,
	}}
	if _, err := c.Initialize(ctx, initialize); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return mcpGo{c, o.reach, new(atomic.Int64)}, nil
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
	params := mcp.CallToolParams{Name: tool, Arguments: arguments}
	if h.reach == byProgress {
		params.Meta = &mcp.Meta{ProgressToken: h.calls.Add(1)}
	}
	res, err := h.client.CallTool(ctx, mcp.CallToolRequest{Params: params})
	if errors.Is(err, mcp.ErrInvalidParams) { // it tells no code but by such errors
		return result{}, &protocolError{mcp.INVALID_PARAMS, err.Error()}
	}
	if err != nil {
		return result{}, err
	}
	return asResult(res)
}

func (h mcpGo) close() error { return h.client.Close() }

// mcpGoPerson answers what the host is asked to show.
type mcpGoPerson hostOptions

func (o mcpGoPerson) Elicit(ctx context.Context, req mcp.ElicitationRequest) (*mcp.ElicitationResult, error) {
	action := hostOptions(o).answer(ctx, prompt{Mode: req.Params.Mode, Message: req.Params.Message, URL: req.Params.URL})
	return &mcp.ElicitationResult{
		ElicitationResponse: mcp.ElicitationResponse{Action: mcp.ElicitationResponseAction(action)},
	}, nil
}
