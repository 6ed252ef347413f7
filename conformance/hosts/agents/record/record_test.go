package record_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents/record"
)

var start = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// A wire is a recording that is written line by line, a second apart unless it says
// otherwise.
type wire struct {
	record.Record

	at      time.Duration
	process int
}

func (w *wire) says(from record.Speaker, text string) {
	w.at += time.Second
	w.Read(record.Line{At: start.Add(w.at), Process: w.process, From: from, Text: text})
}

// The older era: one request, a prompt by a request of the server's, a good result.
func TestRecord_BlockingCall(t *testing.T) {
	w := &wire{Record: record.Record{Tool: "whoami", Codes: true}}
	w.says(record.Started, "")
	w.says(record.Agent, `{"id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{"form":{},"url":{}}},"clientInfo":{"name":"a","version":"1"}}}`)
	w.says(record.Server, `{"id":0,"result":{"protocolVersion":"2025-11-25"}}`)
	w.says(record.Agent, `{"id":1,"method":"tools/call","params":{"name":"whoami"}}`)
	w.says(record.Server, `{"id":7,"method":"elicitation/create","params":{"mode":"url","url":"https://127.0.0.1:1/device","message":"The code is BCDF-GHJK."}}`)
	w.says(record.Agent, `{"id":7,"result":{"action":"accept"}}`)
	w.says(record.Server, `{"id":1,"result":{"content":[{"text":"Ada"}]}}`)

	if w.Agent != "a 1" || w.Protocol != "2025-11-25" || w.Declares != "url, form" || w.Servers != 1 {
		t.Errorf("%+v", w.Record)
	}
	if len(w.Prompts) != 1 || w.Prompts[0].Answer != "accept" || w.Prompts[0].Automatic() {
		t.Errorf("prompts: %+v", w.Prompts)
	}
	if len(w.Sighted) != 1 || w.Sighted[0].Code != "BCDF-GHJK" || w.Sighted[0].URL != "https://127.0.0.1:1/device" || w.Sighted[0].Way != "url" {
		t.Errorf("sightings: %+v", w.Sighted)
	}
	if len(w.Calls) != 1 || w.Calls[0].Failed || w.Calls[0].Text != "Ada" || w.Calls[0].Ended.Sub(w.Calls[0].Began) != 3*time.Second {
		t.Errorf("calls: %+v", w.Calls[0])
	}
}

