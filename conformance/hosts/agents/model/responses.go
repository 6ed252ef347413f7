package model

import (
	"net/http"
	"strings"
)

// responses is OpenAI's responses: Codex.
type responses struct {
	Model  string
	Stream bool
	Tools  []offered
	Input  items
}

// offered is a tool, or a name space of tools, or the search for tools.
type offered struct {
	Type, Name string
	Tools      []offered
}

// An item is something that was said.
type item struct {
	Type   string
	CallID string `json:"call_id"`
	Output flexible
	Tools  []offered
}

// items may be a mere text, which says nothing.
type items []item

// UnmarshalJSON takes a list, or a text.
func (i *items) UnmarshalJSON(raw []byte) error {
	if strings.HasPrefix(string(raw), `"`) {
		return nil
	}
	return unmarshal(raw, (*[]item)(i))
}

func (r *responses) read() (out conversation) {
	add := func(tools []offered) {
		for _, t := range tools {
			for _, inner := range t.Tools {
				out.tools = append(out.tools, tool{t.Name, inner.Name})
			}
			if len(t.Tools) == 0 {
				out.tools = append(out.tools, tool{name: t.Name})
			}
			out.searches = out.searches || t.Type == searcher
		}
	}
	add(r.Tools)
	for _, i := range r.Input {
		switch i.Type {
		case "function_call_output", "mcp_tool_call_output", "custom_tool_call_output":
			out.results = append(out.results, string(i.Output))
		case "tool_search_output":
			out.searched = true
			add(i.Tools)
		}
	}
	return out
}

// says are the items of a turn.
func (r *responses) says(t turn) (out []object) {
	if t.search != "" {
		return []object{{
			"type": "tool_search_call", "id": "item_search", "call_id": searchPrefix + "0", "status": "completed",
			"execution": "client", "arguments": object{"query": t.search},
		}}
	}
	for _, call := range t.calls {
		it := object{
			"type": "function_call", "id": "item_" + call.id, "call_id": call.id, "name": call.name,
			"arguments": encoded(call.arguments), "status": "completed",
		}
		if call.space != "" {
			it["namespace"] = call.space
		}
		out = append(out, it)
	}
	if len(out) == 0 {
		out = append(out, object{
			"type": "message", "id": "item_text", "role": "assistant", "status": "completed",
			"content": []object{{"type": "output_text", "text": t.text, "annotations": []any{}}},
		})
	}
	return out
}

func (r *responses) write(w http.ResponseWriter, t turn) {
	said := r.says(t)
	whole := object{
		"id": "response", "object": "response", "created_at": 1, "model": r.Model, "status": "completed", "output": said,
		"usage": object{
			"input_tokens": 1, "input_tokens_details": object{"cached_tokens": 0},
			"output_tokens": 1, "output_tokens_details": object{"reasoning_tokens": 0}, "total_tokens": 2,
		},
	}
	if !r.Stream {
		answer(w, whole)
		return
	}
	s, n := newStream(w), 0
	send := func(kind string, members object) {
		members["type"], members["sequence_number"] = kind, n
		s.send(kind, members)
		n++
	}
	send("response.created", object{"response": object{
		"id": "response", "object": "response", "created_at": 1, "model": r.Model, "status": "in_progress", "output": []any{},
	}})
	for i, it := range said {
		send("response.output_item.added", object{"output_index": i, "item": it})
		if it["type"] == "message" {
			send("response.output_text.delta", object{"item_id": it["id"], "output_index": i, "content_index": 0, "delta": t.text})
			send("response.output_text.done", object{"item_id": it["id"], "output_index": i, "content_index": 0, "text": t.text})
		}
		send("response.output_item.done", object{"output_index": i, "item": it})
	}
	send("response.completed", object{"response": whole})
}
