package interop_test

import (
	"cmp"
	"context"
	"errors"
	"os/exec"
	"sync/atomic"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// goSDK is a host on the Go SDK, in this process.
type goSDK struct {
	session *mcp.ClientSession
	reach   reach
	calls   *atomic.Int64
}

func startGoSDK(ctx context.Context, o hostOptions) (host, error) {
	options := &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{},
		// Following the list makes subscriptions/listen the first message.
		ToolListChangedHandler: func(context.Context, *mcp.ToolListChangedRequest) {},
	}
	if o.reach == byURL {
		// A handler alone declares form mode only.
		options.Capabilities.Elicitation = &mcp.ElicitationCapabilities{
			Form: &mcp.FormElicitationCapabilities{}, URL: &mcp.URLElicitationCapabilities{},
		}
	}
	if o.reach.elicits() {
		options.ElicitationHandler = func(ctx context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			p := prompt{Mode: req.Params.Mode, Message: req.Params.Message, URL: req.Params.URL}
			return &mcp.ElicitResult{Action: o.answer(ctx, p)}, nil
		}
	}
	options.ProgressNotificationHandler = func(_ context.Context, req *mcp.ProgressNotificationClientRequest) {
		o.prompts <- prompt{Mode: "progress", Message: req.Params.Message}
	}
	client := mcp.NewClient(&mcp.Implementation{Name: cmp.Or(o.name, "interop-go-sdk"), Version: "1.0.0"}, options)
	command := exec.Command(o.command, o.args...)
	inOwnGroup(command)
	session, err := client.Connect(ctx, &mcp.CommandTransport{Command: command, TerminateDuration: grace},
		&mcp.ClientSessionOptions{ProtocolVersion: string(o.era)})
	if err != nil {
		return nil, err
	}
	return goSDK{session, o.reach, new(atomic.Int64)}, nil
}

func (h goSDK) tools(ctx context.Context) (names []string, err error) {
	for tool, err := range h.session.Tools(ctx, nil) {
		if err != nil {
			return nil, err
		}
		names = append(names, tool.Name)
	}
	return names, nil
}

func (h goSDK) call(ctx context.Context, tool string, arguments map[string]any) (result, error) {
	params := &mcp.CallToolParams{Name: tool, Arguments: arguments}
	if h.reach == byProgress {
		params.SetProgressToken(h.calls.Add(1))
	}
	res, err := h.session.CallTool(ctx, params)
	if e, ok := errors.AsType[*jsonrpc.Error](err); ok {
		return result{}, &protocolError{int(e.Code), e.Message}
	}
	if err != nil {
		return result{}, err
	}
	return asResult(res)
}

func (h goSDK) close() error { return h.session.Close() }
