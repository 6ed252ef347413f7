package model

import "net/http"

// gemini is Google's generateContent: Gemini CLI.
type gemini struct {
	streams bool // the address says so

	Tools    []struct{ FunctionDeclarations []struct{ Name string } }
	Contents []struct {
		Parts []struct {
			FunctionResponse *struct{ Response flexible }
		}
	}
	GenerationConfig struct{ ResponseMimeType string }
}

func (g *gemini) read() (out conversation) {
	for _, t := range g.Tools {
		for _, f := range t.FunctionDeclarations {
			out.tools = append(out.tools, tool{name: f.Name})
		}
	}
	for _, c := range g.Contents {
		for _, p := range c.Parts {
			if p.FunctionResponse != nil {
				out.results = append(out.results, string(p.FunctionResponse.Response))
			}
		}
	}
	return out
}

// decided answers the questions that the agent puts to a model beside the
// conversation: which model is to answer, who speaks next.
var decided = encoded(object{
	"reasoning": "none", "model_choice": "pro", "complexity_reasoning": "none", "complexity_score": 50, "next_speaker": "user",
})

func (g *gemini) write(w http.ResponseWriter, t turn) {
	if g.GenerationConfig.ResponseMimeType == "application/json" {
		t = turn{text: decided}
	}
	parts := []object{}
	for _, call := range t.calls {
		parts = append(parts, object{"functionCall": object{"name": call.name, "args": call.arguments}})
	}
	if len(parts) == 0 {
		parts = append(parts, object{"text": t.text})
	}
	whole := object{
		"candidates":    []object{{"index": 0, "content": object{"role": "model", "parts": parts}, "finishReason": "STOP"}},
		"usageMetadata": object{"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2},
		"modelVersion":  Name, "responseId": "response",
	}
	if g.streams {
		newStream(w).send("", whole)
		return
	}
	answer(w, whole)
}
