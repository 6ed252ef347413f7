package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// How much of a conversation the page shows. A host that floods the server is
// recorded in full elsewhere.
const (
	firstRows  = 300         // events from the beginning
	lastRows   = 100         // and from the end
	maxMessage = 16 << 10    // bytes of one message
	tooLong    = 256 << 10   // bytes of a message that is not looked into
	longPause  = time.Second // from here on a pause has a row of its own
)

// A row is one event of a conversation as the page shows it.
type row struct {
	Anchor string
	At     string
	Pause  string // since the row before, if that was long
	From   hostcheck.Party
	To     hostcheck.Party
	Conn   int
	Hue    int    // of the connection, 1 to 6
	HTTP   string // what HTTP had around it, in short: "POST", "200 OK"
	What   string // method, "result", "error"
	Of     string // for answers: the method that is answered
	ID     string
	Says   string // what a reader wants to know without opening it
	Body   string // the message, indented
	Checks []decided
}

// decided links an event to a verdict.
type decided struct {
	ID, Anchor string
	Status     hostcheck.Status
}

// conversation makes rows of a result's events. The second value is how many
// are left out between the first and the last ones.
func conversation(result *hostcheck.Result, prefix string) (rows []row, left int) {
	asked := questions{}
	var last time.Duration
	for i, event := range result.Events {
		if leftOut(i, len(result.Events)) {
			left++
			continue
		}
		r := row{
			Anchor: fmt.Sprintf("%s-e%d", prefix, i+1),
			At:     fmt.Sprintf("%.3f", event.At.Seconds()),
			From:   event.From,
			Conn:   event.Connection,
		}
		if r.Conn > 0 {
			r.Hue = (r.Conn-1)%6 + 1
		}
		switch event.From {
		case hostcheck.FromHost:
			r.To = hostcheck.FromServer
		case hostcheck.FromServer:
			r.To = hostcheck.FromHost
		case hostcheck.FromCanary:
			r.From, r.To = hostcheck.FromHost, hostcheck.FromCanary
		default:
			r.From = hostcheck.Note
		}
		if len(event.Message) > 0 {
			asked.describe(&r, event)
		} else {
			describeText(&r, event.Text)
		}
		if event.HTTP != nil {
			describeHTTP(&r, event.HTTP)
		}
		for _, id := range event.Checks {
			status := statusOf(result, id)
			if status == hostcheck.Success && passing(result.Scenario, id) {
				continue // as it does of every message
			}
			r.Checks = append(r.Checks, decided{visible(id), checkAnchor(prefix, id), status})
		}
		if event.At-last >= longPause {
			r.Pause = took(event.At - last)
		}
		last = event.At
		rows = append(rows, r)
	}
	return rows, left
}

// leftOut reports whether the page does without an event.
func leftOut(i, of int) bool { return i >= firstRows && i < of-lastRows }

// statusOf is the worst status of a result's checks of that ID.
func statusOf(result *hostcheck.Result, id string) hostcheck.Status {
	c := counts{}
	for _, check := range result.Checks {
		if check.ID == id {
			c[told(check)]++
		}
	}
	return c.verdict()
}

// checkAnchor names the verdict of a check within the page.
func checkAnchor(prefix, id string) string {
	return prefix + "-" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '_'
	}, id)
}

// questions are the methods of requests by asker and id, for naming answers.
// Where an id is used again, the last request counts.
type questions map[string]string

