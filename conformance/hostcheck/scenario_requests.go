package hostcheck

import (
	"fmt"
	"slices"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

var otherRequests = Scenario{
	Name: "other-requests", Title: "Round trips of resources and prompts",
	Description: "A resource that is read, and a prompt that is got, ask for input as a call of a tool does. What a retry brought " +
		"is not cached, though the result of such a request could be: the same resource is read twice, and asks twice.",
	Protocols: modernOnly, Transports: everywhere,
	Checks: []string{"B6", "B8", "B9", "B10", "B11", "B13", "B14", "B24", "B27", "P19"},
	Ask:    "Have your host read the resource and use the prompt, if it can. Agree to whatever it asks.",
	script: script{
		steps: func(string) [][]Call {
			again := readingOf("cached")
			again.ID = "cached-again"
			return [][]Call{
				{readingOf("read")},
				{{ID: "get", Prompt: promptName, Arguments: map[string]any{"call": "get"}}},
				{readingOf("cached")},
				{again},
				{calling(nextCall)},
			}
		},
		play:   playRequest,
		offers: true,
	},
}

// What a host may be able to do beside calling tools by name, in the words of the
// adapter protocol.
const (
	readsResources = "resources"
	getsPrompts    = "prompts"
	callsListed    = "listed"  // it calls no tool that its list does not have
	setsMaximum    = "maximum" // it keeps to a maximum that it is told
)

// promptName is the prompt of the server.
const promptName = "notes_review"

// resourceURI is a resource, with the label of the request.
func resourceURI(label string) string { return "notebook://hostcheck/shelf?call=" + label }

// readingOf is a request for a resource.
func readingOf(label string) Call { return Call{ID: label, Resource: resourceURI(label)} }

// label is by what the scenarios tell it apart.
func (c Call) label() string {
	return wire.CallParams{URI: c.Resource, Arguments: wire.Encode(c.Arguments)}.Label()
}

func playRequest(f *flow) {
	s := f.s
	if f.label == nextCall {
		if !s.can(readsResources) || !s.can(getsPrompts) {
			s.excuse("the host does not say that it can be told to read resources and to get prompts")
		}
		f.text(foundText)
		return
	}
	rounds, ok := 3, true
	if f.label == "cached" {
		rounds = 1
		if len(s.labelled("cached")) > 1 {
			rounds = 0
		}
	}
	for i := 0; i < rounds && ok; i++ {
		p := f.question("accept", 50*time.Millisecond)
		p.limit = f.patience()
		state := new(oddState(fmt.Sprintf("%s-%d", f.label, i)))
		if i == 2 {
			state = nil
		}
		key := fmt.Sprintf("%s-%d", f.label, i)
		ok = !f.require(map[string]*prompt{key: p}, state)[key].never
	}
	if d := f.rounds[0].declared; !ok && !d.URL && !d.Form {
		return // it could not be asked, and was told so
	}
	if f.label != "cached" {
		judgePlayed("P19", occasion{flow: f, ok: ok})
	}
	if ok {
		f.text(foundText)
	}
}

// can says whether the host said that it can be told to do something.
func (s *session) can(what string) bool {
	s.guard.Lock()
	defer s.guard.Unlock()
	return slices.Contains(s.able, what)
}

// willDo takes what the host can be told to do; what that is not is not among the steps.
func (s *session) willDo(able []string) {
	s.guard.Lock()
	defer s.guard.Unlock()
	for _, what := range able {
		if slices.Contains([]string{readsResources, getsPrompts, callsListed, setsMaximum}, what) && !slices.Contains(s.able, what) {
			s.able = append(s.able, what)
		}
	}
	s.plan()
}

// plan makes the steps of the task. The caller holds guard, or nothing runs yet.
func (s *session) plan() {
	s.task.Steps = nil
	for _, step := range s.scenario.steps(s.protocol) {
		step = slices.DeleteFunc(step, func(c Call) bool {
			_, bad := invalid[c.Tool]
			return c.Resource != "" && !slices.Contains(s.able, readsResources) ||
				c.Prompt != "" && !slices.Contains(s.able, getsPrompts) ||
				bad && !slices.Contains(s.able, callsListed)
		})
		if len(step) > 0 {
			s.task.Steps = append(s.task.Steps, step)
		}
	}
}

// offered answers the requests for what there is beside tools; nil if it is none.
func (s *session) offered(method string) map[string]any {
	if !s.scenario.offers || s.protocol != Modern {
		return nil
	}
	switch method {
	case "resources/list":
		return map[string]any{"resources": []any{map[string]any{"uri": resourceURI("read"), "name": "shelf", "mimeType": "text/plain"}}}
	case "resources/templates/list":
		return map[string]any{"resourceTemplates": []any{}}
	case "prompts/list":
		return map[string]any{"prompts": []any{map[string]any{
			"name": promptName, "description": "Reviews the notebook.",
			"arguments": []any{map[string]any{"name": "call", "required": true}},
		}}}
	}
	return nil
}

// takes says whether a request is one that scenarios play.
func (s *session) takes(method string) bool {
	return method == "tools/call" || s.scenario.offers && s.protocol == Modern && (method == "resources/read" || method == "prompts/get")
}

// holding is a result of the current request with a text.
func (f *flow) holding(s string) map[string]any {
	switch f.now().Method {
	case "resources/read":
		return map[string]any{
			"contents": []any{map[string]any{"uri": f.now().URI, "mimeType": "text/plain", "text": s}},
			"ttlMs":    60_000, "cacheScope": "private",
		}
	case "prompts/get":
		return map[string]any{"messages": []any{map[string]any{
			"role": "user", "content": map[string]any{"type": "text", "text": s},
		}}}
	}
	return textResult(s)
}
