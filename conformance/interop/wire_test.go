package interop_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Who said a recorded line. A note is no message: the relay says that something
// went wrong.
const (
	fromHost   = "host"
	fromServer = "server"
	fromRelay  = "note"
)

// What the relay's files are called, after a name that sorts by time.
const (
	wireSuffix   = ".wire.jsonl"
	stderrSuffix = ".stderr.txt"
)

// A message is a JSON-RPC message as it went over the wire, with the members
// that the rules below look at.
type message struct {
	From string
	Raw  json.RawMessage

	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		Meta struct {
			Version       string          `json:"io.modelcontextprotocol/protocolVersion"`
			Capabilities  *capabilities   `json:"io.modelcontextprotocol/clientCapabilities"`
			ProgressToken json.RawMessage `json:"progressToken"`
		} `json:"_meta"`
		ProtocolVersion string        `json:"protocolVersion"`
		Capabilities    *capabilities `json:"capabilities"`
		elicitation
		RequestState  string          `json:"requestState"`
		RequestID     json.RawMessage `json:"requestId"`
		ProgressToken json.RawMessage `json:"progressToken"`
		Progress      float64         `json:"progress"`
	} `json:"params"`
	Result struct {
		ResultType   string          `json:"resultType"`
		IsError      bool            `json:"isError"`
		Structured   json.RawMessage `json:"structuredContent"`
		RequestState string          `json:"requestState"`
		Action       string          `json:"action"` // of the answer to an elicitation
		Meta         struct {
			Reason string `json:"io.github.lazyauth/reason"`
		} `json:"_meta"`
		InputRequests map[string]struct {
			Method string      `json:"method"`
			Params elicitation `json:"params"`
		} `json:"inputRequests"`
	} `json:"result"`
	Error *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// What a host declares that it can do, in as far as it matters here.
type capabilities struct {
	Elicitation *struct {
		Form *struct{} `json:"form"`
		URL  *struct{} `json:"url"`
	} `json:"elicitation"`
}

// An elicitation is what the server asks a host to show, in either era.
type elicitation struct {
	Mode            string          `json:"mode"`
	URL             string          `json:"url"`
	Message         string          `json:"message"` // progress has one, too
	ElicitationID   string          `json:"elicitationId"`
	RequestedSchema json.RawMessage `json:"requestedSchema"`
}

// key is a request id, to compare: the numbers 1 and "1" are two ids.
func (m message) key() string { return string(m.ID) }

// request reports whether an answer is expected.
func (m message) request() bool { return m.Method != "" && len(m.ID) > 0 }

// notification reports whether none is.
func (m message) notification() bool { return m.Method != "" && len(m.ID) == 0 }

// response reports whether it is one.
func (m message) response() bool { return m.Method == "" && len(m.ID) > 0 }

// conversations returns what was recorded, one for each time that the host
// started its server.
func (s *story) conversations() (all [][]message) {
	s.Helper()
	names, err := filepath.Glob(filepath.Join(s.dir, "*"+wireSuffix))
	if err != nil {
		s.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			s.Fatal(err)
		}
		var conversation []message
		for line := range bytes.Lines(text) {
			var entry struct {
				From    string          `json:"from"`
				Message json.RawMessage `json:"message"`
			}
			if err := json.Unmarshal(line, &entry); err != nil {
				s.Fatalf("%s: %v in %s", name, err, line)
			}
			m := message{From: entry.From, Raw: entry.Message}
			if m.From != fromRelay {
				if err := json.Unmarshal(entry.Message, &m); err != nil {
					s.Fatalf("%v in %s", err, entry.Message)
				}
			}
			conversation = append(conversation, m)
		}
		all = append(all, conversation)
	}
	return all
}

// transcript is what was recorded, for failures.
func (s *story) transcript() string {
	var all strings.Builder
	for i, conversation := range s.conversations() {
		for _, m := range conversation {
			fmt.Fprintf(&all, "%d %s %s\n", i, m.From, m.Raw)
		}
	}
	return all.String()
}