// A message is what a reader wants to see of a JSON-RPC message at once. The
// parts are raw, since a host under test may put anything anywhere.
type message struct {
	ID     json.RawMessage `json:"id"`
	Method json.RawMessage `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
}

// describe fills in what a message says.
func (q questions) describe(r *row, event hostcheck.Event) {
	r.Body = pretty(event.Message)
	if len(event.Message) > tooLong {
		r.What = "a long message"
		return
	}
	var m message
	if json.Unmarshal(event.Message, &m) != nil {
		r.What = "not a JSON-RPC message"
		return
	}
	if m.ID != nil {
		r.ID = shorten(line(string(m.ID)), 40)
	}
	key := func(asker hostcheck.Party) string { return string(asker) + " " + string(m.ID) }
	switch {
	case m.Method != nil:
		r.What = shorten(line(word(m.Method)), 80)
		if m.ID != nil {
			q[key(r.From)] = r.What
		}
		r.Says = saysParams(m.Params)
	case m.Error != nil:
		r.What, r.Of = "error", q[key(r.To)]
		r.Says = shorten(line(strings.TrimSpace(string(field(m.Error, "code"))+" "+word(field(m.Error, "message")))), 200)
	case m.Result != nil:
		r.What, r.Of = "result", q[key(r.To)]
		r.Says = saysResult(m.Result)
	default:
		r.What = "not a JSON-RPC message"
	}
}

// describeText fills in what a note or other text says. Notes of what a host
// reports end with its JSON.
func describeText(r *row, text string) {
	if what, report, ok := strings.Cut(text, ": "); ok && strings.HasPrefix(report, "{") && json.Valid([]byte(report)) {
		r.What, r.Body = line(what), pretty([]byte(report))
		r.Says = saysParams(json.RawMessage(report))
		return
	}
	r.Says = shorten(line(text), 400)
	if r.Says != text {
		r.Body = pretty([]byte(text))
	}
}

// describeHTTP puts what HTTP had around a message before it.
func describeHTTP(r *row, h *hostcheck.Envelope) {
	first := fmt.Sprintf("%s %s", line(h.Method), line(h.Path))
	r.HTTP = line(h.Method)
	if h.Status > 0 {
		first = strings.TrimSpace(fmt.Sprintf("%d %s", h.Status, http.StatusText(h.Status)))
		r.HTTP = first
	}
	alone := r.Body == "" && r.What == "" // no message goes with it
	if alone {
		r.HTTP, r.What = "", first
		if kind := h.Header.Get("Content-Type"); h.Status > 0 && kind != "" {
			r.Says = shorten(line(kind), 80)
		}
	}
	var head strings.Builder
	fmt.Fprintln(&head, first)
	for _, name := range slices.Sorted(maps.Keys(h.Header)) {
		for _, value := range h.Header[name] {
			fmt.Fprintf(&head, "%s: %s\n", line(name), line(value))
		}
	}
	r.Body = strings.TrimSuffix(head.String()+"\n"+r.Body, "\n\n")
}

// saysParams picks what tells one request from another.
func saysParams(params json.RawMessage) string {
	var parts []string
	for _, name := range []string{"name", "mode", "url", "elicitationId", "requestId", "progress", "message", "reason", "call", "text"} {
		value := field(params, name)
		if value == nil {
			continue
		}
		parts = append(parts, shorten(line(word(value)), 120))
	}
	if field(params, "requestState") != nil {
		parts = append(parts, "with state")
	}
	if field(params, "inputResponses") != nil {
		parts = append(parts, "with answers")
	}
	return strings.Join(parts, ", ")
}

// saysResult picks what tells one result from another.
func saysResult(result json.RawMessage) string {
	var parts []string
	for _, name := range []string{"action", "resultType", "protocolVersion"} {
		if value := field(result, name); value != nil {
			parts = append(parts, shorten(line(word(value)), 120))
		}
	}
	if string(field(result, "isError")) == "true" {
		parts = append(parts, "isError")
	}
	var blocks []json.RawMessage
	if json.Unmarshal(field(result, "content"), &blocks) == nil && len(blocks) > 0 {
		if text := field(blocks[0], "text"); text != nil {
			parts = append(parts, shorten(line(word(text)), 160))
		}
	}
	return strings.Join(parts, ", ")
}

// field is a member of an object; nil if there is none.
func field(object json.RawMessage, name string) json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(object, &members) != nil {
		return nil
	}
	return members[name]
}

// word is a JSON string without its quotes; anything else as it is.
func word(value json.RawMessage) string {
	var s string
	if json.Unmarshal(value, &s) == nil {
		return s
	}
	return string(value)
}

// pretty is a message indented, if it is JSON, and cut if it is long.
func pretty(data []byte) string {
	var b bytes.Buffer
	if len(data) > 4*maxMessage || json.Indent(&b, data, "", "  ") != nil {
		b.Reset()
		b.Write(data[:min(len(data), 4*maxMessage)])
	}
	cut := b.Bytes()
	if len(cut) <= maxMessage {
		return visible(string(cut))
	}
	return fmt.Sprintf("%s\n… (cut; %d bytes in all)", cmp.Or(visible(string(cut[:maxMessage])), "…"), len(data))
}
