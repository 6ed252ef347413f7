package lazyauth

import (
	"bytes"
	"context"
	"encoding/json"
	"runtime"
	"weak"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// install puts the interceptor's middleware around server, once. Servers made
// for one session or request can be collected: nothing here holds them.
func (i *Interceptor) install(server *mcp.Server) {
	key := weak.Make(server)
	if _, done := i.installed.LoadOrStore(key, struct{}{}); done {
		return
	}
	runtime.AddCleanup(server, func(key weak.Pointer[mcp.Server]) { i.installed.Delete(key) }, key)
	server.AddReceivingMiddleware(withReason, withoutNull)
	server.AddSendingMiddleware(redirectProgress)
}

// withReason completes failed results. It has to happen out here: a typed
// handler that returned a result with _meta of its own would put its zero
// output on the wire beside it (seen in go-sdk v1.8.0).
func withReason(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		result, err := next(ctx, method, req)
		if method == "tools/call" && err == nil {
			markReason(result)
		}
		return result, err
	}
}

// withoutNull takes null for the arguments of a tool call as none. The SDK would panic
// where the tool's input schema has a default (seen in go-sdk v1.8.0), and one request
// would end the server.
func withoutNull(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		if call, ok := req.(*mcp.CallToolRequest); ok && isNull(call.Params.Arguments) {
			params := *call.Params
			params.Arguments = nil
			copied := *call
			copied.Params = &params
			req = &copied
		}
		return next(ctx, method, req)
	}
}

func isNull(raw json.RawMessage) bool { return string(bytes.TrimSpace(raw)) == "null" }

// redirectProgress sends the progress of a suspended call to the request that
// serves it now, and drops it while none does: once a request has been
// answered, nothing may be said under its progress token (MCP 2026-07-28
// basic/utilities/progress). In both eras it keeps the progress of a call that waited
// increasing.
func redirectProgress(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		if method != "notifications/progress" {
			return next(ctx, method, req)
		}
		c := callFrom(ctx)
		params, ok := req.GetParams().(*mcp.ProgressNotificationParams)
		if c == nil || !ok {
			return next(ctx, method, req)
		}
		p := c.Progress()
		p.Lock()
		defer p.Unlock()
		serving := c.Request()
		if c.suspended != nil {
			current := c.suspended.current()
			if current == nil {
				return nil, nil
			}
			serving = current.Request
		}
		token := serving.Call.Params.GetProgressToken()
		if token == nil {
			return nil, nil
		}
		redirected := *params
		redirected.ProgressToken = token
		p.Worked(&redirected)
		return next(serving.Ctx, method, &mcp.ServerRequest[mcp.Params]{Session: serving.Call.Session, Params: &redirected})
	}
}
