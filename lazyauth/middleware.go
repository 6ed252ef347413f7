package lazyauth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"weak"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// install puts the interceptor's middleware around server, once. Servers made
// for one session or request can be collected: nothing here holds them.
func (i *Interceptor) install(server *mcp.Server) {
	key := weak.Make(server)
	if _, done := i.installed.LoadOrStore(key, struct{}{}); done {
		return
	}
	installed := weak.Make(i) // which may hold server, by the hooks of a trace for one, and would for ever
	runtime.AddCleanup(server, func(key weak.Pointer[mcp.Server]) {
		if i := installed.Value(); i != nil {
			i.installed.Delete(key)
		}
	}, key)
	server.AddReceivingMiddleware(i.around)
	server.AddSendingMiddleware(redirectProgress)
}

// panicked is the error of a request during which this library or the SDK panicked.
//
//go:noinline
func (i *Interceptor) panicked(ctx context.Context, value any) error {
	const what = "this library or the MCP SDK"
	i.observer.CallbackFailed(ctx, what, guard.Caught(what, value))
	return &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "internal error: the server's log says where"}
}

// around is what we have around all requests of a server. It is one function, since calls
// that wait keep its frame.
//
// It takes null for the arguments of a tool call as none, for which the SDK would panic where
// the tool's input schema has a default (seen in go-sdk v1.8.0), and completes failed results.
// That has to happen out here: a typed handler that returned a result with _meta of its own
// would put its zero output on the wire beside it (seen in go-sdk v1.8.0).
func (i *Interceptor) around(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (result mcp.Result, err error) {
		returned := false
		defer i.recovers(ctx, &returned, &err)
		if call, ok := req.(*mcp.CallToolRequest); ok && isNull(call.Params.Arguments) {
			req = withoutArguments(call)
		}
		result, err = next(ctx, method, req)
		returned = true
		if method == "tools/call" && err == nil {
			markReason(result)
		}
		return result, err
	}
}

// recovers is deferred around what answers a request. Where this library or the SDK panics,
// which on a goroutine of the SDK's would end the server, the request is
// answered with an internal error: typed tools do for arguments that the library of their
// schemas does not bear, for one (go-sdk v1.8.0, null). A panic of a handler, or of other
// middleware, is not touched: it goes on to what recovers it, or to the end that its author
// meant.
func (i *Interceptor) recovers(ctx context.Context, returned *bool, err *error) {
	if !*returned && guard.IsOurs() {
		*err = i.panicked(ctx, recover())
	}
}

// guarded is middleware of ours around handle: see recovers.
func (i *Interceptor) guarded(handle mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (result mcp.Result, err error) {
		returned := false
		defer i.recovers(ctx, &returned, &err)
		result, err = handle(ctx, method, req)
		returned = true
		return result, err
	}
}

//go:noinline
func withoutArguments(call *mcp.CallToolRequest) *mcp.CallToolRequest {
	params := *call.Params
	params.Arguments = nil
	copied := *call
	copied.Params = &params
	return &copied
}

// isNull says whether raw is JSON's null, in whatever JSON takes for white space (RFC 8259 §2).
func isNull(raw json.RawMessage) bool { return string(bytes.Trim(raw, " \t\n\r")) == "null" }

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
		if !p.Lock() {
			return nil, errNotRead
		}
		serving := c.Request()
		if c.suspended != nil {
			current := c.suspended.current()
			if current == nil {
				p.Unlock()
				return nil, nil
			}
			serving = current.Request
		}
		token := serving.Call.Params.GetProgressToken()
		if token == nil {
			p.Unlock()
			return nil, nil
		}
		redirected := *params
		redirected.ProgressToken = token
		p.Worked(&redirected)
		failed := make(chan error, 1) // of a notification there is no result
		if !p.Send(func() {
			_, err := next(serving.Ctx, method, &mcp.ServerRequest[mcp.Params]{Session: serving.Call.Session, Params: &redirected})
			failed <- err
		}) {
			return nil, errNotRead
		}
		select {
		case err := <-failed:
			return nil, err
		default: // it panicked
			return nil, errNotRead
		}
	}
}

// errNotRead is what a handler's progress comes to on a host that reads nothing.
var errNotRead = errors.New("lazyauth: the host does not read its progress messages")
