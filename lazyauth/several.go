package lazyauth

import (
	"context"
	"errors"
	"net/http"

	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

// Also has a tool need a second service's grant: it returns a handler that runs once there is
// one of auth's, too, which covers need. It panics if need is nil. tool is the tool's name, for
// the trace. What it returns is for [AddTool] and [AddToolWithNeeds] with another interceptor, or
// for a further Also:
//
//	lazyauth.AddTool(server, mail, tool, scopes.Of("mail.read"),
//		lazyauth.Also(notes, tool.Name, scopes.Of("notes:write"), saveMail))
//
// The person is asked for one after the other, each in a prompt of its own, before handler runs;
// handler then gets each grant from its own interceptor ([Interceptor.Client]), whose challenges
// are dealt with as ever. [Client], [TokenSource], [Require] and [RejectToken] of the package refuse
// there, since they could mean either. A tool that is in the policies of two interceptors
// ([Interceptor.Intercept]) is the same.
//
// Hosts are told of the scopes that AddTool was given, and not of need.
func Also[In, Out any](auth *Interceptor, tool string, need scopes.Requirement, handler mcp.ToolHandlerFor[In, Out]) mcp.ToolHandlerFor[In, Out] {
	if need == nil {
		panic("lazyauth.Also: a nil requirement for tool " + tool + "; an empty scopes.Set stands for any grant")
	}
	g := auth.newGate(tool, need)
	return func(ctx context.Context, req *mcp.CallToolRequest, in In) (*mcp.CallToolResult, Out, error) {
		var none Out
		c, err := join(ctx, g, req)
		if err != nil {
			return nil, none, err
		}
		result, output, err := handler(c, req, in)
		result, err = c.lost().into(result, err)
		return result, output, err
	}
}

// join returns a further call of the request that ctx's call is of, which has passed this gate. It is that call's in all but gate, person and grant: it waits for the person as the
// handler of that one would, so that one request shows one prompt at a time, and ends with it.
func join(ctx context.Context, g *gate, req *mcp.CallToolRequest) (*call, error) {
	first := callFrom(ctx)
	if first == nil {
		return nil, errNoCall
	}
	p, in, err := g.person(ctx, req)
	if err != nil {
		return nil, err
	}
	arrived := first.gate.auth.epoch.Add(first.arrived).Sub(g.auth.epoch)
	c := &call{Context: ctx, person: p, standIn: in, gate: g, req: req, arrived: arrived, suspended: first.suspended, joins: true}
	if !c.holder().Authorizes(&g.Gate) {
		if _, err := c.authorize(ctx, g.Need); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// runJoined has a request that another interceptor's gate has let through pass this one, too.
func runJoined(ctx context.Context, g *gate, req *mcp.CallToolRequest, next func(context.Context) (mcp.Result, error)) (mcp.Result, error) {
	c, err := join(ctx, g, req)
	if err != nil {
		return refused(req, err)
	}
	result, err := next(c)
	called, ok := result.(*mcp.CallToolResult)
	if !ok && err == nil { // some other middleware's
		return result, nil
	}
	if called, err = c.lost().into(called, err); err != nil {
		return refused(req, err)
	}
	markReason(called)
	return called, nil
}

// hasJoinable reports whether ctx is of a call of another interceptor than i, which one of i's can
// join. What an interceptor's policy has for tools that it does not list is no word that its
// grant is needed.
func hasJoinable(ctx context.Context, i *Interceptor) bool {
	c := callFrom(ctx)
	return c != nil && !c.gate.onUse && c.gate.auth != i
}

// callOf returns i's call that ctx belongs to.
func callOf(ctx context.Context, i *Interceptor) (*call, error) {
	if c, ok := ctx.(*call); ok && c.gate.auth == i {
		return c, nil
	}
	if c, ok := ctx.Value(i).(*call); ok { // see call.Value
		return c, nil
	}
	return nil, errNotOf
}

// theCall returns the call that ctx belongs to, if that has the grant of one service.
func theCall(ctx context.Context) (*call, error) {
	switch c := callFrom(ctx); {
	case c == nil:
		return nil, errNoCall
	case c.joins:
		return nil, errSeveral
	default:
		return c, nil
	}
}

var (
	// errSeveral is what Client and TokenSource report in a call with the grants of several services.
	errSeveral = errors.New("lazyauth: the call has grants of several services: ask the one that is meant, by Interceptor.Client and its like")
	// errNotOf is what those of an interceptor report in a call that has no grant of its service.
	errNotOf = errors.New("lazyauth: the context does not come from a tool that was registered with this interceptor")
)

// Client returns an HTTP client as the function [Client] does, for the grant of i's service, where
// a call can have those of several ([Also]). Outside of a call of a tool that was
// registered with i every request of the client fails.
func (i *Interceptor) Client(ctx context.Context) *http.Client {
	return clientOf(callOf(ctx, i))
}

// TokenSource returns a source as the function [TokenSource] does, for the grant of i's service.
// Outside of a call of a tool that was registered with i, Token returns an error.
func (i *Interceptor) TokenSource(ctx context.Context) oauth2.TokenSource {
	return sourceOf(callOf(ctx, i))
}

// Require makes sure, as the function [Require] does, that the grant of i's service covers need.
func (i *Interceptor) Require(ctx context.Context, need scopes.Requirement) error {
	c, err := callOf(ctx, i)
	if err == nil {
		_, err = c.authorize(ctx, need)
	}
	return err
}

// RejectToken says, as the function [RejectToken] does, that the API of i's service does not
// accept the token.
func (i *Interceptor) RejectToken(ctx context.Context, refused *oauth2.Token) error {
	c, err := callOf(ctx, i)
	if err != nil {
		return err
	}
	return reject(ctx, c, refused)
}

// sourceOf returns the source of a call's token.
func sourceOf(c *call, err error) oauth2.TokenSource {
	if err != nil {
		return noCall{err}
	}
	return c
}
