package model

import (
	"fmt"
	"net/http"
)

// chat is OpenAI's chat completions: Copilot CLI, Qwen Code, opencode, Cline and
// others.
type chat struct {
	Model  string
	Stream bool
	Tools  []struct{ Function struct{ Name string } }
	// Messages are all that was said so far.
	Messages []struct {
		Role       string
		Content    flexible
		ToolCallID string `json:"tool_call_id"`
	}
}

func (c *chat) read() (out conversation) {
	for _, t := range c.Tools {
		out.tools = append(out.tools, tool{name: t.Function.Name})
	}
	for _, m := range c.Messages {
		switch {
		case m.Role != "tool":
		case isSearch(m.ToolCallID):
			out.searched = true
		default:
			out.results = append(out.results, string(m.Content))
		}
	}
	return out
}

func (c *chat) write(w http.ResponseWriter, t turn) {
	message := object{"role": "assistant", "content": t.text}
	reason := "stop"
	if calls := c.calls(t); len(calls) > 0 {
		message = object{"role": "assistant", "content": nil, "tool_calls": calls}
		reason = "tool_calls"
	}
	usage := object{"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
	frame := func(kind string, choices ...object) object {
		if choices == nil {
			choices = []object{}
		}
		return object{"id": "completion", "object": kind, "created": 1, "model": c.Model, "choices": choices}
	}
	if !c.Stream {
		whole := frame("chat.completion", object{"index": 0, "message": message, "finish_reason": reason})
		whole["usage"] = usage
		answer(w, whole)
		return
	}
	s := newStream(w)
	const chunk = "chat.completion.chunk"
	s.send("", frame(chunk, object{"index": 0, "delta": message, "finish_reason": nil}))
	s.send("", frame(chunk, object{"index": 0, "delta": object{}, "finish_reason": reason}))
	last := frame(chunk)
	last["usage"] = usage
	s.send("", last)
	fmt.Fprint(w, "data: [DONE]\n\n")
}

func (c *chat) calls(t turn) (out []object) {
	add := func(id, name string, arguments any) {
		out = append(out, object{
			"index": len(out), "id": id, "type": "function",
			"function": object{"name": name, "arguments": encoded(arguments)},
		})
	}
	if t.search != "" {
		add(searchPrefix+"0", searcher, object{"query": t.search})
	}
	for _, call := range t.calls {
		add(call.id, call.name, call.arguments)
	}
	return out
}
