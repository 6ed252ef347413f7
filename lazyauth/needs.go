package lazyauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// AddToolWithNeeds registers a tool as [AddTool] does whose need depends on the arguments of
// each call. It panics where AddTool does, and if there is anything wrong with needs.
//
// Arguments are validated first, then needs.Of is called, and then the person is asked, once,
// for what is missing of that very need. Where Of fails nobody is asked and no handler runs:
// the call ends with [ReasonUndetermined], and the text of Of's own error is in the result, for
// the model to mend its arguments; a log has its type alone, since it may quote them. So it is, as a fault of the
// server, where Of panics, takes longer than 2 seconds, or returns a need with scopes that none of
// scopes.Needs.Possible has. What challenges may ask for is bounded by all of Possible, whatever the
// arguments.
//
// Hosts are told of each possible need as one that a call may have, and by [MetaNeedsVary] that
// it depends.
func AddToolWithNeeds[In, Out any](server *mcp.Server, auth *Interceptor, tool *mcp.Tool, needs scopes.Needs[In], handler mcp.ToolHandlerFor[In, Out]) {
	if err := needs.Check(); err != nil {
		panic(fmt.Sprintf("lazyauth.AddToolWithNeeds: tool %q: %v", tool.Name, err))
	}
	gates := newGates(auth, tool.Name, needs)
	register(server, auth, gates.tell(tool), gates.of, handler)
}

// MetaNeedsVary is the key in a tool's _meta that says, by true, that what a call needs depends
// on its arguments: each entry of [MetaSecuritySchemes] then suffices for some calls, and
// not for all.
const MetaNeedsVary = "io.github.lazyauth/needs-vary"

// needsWait is how long the function of a tool's needs may take.
const needsWait = 2 * time.Second

// maxGates is how many needs of one tool have a gate that is kept. Arguments may make up more.
const maxGates = 64

// gates are those of a tool whose need depends on the arguments of a call: one for each need,
// so that each remembers the grant that covers it.
type gates[In any] struct {
	auth  *Interceptor
	tool  string
	what  string // the function is, for the trace
	needs scopes.Needs[In]

	mu   sync.Mutex
	kept map[scopes.Requirement]*gate
}

// newGates also notes that the tool is gated, and all that its calls can need, as newGate does.
func newGates[In any](auth *Interceptor, tool string, needs scopes.Needs[In]) *gates[In] {
	auth.raiseLimit(scopes.Ceiling(needs.Possible...))
	auth.gated.Store(tool, struct{}{})
	return &gates[In]{auth: auth, tool: tool, what: "the needs of " + tool, needs: needs, kept: make(map[scopes.Requirement]*gate)}
}

// tell returns a copy of tool that says what its calls can need.
func (g *gates[In]) tell(tool *mcp.Tool) *mcp.Tool {
	told := withScopes(tool, g.needs.Possible...)
	told.Meta[MetaNeedsVary] = true
	return told
}

// of returns the gate of a call with these arguments, or why it has none.
func (g *gates[In]) of(ctx context.Context, req *mcp.CallToolRequest, in In) (*gate, error) {
	need, err := guard.Await(ctx, g.auth.late, g.what, needsWait, func(context.Context) (scopes.Requirement, error) {
		return g.needs.For(in)
	})
	if err == nil {
		return g.gate(need), nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, g.undetermined(ctx, req, err)
}

// ofRaw is of for a call that is intercepted, whose arguments are held against the tool's input
// schema first, and given as they were sent, with its defaults.
func ofRaw(ctx context.Context, g *gates[json.RawMessage], next mcp.MethodHandler, req *mcp.CallToolRequest) (*gate, error) {
	tool, err := listed(ctx, next, req)
	if err != nil {
		return nil, err
	}
	if tool == nil {
		return nil, g.undetermined(ctx, req, errSchema)
	}
	warnOfArgument(g.auth, tool.Name, tool.InputSchema)
	values, err := satisfies(req.Params.Arguments, tool)
	if errors.Is(err, errSchema) {
		return nil, g.undetermined(ctx, req, err)
	}
	if err != nil {
		return nil, err
	}
	arguments, err := completed(req.Params.Arguments, values)
	if err != nil {
		return nil, err
	}
	return g.of(ctx, req, arguments)
}

// undetermined is the error of a call whose need is not known.
func (g *gates[In]) undetermined(ctx context.Context, req *mcp.CallToolRequest, err error) error {
	p, _, anonymous := g.auth.person(ctx, req)
	if anonymous != nil {
		return denialOf(g.auth, req, anonymous)
	}
	// What the function says is the model's to read, and may quote what the model wrote: a log
	// has none of it.
	e := g.auth.fail(ReasonUndetermined, err)
	switch {
	case guard.IsMishap(err):
		g.auth.observer.CallbackFailed(ctx, g.what, err)
	case !errors.Is(err, scopes.ErrNeeds) && !errors.Is(err, errSchema):
		e.detail = shortened(err.Error(), maxDetail)
		e.Cause = fmt.Errorf("lazyauth: %s: the function returned an error of type %T, whose text the model has", g.what, err)
	}
	g.auth.observer.failed(ctx, p.Who(), g.tool, e.Reason, e.Cause)
	return e
}

// gate returns the gate of a need.
func (g *gates[In]) gate(need scopes.Requirement) *gate {
	g.mu.Lock()
	defer g.mu.Unlock()
	if kept := g.kept[need]; kept != nil {
		return kept
	}
	fresh := &gate{Gate: grants.Gate{Need: need}, auth: g.auth, tool: g.tool}
	if len(g.kept) < maxGates {
		g.kept[need] = fresh
	}
	return fresh
}

// maxDetail is how much of an author's error goes into a result.
const maxDetail = 1000

// shortened returns the beginning of a text, in UTF-8.
func shortened(text string, most int) string {
	if len(text) > most {
		text = text[:most] + "…"
	}
	return strings.ToValidUTF8(text, "")
}
