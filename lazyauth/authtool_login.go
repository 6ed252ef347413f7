package lazyauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/lazyauth/mcp-lazyauth/internal/names"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// maxWanted is how many scopes a caller can ask for.
const maxWanted = 100

func (t *authTools) loginTool() *mcp.Tool {
	return &mcp.Tool{
		Name:  t.options.Login,
		Title: "Sign in to " + t.auth.service.Name,
		Description: fmt.Sprintf("Sign the user in to %s, which shows them a link, and waits until they have finished in the browser."+
			" Asks nobody if they are signed in already. Tools that need %[1]s ask the user by themselves when they are called; use this one when the user wants to sign in first, or when no tool for the task is listed.", t.auth.service.Name),
		InputSchema:  object(map[string]*jsonschema.Schema{"scopes": scopeList("What the user is asked to grant. Leave it out for the usual")}),
		OutputSchema: outputSchema[signInOutput](),
		Annotations:  &mcp.ToolAnnotations{DestructiveHint: new(bool), IdempotentHint: true},
	}
}

func (t *authTools) upgradeTool() *mcp.Tool {
	schema := object(map[string]*jsonschema.Schema{"scopes": scopeList("What is needed, beside what was granted")})
	schema.Required = []string{"scopes"}
	return &mcp.Tool{
		Name:  t.options.UpgradeScope,
		Title: "Ask for more access to " + t.auth.service.Name,
		Description: fmt.Sprintf("Ask the user to grant further scopes at %s, beside those that they have granted, which shows them a link, and waits until they have finished in the browser."+
			" Tools ask for what they need by themselves when they are called; use this one only for what a result said is missing, or what the user wants to grant beforehand.", t.auth.service.Name),
		InputSchema:  schema,
		OutputSchema: outputSchema[signInOutput](),
		Annotations:  &mcp.ToolAnnotations{DestructiveHint: new(bool), IdempotentHint: true},
	}
}

// scopeList returns the schema of an argument that names scopes.
func scopeList(description string) *jsonschema.Schema {
	most := maxWanted
	return &jsonschema.Schema{Type: "array", Items: &jsonschema.Schema{Type: "string"}, MaxItems: &most, Description: description}
}

// nameScopes is middleware that has the listed tools say which scopes can be asked for.
// They are known when the tools are listed, and not before.
func (t *authTools) nameScopes(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		result, err := next(ctx, method, req)
		list, ok := result.(*mcp.ListToolsResult)
		if err != nil || !ok || t.options.InsecureAnyScopes {
			return result, err
		}
		for n, tool := range list.Tools {
			schema, ok := tool.InputSchema.(*jsonschema.Schema)
			if ok && t.options.has(tool.Name) && slices.Contains([]string{t.options.Login, t.options.UpgradeScope}, tool.Name) && hasScopeList(schema) {
				copied := *tool
				copied.InputSchema = withScopeNames(schema, t.auth.ceiling())
				list.Tools[n] = &copied
			}
		}
		return list, nil
	}
}

// hasScopeList reports whether the schema is of a tool of ours: the program may have put another
// one in its place since.
func hasScopeList(schema *jsonschema.Schema) bool {
	list := schema.Properties["scopes"]
	return list != nil && list.Items != nil
}

// withScopeNames returns a copy of the schema whose scopes are some of those.
func withScopeNames(schema *jsonschema.Schema, all scopes.Set) *jsonschema.Schema {
	copied := schema.CloneSchemas()
	items := copied.Properties["scopes"].Items
	for name := range all.All() {
		items.Enum = append(items.Enum, name)
	}
	return copied
}

// login implements the tool.
func (t *authTools) login(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	wanted, err := t.wanted(req)
	if err != nil {
		return errorResult(req, denialOf(t.auth, req, err)), nil
	}
	if wanted.IsEmpty() {
		wanted = t.options.Scopes
	}
	return t.signIn(ctx, req, wanted)
}

// upgrade implements the tool.
func (t *authTools) upgrade(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	wanted, err := t.wanted(req)
	if err == nil && wanted.IsEmpty() {
		err = errors.New("name the scopes that are needed: with none there is nothing to ask for")
	}
	if err != nil {
		return errorResult(req, denialOf(t.auth, req, err)), nil
	}
	return t.signIn(ctx, req, wanted)
}

