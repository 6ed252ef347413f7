// Package model is a test double of a language model: it speaks the protocols
// in which agents reach theirs, and says what a script tells it. It is no
// double of an agent, and no model either: it never misreads a result, never
// forgets to call again, and calls nothing but what it was told to call.
//
// Spoken are OpenAI's chat completions and responses, Google's generateContent
// and Anthropic's messages, as far as the agents here need them. What an agent
// says is only read for its tools and for the results of calls.
package model

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// A Script decides what the model says. Both methods may be called
// concurrently: agents have several conversations at a time, to name their
// sessions for example.
type Script interface {
	// Next is called with the results of the calls so far, the oldest first. It
	// returns the calls to make now, or none, and then the model's last words.
	// The request has the agent's context.
	Next(r *http.Request, results []string) ([]Call, string)
	// First is the tool that is called first. A conversation in which it is not
	// offered is about something else, and gets a word of agreement.
	First() string
}

// A Call is a call of a tool of the MCP server.
type Call struct {
	Tool      string
	Arguments map[string]any
}

// maxRequest bounds what is read of a request, in bytes: agents send all that
// they know of themselves.
const maxRequest = 32 << 20

// A Model is an http.Handler that agents take for their model's provider.
type Model struct {
	server string // what the agent calls the MCP server
	script Script
}

// New makes a model. The server is what the agent calls the MCP server.
func New(server string, script Script) *Model { return &Model{server, script} }

// ServeHTTP answers the agent.
func (m *Model) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	var d dialect
	switch path := r.URL.Path; {
	case strings.HasSuffix(path, "/chat/completions"):
		d = new(chat)
	case strings.HasSuffix(path, "/responses"):
		d = new(responses)
	case strings.HasSuffix(path, ":generateContent"), strings.HasSuffix(path, ":streamGenerateContent"):
		d = &gemini{streams: strings.HasSuffix(path, ":streamGenerateContent")}
	case strings.HasSuffix(path, "/messages"):
		d = new(messages)
	case strings.HasSuffix(path, "/models"):
		answer(w, object{"object": "list", "data": []object{{"id": Name, "object": "model", "owned_by": "nobody"}}})
		return
	case strings.HasSuffix(path, ":countTokens"):
		answer(w, object{"totalTokens": 1})
		return
	case strings.HasSuffix(path, "/count_tokens"):
		answer(w, object{"input_tokens": 1})
		return
	default:
		http.NotFound(w, r)
		return
	}
	if err := json.Unmarshal(raw, d); err != nil {
		http.Error(w, "not understood: "+err.Error(), http.StatusBadRequest)
		return
	}
	d.write(w, m.turn(r, d.read()))
}

// Name is what the model is called, where an agent wants a name.
const Name = "scripted"

// A dialect is a provider's protocol: a request that can be read, and the
// answer to it.
type dialect interface {
	read() conversation
	write(w http.ResponseWriter, t turn)
}

// A conversation is what matters of an agent's request.
type conversation struct {
	tools    []tool
	results  []string // of calls of the server's tools, the oldest first
	searches bool     // tools are not offered before they were searched for
	searched bool     // which has been done
}

// A tool is one that the agent offers. Some have names within names.
type tool struct{ space, name string }

// A turn is what the model says: calls, or a search for tools, or a text.
type turn struct {
	calls  []invocation
	search string
	text   string
}

// An invocation is a call as it goes to the agent.
type invocation struct {
	id, space, name string
	arguments       any
}

// turn decides what the model says.
func (m *Model) turn(r *http.Request, c conversation) turn {
	first, deferred := m.resolve(c, m.script.First())
	if first == nil && !deferred {
		if c.searches && !c.searched {
			return turn{search: m.server + " " + m.script.First()}
		}
		return turn{text: "OK"}
	}
	if deferred && !c.searched {
		return turn{search: "select:" + m.full(m.script.First())}
	}
	calls, text := m.script.Next(r, c.results)
	t := turn{text: text}
	for i, call := range calls {
		id := callID(len(c.results) + i)
		arguments := call.Arguments
		if arguments == nil {
			arguments = map[string]any{}
		}
		if deferred {
			t.calls = append(t.calls, invocation{id: id, name: caller, arguments: object{"name": m.full(call.Tool), "arguments": arguments}})
		} else if found, _ := m.resolve(c, call.Tool); found != nil {
			t.calls = append(t.calls, invocation{id: id, space: found.space, name: found.name, arguments: arguments})
		}
	}
	return t
}

// Qwen Code hides the tools of MCP servers behind two of its own.
const (
	searcher = "tool_search"
	caller   = "tool_call"
)

// full is what Qwen Code calls a tool.
func (m *Model) full(name string) string { return "mcp__" + m.server + "__" + name }

// resolve finds a tool of the server among those that the agent offers, which
// have names made of both: notes-whoami, mcp_notes_whoami, notes__whoami, or
// whoami within mcp__notes. Deferred are those that can only be reached by way
// of the agent's own.
func (m *Model) resolve(c conversation, name string) (found *tool, deferred bool) {
	for i, t := range c.tools {
		if in := plain(t.name); (in == plain(name) || strings.HasSuffix(in, "_"+plain(name))) &&
			strings.Contains(plain(t.space+"/"+t.name), plain(m.server)) {
			return &c.tools[i], false
		}
	}
	for i, t := range c.tools {
		if t == (tool{name: name}) { // no word of the server: it is the only one here
			return &c.tools[i], false
		}
	}
	has := func(name string) bool {
		return slices.ContainsFunc(c.tools, func(t tool) bool { return t.name == name })
	}
	return nil, has(searcher) && has(caller)
}

var notWord = regexp.MustCompile(`[^a-z0-9]+`)

// plain is a name as it is compared.
func plain(name string) string { return notWord.ReplaceAllString(strings.ToLower(name), "_") }
