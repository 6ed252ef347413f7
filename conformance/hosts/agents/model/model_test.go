package model_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents/model"
)

// caller is a script that calls a tool until it has two results.
type caller struct{ heard [][]string }

func (*caller) First() string { return "whoami" }

func (c *caller) Next(_ *http.Request, results []string) ([]model.Call, string) {
	c.heard = append(c.heard, slices.Clone(results))
	if len(results) < 2 {
		return []model.Call{{Tool: "whoami", Arguments: map[string]any{"n": len(results)}}}, ""
	}
	return nil, "all is done"
}

// say sends a request of an agent, and returns the answer as it is, and as JSON if it is that.
func say(t *testing.T, m http.Handler, path, body string) (string, map[string]any) {
	t.Helper()
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body)))
	if w.Code != http.StatusOK {
		t.Fatalf("%s: status %d: %s", path, w.Code, w.Body)
	}
	var v map[string]any
	_ = json.Unmarshal(w.Body.Bytes(), &v)
	return w.Body.String(), v
}

// at walks into a value of JSON.
func at(v any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[step]
		case int:
			l, _ := v.([]any)
			if step >= len(l) {
				return nil
			}
			v = l[step]
		}
	}
	return v
}

// In each dialect: the tool is called, the result is heard, and the last words come.
func TestModel_Dialects(t *testing.T) {
	for _, test := range []struct {
		name, path string
		// What the agent says, with the results so far.
		request func(results ...string) string
		called  []any // where the name of the called tool stands
		tool    any
		words   []any // where the last words stand
	}{
		{
			name: "chat", path: "/v1/chat/completions",
			request: func(results ...string) string {
				said := `{"role":"user","content":"please"}`
				for i, r := range results {
					said += fmt.Sprintf(`,{"role":"assistant","content":null},{"role":"tool","tool_call_id":"call_%d","content":%q}`, i, r)
				}
				return `{"model":"m","tools":[{"type":"function","function":{"name":"bash"}},{"type":"function","function":{"name":"notes-whoami"}}],"messages":[` + said + `]}`
			},
			called: []any{"choices", 0, "message", "tool_calls", 0, "function", "name"}, tool: "notes-whoami",
			words: []any{"choices", 0, "message", "content"},
		},
		{
			name: "responses", path: "/v1/responses",
			request: func(results ...string) string {
				said := `{"type":"message","role":"user"}`
				for i, r := range results {
					said += fmt.Sprintf(`,{"type":"function_call_output","call_id":"call_%d","output":[{"text":%q}]}`, i, r)
				}
				return `{"model":"m","tools":[{"type":"namespace","name":"mcp__notes","tools":[{"type":"function","name":"whoami"}]}],"input":[` + said + `]}`
			},
			called: []any{"output", 0, "name"}, tool: "whoami",
			words: []any{"output", 0, "content", 0, "text"},
		},
		{
			name: "gemini", path: "/v1beta/models/m:generateContent",
			request: func(results ...string) string {
				said := `{"role":"user","parts":[{"text":"please"}]}`
				for _, r := range results {
					said += fmt.Sprintf(`,{"role":"user","parts":[{"functionResponse":{"name":"x","response":{"output":%q}}}]}`, r)
				}
				return `{"tools":[{"functionDeclarations":[{"name":"mcp_notes_whoami"}]}],"contents":[` + said + `]}`
			},
			called: []any{"candidates", 0, "content", "parts", 0, "functionCall", "name"}, tool: "mcp_notes_whoami",
			words: []any{"candidates", 0, "content", "parts", 0, "text"},
		},
		{
			name: "messages", path: "/v1/messages",
			request: func(results ...string) string {
				said := `{"role":"user","content":"please"}`
				for i, r := range results {
					said += fmt.Sprintf(`,{"role":"user","content":[{"type":"tool_result","tool_use_id":"call_%d","content":[{"type":"text","text":%q}]}]}`, i, r)
				}
				return `{"model":"m","tools":[{"name":"mcp__notes__whoami"}],"messages":[` + said + `]}`
			},
			called: []any{"content", 0, "name"}, tool: "mcp__notes__whoami",
			words: []any{"content", 0, "text"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			script := new(caller)
			m := model.New("notes", script)
			for _, results := range [][]string{nil, {"first result"}} {
				raw, v := say(t, m, test.path, test.request(results...))
				if got := at(v, test.called...); got != test.tool {
					t.Errorf("after %q %v is called, want %v: %s", results, got, test.tool, raw)
				}
			}
			raw, v := say(t, m, test.path, test.request("first result", "second result"))
			if got := at(v, test.words...); got != "all is done" {
				t.Errorf("the last words are %v: %s", got, raw)
			}
			if n := len(script.heard); n != 3 || len(script.heard[2]) != 2 ||
				!strings.Contains(script.heard[2][0], "first result") || !strings.Contains(script.heard[2][1], "second result") {
				t.Errorf("the script has heard %q", script.heard)
			}
		})
	}
}

