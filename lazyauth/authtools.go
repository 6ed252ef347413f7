package lazyauth

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"weak"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// AuthTools are the settings of [AddAuthTools]. The zero value, and nil, mean the defaults given
// with each field.
type AuthTools struct {
	// Login, Status, Logout and UpgradeScope are the tools' names, for a server with two
	// services, say. Empty means those of SEP-2059: "auth_login", "auth_status", "auth_logout"
	// and "auth_upgrade_scope". "-" leaves a tool out.
	Login, Status, Logout, UpgradeScope string
	// Scopes is what Login asks for whose caller names none, beside [Service].Scopes: naming what
	// all tools need spares the person further sign-ins, and has them grant what they may never
	// use. None means that tools ask for the rest when they are called. They are, like what tools
	// declare, within the limit of what challenges of the API may ask for.
	Scopes scopes.Set
	// HideUntilSignIn leaves the tools that need a grant out of tools/list until the caller has
	// one, and tells their session of each change (notifications/tools/list_changed): after a
	// sign-in, a logout, the end of a grant that cannot be renewed, or its loss. A host over HTTP
	// that keeps no stream open is told in the response to its next call. It does so up to protocol
	// revision 2025-11-25 alone, in sessions to which the server declares tools.listChanged; from
	// 2026-07-28 on a list must not vary as a side effect of other requests, and all tools are
	// listed. It hides names and protects nothing: a call of a tool that is not listed asks for a
	// sign-in as ever. [Options].Principal and [Options].Account, if set, are called for lists
	// with a request that names no tool, and Options.Store is read.
	HideUntilSignIn bool

	// InsecureAnyScopes lets callers ask for any scopes, and not only for those that tools
	// declare, [Service].Scopes, Scopes and [Options].MaxScopes name, or that these imply. A
	// model that was talked into it then has its user asked to grant what no tool of this server
	// needs, and whatever gets hold of the token has that.
	InsecureAnyScopes bool
	// InsecureAskAfterDecline has Login and UpgradeScope ask a person again who declined within
	// the last minute, or was asked in vain. It is for hosts that have their user confirm each
	// call: elsewhere a model can nag until somebody approves to be left in peace.
	InsecureAskAfterDecline bool
}

// AddAuthTools registers tools by which a model, or a host, signs its user in to auth's service
// before anything needs it, tells how that stands, logs them out, and asks for more scopes
// (SEP-2059 §3, §8.2). The tools that need a grant go on asking when they are called; see
// [AuthTools].HideUntilSignIn for a list that shows them after the sign-in alone. Call it once for each
// service of a server.
//
// A sign-in by these tools is one as any other: there is one at a time for each person, the
// calls that wait for it go on with it, and a person who declined is left alone for a minute,
// since a call is a model's wish; see [AddSignInPrompt] for what is the person's. Each tool
// works for its caller, and no other.
//
// What each returns as structured content is in docs/explicit.md. A tool of one of these names that
// the server has from mcp.AddTool is replaced, without a word.
//
// It panics if a name stands for two tools, is that of another service's on this server or of a
// tool that was registered with auth, or if HideUntilSignIn is set and Login left out.
func AddAuthTools(server *mcp.Server, auth *Interceptor, o *AuthTools) {
	t := &authTools{auth: auth}
	if o != nil {
		t.options = *o
	}
	names := []*string{&t.options.Login, &t.options.Status, &t.options.Logout, &t.options.UpgradeScope}
	for n, name := range []string{"auth_login", "auth_status", "auth_logout", "auth_upgrade_scope"} {
		*names[n] = cmp.Or(*names[n], name)
	}
	if t.options.HideUntilSignIn && !t.options.has(t.options.Login) {
		panic("lazyauth.AddAuthTools: AuthTools has HideUntilSignIn without Login: nobody could find the way to a hidden tool")
	}
	reserve(server, auth, names)
	auth.newGate("", t.options.Scopes) // counts for what may be asked for
	auth.install(server)
	t.add(server, t.loginTool(), t.login)
	t.add(server, t.statusTool(), t.status)
	t.add(server, t.logoutTool(), t.logout)
	t.add(server, t.upgradeTool(), t.upgrade)
	server.AddReceivingMiddleware(t.nameScopes)
	if t.options.HideUntilSignIn {
		hide(server, auth)
	}
}

