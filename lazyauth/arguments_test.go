package lazyauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// raw adds an intercepted tool with this input schema, whose function notes the arguments that
// it is given.
func raw(schema string, given *[]string) func(*world.World) {
	return func(w *world.World) {
		w.Server.AddTool(&mcp.Tool{Name: "raw", InputSchema: json.RawMessage(schema)}, func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "done"}}}, nil
		})
		w.Auth.Intercept(w.Server, scopes.Policy{ByArguments: map[string]scopes.Needs[json.RawMessage]{"raw": {
			Possible: []scopes.Requirement{scopes.Of("profile")},
			Of: func(arguments json.RawMessage) (scopes.Requirement, error) {
				*given = append(*given, string(arguments))
				return scopes.Of("profile"), nil
			},
		}}})
	}
}

// The function of a policy is given what was sent, with the defaults that it lacks, and no
// number loses a digit on its way.
func TestArguments_AsTheFunctionSeesThem(t *testing.T) {
	const schema = `{"type":"object","properties":{"id":{"type":"integer"},"limit":{"type":"integer","default":30},
		"page":{"type":"object","properties":{"size":{"type":"integer","default":10},"from":{"type":"integer"}}}}}`
	world.InBothEras(t, func(t *testing.T, era string) {
		var given []string
		w := world.New(t, world.Setup{Tools: raw(schema, &given)})
		w.SignsIn("profile")
		h := w.Host(era, world.Accepts)
		for sent, want := range map[string]string{
			`null`:                     `{"limit":30,"page":{"size":10}}`,
			`{}`:                       `{"limit":30,"page":{"size":10}}`,
			`{"id":9007199254740993}`:  `{"id":9007199254740993,"limit":30,"page":{"size":10}}`,
			`{"limit":1e2}`:            `{"limit":1e2,"page":{"size":10}}`,
			`{"page":{"from":7}}`:      `{"limit":30,"page":{"from":7,"size":10}}`,
			`{"more":["a",{"b":[]}]}`:  `{"limit":30,"more":["a",{"b":[]}],"page":{"size":10}}`,
			`{"\u0069d":1,"limit":2 }`: `{"id":1,"limit":2,"page":{"size":10}}`,
		} {
			given = nil
			h.Gets("raw", json.RawMessage(sent), "done")
			if len(given) != 1 || given[0] != want {
				t.Errorf("of %s the function sees %s, want %s", sent, given, want)
			}
		}
	})
}

// An object that has a name twice, or two names that some decoders take for one, is refused:
// the function could be shown another member than the handler acts on.
func TestArguments_Ambiguous(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		var given []string
		w := world.New(t, world.Setup{Tools: raw(`{"type":"object"}`, &given)})
		h := w.Host(era, world.Accepts)
		for _, sent := range []string{
			`{"path":"a","PATH":"b"}`,
			`{"path":"a","path":"a"}`,
			`{"path":"a","\u0070ath":"b"}`,
			`{"key":"a","\u212Aey":"b"}`, // the Kelvin sign
			`{"inner":{"path":"a","Path":"b"}}`,
			`{"list":[{},[{"path":"a","pAth":"b"}]]}`,
		} {
			r := <-h.Call(t.Context(), "raw", json.RawMessage(sent))
			if r.Err == nil && !r.Result.IsError || r.Err == nil && !strings.Contains(r.Text(), "ambiguous") {
				t.Errorf("%s got %q, %v", sent, r.Text(), r.Err)
			}
		}
		h.WantPrompts(0)
		if len(given) > 0 {
			t.Errorf("the function was shown %s", given)
		}
	})
}

// A tool whose arguments cannot be held against a schema has none that the function may see.
func TestArguments_NoSchema(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		var given []string
		w := world.New(t, world.Setup{Tools: raw(`{"type":"object","$ref":"#/$defs/missing"}`, &given)})
		h := w.Host(era, world.Accepts)
		(<-h.Call(t.Context(), "raw", map[string]any{})).Fails(t, lazyauth.ReasonUndetermined)
		h.WantPrompts(0)
		infos := world.Infos[lazyauth.FailedInfo](&w.Trace)
		if len(given) > 0 || len(infos) != 1 || infos[0].Err == nil || !strings.Contains(infos[0].Err.Error(), "input schema") {
			t.Errorf("the function was shown %s; the trace was told %+v", given, infos)
		}
	})
}

// A tool that is not there is refused as the SDK does it, and one that cannot be listed likewise.
func TestArguments_NotListed(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		var given []string
		broken := errors.New("no list today")
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			w.Server.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
				return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
					if broken != nil && method == "tools/list" {
						return nil, broken
					}
					return next(ctx, method, req)
				}
			})
			raw(`{"type":"object"}`, &given)(w)
		}})
		h := w.Host(era, world.Accepts)
		if r := <-h.Call(t.Context(), "raw", nil); r.Err == nil || !strings.Contains(r.Err.Error(), "no list today") {
			t.Errorf("got %q, %v", r.Text(), r.Err)
		}
		broken = nil
		w.Server.RemoveTools("raw")
		if r := <-h.Call(t.Context(), "raw", nil); r.Err == nil || !strings.Contains(r.Err.Error(), "unknown tool") {
			t.Errorf("got %q, %v", r.Text(), r.Err)
		}
		h.WantPrompts(0)
		if len(given) > 0 {
			t.Errorf("the function was shown %s", given)
		}
	})
}