// A conversation without the tool is one of the agent's own: a title for the session, say.
func TestModel_AnotherConversation(t *testing.T) {
	script := new(caller)
	_, v := say(t, model.New("notes", script), "/v1/chat/completions", `{"messages":[{"role":"user","content":"name this"}]}`)
	if got := at(v, "choices", 0, "message", "content"); got != "OK" || len(script.heard) != 0 {
		t.Errorf("the answer is %v, and the script has heard %q", got, script.heard)
	}
	// A tool of that name of another server is not meant.
	_, v = say(t, model.New("notes", script), "/v1/chat/completions", `{"tools":[{"function":{"name":"other-whoami"}}]}`)
	if got := at(v, "choices", 0, "message", "content"); got != "OK" {
		t.Errorf("a tool of another server: %v", got)
	}
}

// Qwen Code hides the tools of servers: one searches, and another calls.
func TestModel_ToolsBehindTools(t *testing.T) {
	m := model.New("notes", new(caller))
	const tools = `"tools":[{"function":{"name":"tool_search"}},{"function":{"name":"tool_call"}}]`
	_, v := say(t, m, "/chat/completions", `{`+tools+`}`)
	if got, _ := at(v, "choices", 0, "message", "tool_calls", 0, "function", "arguments").(string); !strings.Contains(got, "select:mcp__notes__whoami") {
		t.Errorf("searched for %q", got)
	}
	_, v = say(t, m, "/chat/completions", `{`+tools+`,"messages":[{"role":"tool","tool_call_id":"search_0","content":"found"}]}`)
	got, _ := at(v, "choices", 0, "message", "tool_calls", 0, "function", "arguments").(string)
	if !strings.Contains(got, `"name":"mcp__notes__whoami"`) || !strings.Contains(got, `"arguments":{"n":0}`) {
		t.Errorf("called with %q", got)
	}
}

// Codex offers tools only once they were searched for.
func TestModel_ToolsToSearchFor(t *testing.T) {
	m := model.New("notes", new(caller))
	_, v := say(t, m, "/responses", `{"tools":[{"type":"tool_search"}],"input":[]}`)
	if got := at(v, "output", 0, "type"); got != "tool_search_call" {
		t.Errorf("the model says %v", v)
	}
	_, v = say(t, m, "/responses", `{"tools":[{"type":"tool_search"}],"input":[{"type":"tool_search_output","tools":[{"type":"namespace","name":"mcp__notes","tools":[{"name":"whoami"}]}]}]}`)
	if got := at(v, "output", 0, "namespace"); got != "mcp__notes" {
		t.Errorf("the model says %v", v)
	}
}

// Streamed, the events say the same, and end as the dialect wants it.
func TestModel_Streams(t *testing.T) {
	for path, test := range map[string]struct{ request, end string }{
		"/chat/completions":               {`{"stream":true,"tools":[{"function":{"name":"notes-whoami"}}]}`, "data: [DONE]\n\n"},
		"/responses":                      {`{"stream":true,"tools":[{"name":"notes-whoami"}]}`, "event: response.completed\n"},
		"/models/m:streamGenerateContent": {`{"tools":[{"functionDeclarations":[{"name":"notes-whoami"}]}]}`, `"finishReason":"STOP"`},
		"/messages":                       {`{"stream":true,"tools":[{"name":"notes-whoami"}]}`, "event: message_stop\n"},
	} {
		text, _ := say(t, model.New("notes", new(caller)), path, test.request)
		if !strings.Contains(text, "notes-whoami") || !strings.Contains(text, test.end) {
			t.Errorf("%s streams %s", path, text)
		}
	}
}

// What is no request of an agent is refused, and an address that nobody knows is not found.
func TestModel_Refuses(t *testing.T) {
	for path, want := range map[string]int{"/chat/completions": http.StatusBadRequest, "/elsewhere": http.StatusNotFound} {
		w := httptest.NewRecorder()
		model.New("notes", new(caller)).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader("no JSON")))
		if body, _ := io.ReadAll(w.Body); w.Code != want {
			t.Errorf("%s: status %d, want %d: %s", path, w.Code, want, body)
		}
	}
}