// has reports whether there is a tool of this name.
func (o *AuthTools) has(name string) bool { return name != "-" }

// authTools are the tools of one interceptor on one server.
type authTools struct {
	auth    *Interceptor
	options AuthTools // with all names
}

// add registers a tool, unless it is left out.
func (t *authTools) add(server *mcp.Server, tool *mcp.Tool, handler mcp.ToolHandler) {
	if !t.options.has(tool.Name) {
		return
	}
	t.auth.tools.Store(tool.Name, struct{}{}) // no policy gates it
	schema := tool.InputSchema.(*jsonschema.Schema)
	if name := t.auth.argument; name != "" {
		schema.Properties[name] = &jsonschema.Schema{
			Type: "string", Description: fmt.Sprintf("Which of the user's accounts at %s is meant; leave it out where they have one", t.auth.service.Name),
		}
		schema.PropertyOrder = append(schema.PropertyOrder, name)
	}
	server.AddTool(tool, func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		if _, err := satisfies(req.Params.Arguments, tool); err != nil {
			return errorResult(req, err), nil
		}
		return handler(ctx, req)
	})
}

// object returns the schema of an object with these properties and no others.
func object(properties map[string]*jsonschema.Schema) *jsonschema.Schema {
	if properties == nil {
		properties = make(map[string]*jsonschema.Schema)
	}
	return &jsonschema.Schema{Type: "object", Properties: properties, AdditionalProperties: &jsonschema.Schema{Not: &jsonschema.Schema{}}}
}

// outputSchema returns the schema of a result's structured content.
func outputSchema[Out any]() *jsonschema.Schema {
	schema, err := jsonschema.For[Out](nil)
	if err != nil {
		panic(err) // of a type of ours
	}
	return schema
}

// told is an error in words for a model.
type told string

func (t told) Error() string { return string(t) }

// reservations are the names of auth tools on each server, so that those of one service do not
// take the place of another's, which the SDK lets happen without a word.
var reservations struct {
	mu    sync.Mutex
	names map[weak.Pointer[mcp.Server]]map[string]string // of the service
}

// reserve panics if one of the names is taken.
func reserve(server *mcp.Server, auth *Interceptor, names []*string) {
	key, all := weak.Make(server), &reservations
	all.mu.Lock()
	defer all.mu.Unlock()
	taken := all.names[key]
	if taken == nil {
		taken = make(map[string]string)
		if all.names == nil {
			all.names = make(map[weak.Pointer[mcp.Server]]map[string]string)
		}
		all.names[key] = taken
		runtime.AddCleanup(server, func(key weak.Pointer[mcp.Server]) {
			all.mu.Lock()
			defer all.mu.Unlock()
			delete(all.names, key)
		}, key)
	}
	for n, name := range names {
		switch other := taken[*name]; {
		case *name == "-":
		case slices.ContainsFunc(names[:n], func(earlier *string) bool { return *earlier == *name }):
			panic(fmt.Sprintf("lazyauth.AddAuthTools: AuthTools has the name %q twice", *name))
		case other != "":
			panic(fmt.Sprintf("lazyauth.AddAuthTools: the server has the tool %q of %s already: name that of %s differently, in AuthTools", *name, other, auth.service.Name))
		}
		if _, own := auth.tools.Load(*name); own && *name != "-" {
			panic(fmt.Sprintf("lazyauth.AddAuthTools: there is a tool %q already: name this one differently, in AuthTools", *name))
		}
	}
	for _, name := range names {
		if *name != "-" {
			taken[*name] = auth.service.Name
		}
	}
}
