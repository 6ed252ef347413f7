package model

import (
	"encoding/json"
	"net/http"
)

// messages is Anthropic's messages: Claude Code.
type messages struct {
	Model    string
	Stream   bool
	Tools    []struct{ Name string }
	Messages []struct{ Content blocks }
}

// A block is a part of a message.
type block struct {
	Type      string
	ToolUseID string `json:"tool_use_id"`
	Content   flexible
}

// blocks may be a mere text, which says nothing.
type blocks []block

// UnmarshalJSON takes a list, or a text.
func (b *blocks) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '"' {
		return nil
	}
	return unmarshal(raw, (*[]block)(b))
}

func unmarshal[T any](raw []byte, into *T) error { return json.Unmarshal(raw, into) }

func (m *messages) read() (out conversation) {
	for _, t := range m.Tools {
		out.tools = append(out.tools, tool{name: t.Name})
	}
	for _, said := range m.Messages {
		for _, b := range said.Content {
			if b.Type == "tool_result" {
				out.results = append(out.results, string(b.Content))
			}
		}
	}
	return out
}

func (m *messages) write(w http.ResponseWriter, t turn) {
	reason, content := "end_turn", []object{}
	for _, call := range t.calls {
		reason = "tool_use"
		content = append(content, object{"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments})
	}
	if len(content) == 0 {
		content = append(content, object{"type": "text", "text": t.text})
	}
	whole := func(content []object, reason any) object {
		return object{
			"id": "message", "type": "message", "role": "assistant", "model": m.Model, "content": content,
			"stop_reason": reason, "stop_sequence": nil, "usage": object{"input_tokens": 1, "output_tokens": 1},
		}
	}
	if !m.Stream {
		answer(w, whole(content, reason))
		return
	}
	s := newStream(w)
	send := func(kind string, members object) {
		members["type"] = kind
		s.send(kind, members)
	}
	send("message_start", object{"message": whole([]object{}, nil)})
	for i, b := range content {
		// A block begins empty, and what is in it comes after.
		begins, delta := object{"type": "text", "text": ""}, object{"type": "text_delta", "text": b["text"]}
		if b["type"] == "tool_use" {
			begins = object{"type": "tool_use", "id": b["id"], "name": b["name"], "input": object{}}
			delta = object{"type": "input_json_delta", "partial_json": encoded(b["input"])}
		}
		send("content_block_start", object{"index": i, "content_block": begins})
		send("content_block_delta", object{"index": i, "delta": delta})
		send("content_block_stop", object{"index": i})
	}
	send("message_delta", object{"delta": object{"stop_reason": reason, "stop_sequence": nil}, "usage": object{"output_tokens": 1}})
	send("message_stop", object{})
}
