package model

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// An object is one of JSON.
type object = map[string]any

// The names of calls say what they are: their results come back under them.
const (
	callPrefix   = "call_"
	searchPrefix = "search_"
)

func callID(n int) string { return fmt.Sprintf("%s%d", callPrefix, n) }

// isSearch says whether a result is that of a search, and none of the server's.
func isSearch(id string) bool { return strings.HasPrefix(id, searchPrefix) }

// A flexible is a text that may as well be something else, which is then kept
// as JSON.
type flexible string

// UnmarshalJSON takes anything.
func (f *flexible) UnmarshalJSON(raw []byte) error {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		*f = flexible(s)
		return nil
	}
	*f = flexible(raw)
	return nil
}

// encoded is a value as text.
func encoded(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // of what a script made, which has to be JSON
	}
	return string(raw)
}

// answer sends one JSON document.
func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, encoded(v))
}

// A stream is an answer of server-sent events.
type stream struct{ w http.ResponseWriter }

func newStream(w http.ResponseWriter) stream {
	w.Header().Set("Content-Type", "text/event-stream")
	return stream{w}
}

// send sends an event, which may have a name.
func (s stream) send(name string, v any) {
	if name != "" {
		fmt.Fprintf(s.w, "event: %s\n", name)
	}
	fmt.Fprintf(s.w, "data: %s\n\n", encoded(v))
}
