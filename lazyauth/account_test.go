package lazyauth_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type accountArgs struct {
	Account string `json:"account,omitempty"`
	Text    string `json:"text,omitempty"`
}

func quiet[In any](context.Context, *mcp.CallToolRequest, In) (*mcp.CallToolResult, world.Answer, error) {
	return nil, world.Answer{Text: "done"}, nil
}

// An argument that names the account is a likely mistake where the tool's input schema does
// not have it: somebody is told of the tool, the argument and what to do.
func TestAccountFromArgument_MissingFromTheSchema(t *testing.T) {
	raw := func(schema string) *mcp.Tool {
		return &mcp.Tool{Name: "tool", InputSchema: jsonText(schema)}
	}
	for name, test := range map[string]struct {
		add  func(*mcp.Server, *lazyauth.Interceptor)
		warn bool
	}{
		"has it": {func(s *mcp.Server, a *lazyauth.Interceptor) {
			lazyauth.AddTool(s, a, &mcp.Tool{Name: "tool"}, scopes.Set{}, quiet[accountArgs])
		}, false},
		"has another": {func(s *mcp.Server, a *lazyauth.Interceptor) {
			lazyauth.AddTool(s, a, &mcp.Tool{Name: "tool"}, scopes.Set{}, quiet[world.Note])
		}, true},
		"has none": {func(s *mcp.Server, a *lazyauth.Interceptor) {
			lazyauth.AddTool(s, a, &mcp.Tool{Name: "tool"}, scopes.Set{}, quiet[world.NoArgs])
		}, true},
		"takes anything": {func(s *mcp.Server, a *lazyauth.Interceptor) {
			lazyauth.AddTool(s, a, raw(`{"type": "object"}`), scopes.Set{}, quiet[map[string]any])
		}, false},
		"a schema of its own": {func(s *mcp.Server, a *lazyauth.Interceptor) {
			lazyauth.AddTool(s, a, raw(`{"type": "object", "properties": {"Account": {"type": "string"}}}`), scopes.Set{}, quiet[map[string]any])
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			told := warnings(t, lazyauth.AccountFromArgument("account"), test.add)
			if !test.warn {
				if len(*told) > 0 {
					t.Errorf("told %q", *told)
				}
				return
			}
			if len(*told) != 1 || !strings.Contains((*told)[0], `"tool"`) || !strings.Contains((*told)[0], `"account"`) || !strings.Contains((*told)[0], "AccountFromArgument") {
				t.Errorf("told %q", *told)
			}
		})
	}
	t.Run("a function of the author's", func(t *testing.T) {
		told := warnings(t, func(context.Context, *mcp.CallToolRequest) (string, error) {
			t.Error("it was called without a request")
			return "", nil
		}, func(s *mcp.Server, a *lazyauth.Interceptor) {
			lazyauth.AddTool(s, a, &mcp.Tool{Name: "tool"}, scopes.Set{}, quiet[world.NoArgs])
		})
		if len(*told) > 0 {
			t.Errorf("told %q", *told)
		}
	})
}

type jsonText string

func (j jsonText) MarshalJSON() ([]byte, error) { return []byte(j), nil }

// warnings returns what the trace of an interceptor with this Account is told.
func warnings(t *testing.T, account func(context.Context, *mcp.CallToolRequest) (string, error), add func(*mcp.Server, *lazyauth.Interceptor)) *[]string {
	told := new([]string)
	auth, err := lazyauth.New(lazyauth.Service{Name: "Notes", Issuer: "https://as.example.test", ClientID: "c"}, &lazyauth.Options{
		Account: account,
		Trace:   &lazyauth.Trace{Warned: func(_ context.Context, info lazyauth.WarnedInfo) { *told = append(*told, info.Err.Error()) }},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { auth.Close() })
	add(mcp.NewServer(&mcp.Implementation{Name: "notes"}, nil), auth)
	return told
}

// What a policy gates is known when it is first called.
func TestAccountFromArgument_MissingFromAnInterceptedTool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Account: lazyauth.AccountFromArgument("account")}, Tools: func(w *world.World) {
			mcp.AddTool(w.Server, &mcp.Tool{Name: "plain"}, quiet[world.NoArgs])
			w.Auth.Intercept(w.Server, scopes.Policy{Tools: map[string]scopes.Requirement{"plain": scopes.Of("profile")}})
		}})
		h := w.Host(world.Modern, world.Accepts)
		one, two := h.Call(t.Context(), "plain", nil), h.Call(t.Context(), "plain", nil)
		w.Approves()
		(<-one).Succeeds(t, "done")
		(<-two).Succeeds(t, "done")
		if n := w.Trace.Count("warned"); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}
