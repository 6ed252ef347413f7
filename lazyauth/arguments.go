package lazyauth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A malformedError says what is wrong with the arguments of a call, to the model.
type malformedError string

func (e malformedError) Error() string { return string(e) }

// malformed returns why the call is refused before the person is asked: its tool does
// not exist, or its arguments do not satisfy the input schema. It is refused here,
// and not left to the server: raw handlers do not validate, and lists may leave
// tools out.
func (g *gate) malformed(ctx context.Context, next mcp.MethodHandler, req *mcp.CallToolRequest) error {
	p, s, err := g.auth.person(ctx, req)
	if err != nil || s.or(p).Authorizes(&g.Gate) {
		return err
	}
	tool, err := listed(ctx, next, req)
	if tool == nil || err != nil {
		return err
	}
	warnOfArgument(g.auth, tool.Name, tool.InputSchema)
	_, err = satisfies(req.Params.Arguments, tool)
	if errors.Is(err, errSchema) { // the author's fault, and not the caller's
		return nil
	}
	return err
}

// listed returns the called tool as the server lists it; nil if some other middleware answers
// that in a way of its own.
func listed(ctx context.Context, next mcp.MethodHandler, req *mcp.CallToolRequest) (*mcp.Tool, error) {
	params := &mcp.ListToolsParams{}
	for range 100 { // pages
		result, err := next(context.WithValue(ctx, wholeList{}, true), "tools/list", &mcp.ListToolsRequest{Session: req.Session, Params: params, Extra: req.Extra})
		if err != nil {
			return nil, err
		}
		list, ok := result.(*mcp.ListToolsResult)
		if !ok {
			return nil, nil //nolint:nilnil // there is no telling
		}
		for _, tool := range list.Tools {
			if tool.Name == req.Params.Name {
				return tool, nil
			}
		}
		if list.NextCursor == "" {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: fmt.Sprintf("unknown tool %q", req.Params.Name)}
		}
		params = &mcp.ListToolsParams{Cursor: list.NextCursor}
	}
	return nil, nil //nolint:nilnil // the same
}

// errSchema means that arguments cannot be held against their tool's input schema.
var errSchema = errors.New("lazyauth: the tool is not listed with an input schema that can be read, so its arguments are not known to satisfy it")

// satisfies returns the arguments with the defaults of the tool's input schema; or a
// malformedError that says what keeps them from satisfying it; or errSchema.
func satisfies(arguments json.RawMessage, tool *mcp.Tool) (map[string]any, error) {
	resolved := resolve(tool.InputSchema)
	if resolved == nil {
		return nil, errSchema
	}
	values, err := members(arguments, false)
	if err != nil {
		return nil, malformed(tool, err)
	}
	if err := resolved.ApplyDefaults(&values); err != nil {
		return nil, malformed(tool, err)
	}
	if err := resolved.Validate(values); err != nil {
		return nil, malformed(tool, err)
	}
	return values, nil
}

func malformed(tool *mcp.Tool, err error) error {
	return malformedError(fmt.Sprintf("the arguments do not satisfy the input schema of %s: %v", tool.Name, err))
}

// resolve returns the schema ready for use; nil if it cannot be read.
func resolve(inputSchema any) *jsonschema.Resolved {
	var schema jsonschema.Schema
	raw, err := json.Marshal(inputSchema)
	if err != nil || json.Unmarshal(raw, &schema) != nil {
		return nil
	}
	resolved, err := schema.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: false})
	if err != nil {
		return nil
	}
	return resolved
}

// members returns what is in the arguments of a call: one JSON object with nothing after it, or null
// or nothing, which are an empty one. A number is a float64, or a json.Number as it is written.
func members(arguments json.RawMessage, asWritten bool) (map[string]any, error) {
	values := make(map[string]any)
	if len(arguments) == 0 || isNull(arguments) {
		return values, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(arguments))
	if asWritten {
		decoder.UseNumber()
	}
	// A decoder would not look at what follows the first value.
	if !json.Valid(arguments) || decoder.Decode(&values) != nil {
		return nil, malformedError("they are no JSON object")
	}
	return values, nil
}

// completed returns the arguments as they were sent, with the defaults that they lack: each
// number keeps its digits, which values decoded for a schema do not. An object with two names
// that differ in case alone is refused, and so is one with a name twice: of such, decoders take
// one or the other.
func completed(arguments json.RawMessage, withDefaults map[string]any) (json.RawMessage, error) {
	sent, err := members(arguments, true)
	if err != nil {
		return nil, err
	}
	if len(sent) > 0 {
		decoder := json.NewDecoder(bytes.NewReader(arguments))
		decoder.UseNumber() // there are some that no float64 holds
		if err := unambiguous(decoder); err != nil {
			return nil, err
		}
	}
	addDefaults(sent, withDefaults)
	return json.Marshal(sent)
}

// addDefaults adds to an object what another one has besides.
func addDefaults(sent, withDefaults map[string]any) {
	for name, value := range withDefaults {
		was, has := sent[name]
		if !has {
			sent[name] = value
			continue
		}
		inner, ok := was.(map[string]any)
		if with, also := value.(map[string]any); ok && also {
			addDefaults(inner, with)
		}
	}
}

// unambiguous reads one JSON value, which is known to be one, and returns an error if a name in
// it is there twice. Its depth is bounded by that of what was decoded before.
func unambiguous(decoder *json.Decoder) error {
	token, err := decoder.Token()
	if err != nil {
		return err
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	names := make(map[string]string)
	for decoder.More() {
		if delim == '{' {
			token, err := decoder.Token()
			if err != nil {
				return err
			}
			name, _ := token.(string)
			if other, met := names[folded(name)]; met {
				return malformedError(fmt.Sprintf("the arguments are ambiguous: %q and %q are one name to some, and two to others", other, name))
			}
			names[folded(name)] = name
		}
		if err := unambiguous(decoder); err != nil {
			return err
		}
	}
	_, err = decoder.Token()
	return err
}

// folded returns one name for all that are equal but for their case, as encoding/json compares them.
func folded(name string) string {
	return strings.Map(func(r rune) rune {
		for {
			next := unicode.SimpleFold(r)
			if next <= r { // around the orbit
				return next
			}
			r = next
		}
	}, name)
}