// The newer era: two requests are one call.
func TestRecord_SuspendedCall(t *testing.T) {
	const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{}},"io.modelcontextprotocol/clientInfo":{"name":"b","version":"2"}}`
	w := &wire{Record: record.Record{Tool: "whoami", Codes: true}}
	w.says(record.Agent, `{"id":1,"method":"tools/call","params":{"name":"whoami",`+meta+`}}`)
	w.says(record.Server, `{"id":1,"result":{"resultType":"input_required","requestState":"s","inputRequests":{"k":{"method":"elicitation/create","params":{"message":"Open 127.0.0.1:1/device and enter BCDF-GHJK."}}}}}`)
	w.says(record.Agent, `{"id":2,"method":"tools/call","params":{"name":"whoami","requestState":"s","inputResponses":{"k":{"action":"decline"}},`+meta+`}}`)
	w.says(record.Server, `{"id":2,"result":{"isError":true,"content":[{"text":"no"}],"_meta":{"io.github.lazyauth/reason":"declined"}}}`)

	if w.Protocol != "2026-07-28" || !strings.HasPrefix(w.Declares, "`{}`") {
		t.Errorf("%+v", w.Record)
	}
	if len(w.Calls) != 1 || w.Calls[0].Requests != 2 || !w.Calls[0].Failed || w.Calls[0].Reason != "declined" {
		t.Errorf("calls: %+v", w.Calls)
	}
	if len(w.Prompts) != 1 || w.Prompts[0].Mode != "form" || w.Prompts[0].Answer != "decline" {
		t.Errorf("prompts: %+v", w.Prompts)
	}
	if len(w.Sighted) != 1 || w.Sighted[0].URL != "https://127.0.0.1:1/device" {
		t.Errorf("sightings: %+v", w.Sighted)
	}
}

// Two processes of the server, one after the other: each call and each sighting is known by its
// own, although both count their messages from the same number.
func TestRecord_Processes(t *testing.T) {
	var over []int
	w := &wire{Record: record.Record{Tool: "whoami", Codes: true, Over: func(process int) { over = append(over, process) }}}
	for process := 1; process <= 2; process++ {
		w.process = process
		w.says(record.Started, "")
		w.says(record.Agent, `{"id":1,"method":"tools/call","params":{"name":"whoami"}}`)
		w.says(record.Server, `{"id":1,"result":{"isError":true,"content":[{"text":"Open https://a.test/device and enter BCDF-GHJK."}]}}`)
		w.says(record.Ended, "exit status 0")
	}
	if len(w.Calls) != 2 || w.Calls[0].Process != 1 || w.Calls[1].Process != 2 || w.Servers != 2 {
		t.Errorf("calls: %+v", w.Calls)
	}
	if len(w.Sighted) != 2 || w.Sighted[0].Process != 1 || w.Sighted[1].Process != 2 {
		t.Errorf("sightings: %+v", w.Sighted)
	}
	if !slices.Equal(over, []int{1, 2}) || !w.Ended[1].Equal(start.Add(4*time.Second)) || !w.Ended[2].Equal(start.Add(8*time.Second)) {
		t.Errorf("ended: %v, %v", over, w.Ended)
	}
}

// A call that the agent has cancelled is given up, whatever is answered; one that had ended is not.
func TestRecord_GivenUp(t *testing.T) {
	w := &wire{Record: record.Record{Tool: "whoami"}}
	for _, end := range []string{`{"id":%d,"result":{"content":[{"text":"Ada"}]}}`, ""} {
		id := len(w.Calls) + 1
		w.says(record.Agent, fmt.Sprintf(`{"id":%d,"method":"tools/call","params":{"name":"whoami"}}`, id))
		if end != "" {
			w.says(record.Server, fmt.Sprintf(end, id))
		}
		w.says(record.Agent, fmt.Sprintf(`{"method":"notifications/cancelled","params":{"requestId":%d}}`, id))
	}
	w.says(record.Server, `{"id":2,"result":{"isError":true,"content":[{"text":"context canceled"}]}}`)
	if len(w.Calls) != 2 || w.Calls[0].GivenUp || !w.Calls[1].GivenUp {
		t.Errorf("calls: %+v, %+v", w.Calls[0], w.Calls[1])
	}
}

// A refusal within a second was made by nobody.
func TestRecord_AutomaticRefusal(t *testing.T) {
	var told []*record.Prompt
	w := &wire{Record: record.Record{Tool: "whoami", Answered: func(p *record.Prompt) { told = append(told, p) }}}
	w.says(record.Server, `{"id":7,"method":"elicitation/create","params":{"message":"?"}}`)
	w.at -= 990 * time.Millisecond
	w.says(record.Agent, `{"id":7,"error":{"code":-32601}}`)
	if len(told) != 1 || !told[0].Automatic() || told[0].Answer != "error" {
		t.Errorf("%+v", told)
	}
}

// What is of no use to a person is no sighting.
func TestRecord_Sightings(t *testing.T) {
	for text, want := range map[string]struct{ withCodes, without string }{
		"Open https://a.test/device and enter BCDF-GHJK.":   {"https://a.test/device BCDF-GHJK", "https://a.test/device BCDF-GHJK"},
		"BCDF-GHJK: enter it at 127.0.0.1:8080/device.":     {"https://127.0.0.1:8080/device BCDF-GHJK", "https://127.0.0.1:8080/device BCDF-GHJK"},
		"Sign in: https://a.test/authorize?x=1&y=2":         {"", "https://a.test/authorize?x=1&y=2 "},
		"Waiting for the sign-in, see RFC-8628 (AEIO-UAEI)": {"", ""},
	} {
		for _, codes := range []bool{true, false} {
			w := &wire{Record: record.Record{Codes: codes}}
			w.says(record.Server, `{"method":"notifications/progress","params":{"message":"`+text+`"}}`)
			got, expected := "", want.without
			if codes {
				expected = want.withCodes
			}
			if len(w.Sighted) > 0 {
				got = w.Sighted[0].URL + " " + w.Sighted[0].Code
			}
			if got != expected {
				t.Errorf("%q, codes %t: %q, want %q", text, codes, got, expected)
			}
		}
	}
}

// What is no message does no harm, and a recording is read as it grows, also where it ends in
// the middle of a line.
func TestFile_Grows(t *testing.T) {
	name := filepath.Join(t.TempDir(), "wire")
	var f record.File
	if lines := f.More(name); lines != nil {
		t.Errorf("there is no file, and it has %v", lines)
	}
	whole := string(record.Line{At: start, From: record.Agent, Text: "one"}.Encode()) + "rubbish\n" +
		string(record.Line{At: start, From: record.Agent, Text: "two"}.Encode())
	var got []string
	for _, cut := range []int{0, 10, len(whole) - 3, len(whole)} {
		if err := os.WriteFile(name, []byte(whole[:cut]), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, l := range f.More(name) {
			got = append(got, l.Text)
		}
	}
	if strings.Join(got, " ") != "one two" {
		t.Errorf("read %q", got)
	}
	new(record.Record).Read(record.Line{From: record.Agent, Text: "rubbish"})
}