// wanted returns the scopes that a call asks for, if it may.
func (t *authTools) wanted(req *mcp.CallToolRequest) (scopes.Set, error) {
	var in struct {
		Scopes []string `json:"scopes"`
	}
	var wanted scopes.Set
	if len(req.Params.Arguments) > 0 {
		if err := json.Unmarshal(req.Params.Arguments, &in); err != nil {
			return wanted, errors.New("the arguments are not those of the input schema")
		}
	}
	limit, order := t.auth.ceiling(), t.auth.service.Hierarchy
	permitted := order.Expand(limit)
	for n, name := range in.Scopes {
		one, err := scopes.Parse(name)
		if err != nil || one.Len() != 1 || one.String() != name {
			return wanted, fmt.Errorf("number %d of the scopes is not the name of one: name each by itself, without blanks", n+1)
		}
		if !t.options.InsecureAnyScopes && !order.Covers(permitted, one) {
			return wanted, beyond(t.auth, one, limit)
		}
		wanted = wanted.Union(one)
	}
	return wanted, nil
}

// beyond is why a caller may not ask for a scope.
func beyond(i *Interceptor, wanted, limit scopes.Set) error {
	e := i.fail(ReasonExceeded, notOffered{limit})
	e.Required = wanted
	return e
}

// notOffered is the cause of an error of a caller who asks for what the program has no use for.
type notOffered struct{ limit scopes.Set }

func (n notOffered) Error() string { return "lazyauth: a caller asked for a scope beyond the limit" }

// text tells the model of it. It does not repeat the name that was asked for, which may be anything.
func (n notOffered) text(service string) string {
	return fmt.Sprintf("This server has no use for one of these scopes of %s, and nobody was asked. It can ask for: %s.", service, strings.Join(slices.Collect(n.limit.All()), ", "))
}

// signIn answers a call once there is a grant that covers wanted.
func (t *authTools) signIn(ctx context.Context, req *mcp.CallToolRequest, wanted scopes.Set) (*mcp.CallToolResult, error) {
	p, s, err := t.auth.person(ctx, req)
	if err != nil {
		return errorResult(req, denialOf(t.auth, req, err)), nil
	}
	first := req.Params.RequestState == ""
	if first && t.options.InsecureAskAfterDecline {
		t.auth.people.ForgetDecline(p.Who())
	}
	asked := !first || !s.or(p).Grant().Covers(wanted)
	g := &gate{Gate: grants.Gate{Need: wanted}, auth: t.auth, tool: req.Params.Name}
	out := g.run(ctx, req, func(ctx context.Context, _ *mcp.CallToolRequest) outcome {
		c := callFrom(ctx)
		now, err := c.current(ctx)
		if err != nil {
			return outcome{err: err}
		}
		out := signInOutput{grantStatus: t.statusOf(p.Who(), now), Required: namesOf(wanted)}
		return outcome{result: named(c.holder(), structured(out.text(asked, t.options.HideUntilSignIn && !asking.Modern(req.Params.Meta)), out))}
	})
	return out.raw(req)
}

// signInOutput is the structured content of what login and upgrade return.
type signInOutput struct {
	grantStatus
	Required []string `json:"required_scopes" jsonschema:"what the call asked for; all of it was granted"`
}

// text is what the model reads. hides says that tools were not listed before.
func (s signInOutput) text(asked, hides bool) string {
	switch {
	case s.ByOperator:
		return s.sentence()
	case s.Unattended:
		return s.sentence() + s.granted()
	}
	begins := "Signed in"
	if !asked {
		begins = "Already signed in"
	}
	text := fmt.Sprintf("%s to %s%s.%s", begins, s.Service, s.by(), s.granted())
	if hides {
		text += " The tools that need it are listed now."
	}
	return text + " Tools that need more ask the user when they are called."
}

// structured returns a result with this text and this structured content.
func structured(text string, content any) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}, StructuredContent: content}
}

// namesOf returns the scopes of a set, not nil.
func namesOf(set scopes.Set) []string { return slices.AppendSeq([]string{}, set.All()) }

// quoted is a name that somebody else chose, between quotation marks that it cannot end.
func quoted(before, name string) string {
	if name == "" {
		return ""
	}
	return before + `"` + names.Isolate(strings.ReplaceAll(name, `"`, "'")) + `"`
}
