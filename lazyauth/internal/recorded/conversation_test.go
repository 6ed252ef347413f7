package recorded_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// An rpc is a JSON-RPC message, as far as hosts and judges look into it.
type rpc struct {
	raw    []byte
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		Name            string             `json:"name"`
		Arguments       map[string]any     `json:"arguments"`
		Meta            map[string]any     `json:"_meta"`
		ProtocolVersion string             `json:"protocolVersion"`
		Capabilities    capabilities       `json:"capabilities"`
		ClientInfo      mcp.Implementation `json:"clientInfo"`
		RequestState    string             `json:"requestState"`
		InputResponses  map[string]said    `json:"inputResponses"`
		RequestID       json.RawMessage    `json:"requestId"`
		ProgressToken   any                `json:"progressToken"`
		Progress        float64            `json:"progress"`
		elicitationFields
	} `json:"params"`
	Result *struct {
		said
		Content         json.RawMessage `json:"content"` // an object in answers to elicitations
		IsError         bool            `json:"isError"`
		Meta            map[string]any  `json:"_meta"`
		ResultType      string          `json:"resultType"`
		RequestState    string          `json:"requestState"`
		ProtocolVersion string          `json:"protocolVersion"`
		InputRequests   map[string]struct {
			Method string            `json:"method"`
			Params elicitationFields `json:"params"`
		} `json:"inputRequests"`
	} `json:"result"`
	Error *struct {
		Code int `json:"code"`
	} `json:"error"`
}

// Said is a host's answer to an elicitation.
type said struct {
	Action string `json:"action"`
}

type elicitationFields struct {
	Mode          string `json:"mode"`
	Message       string `json:"message"`
	URL           string `json:"url"`
	ElicitationID string `json:"elicitationId"`
}

type capabilities struct {
	Elicitation *struct {
		Form *struct{} `json:"form"`
		URL  *struct{} `json:"url"`
	} `json:"elicitation"`
}

// declares reports whether the mode is declared. A bare "elicitation": {} means form.
func (c capabilities) declares(mode string) bool {
	switch e := c.Elicitation; {
	case e == nil:
		return false
	case mode == "url":
		return e.URL != nil
	default:
		return e.Form != nil || e.URL == nil
	}
}

func readMessage(raw []byte) (rpc, error) {
	m := rpc{raw: bytes.Clone(raw)}
	err := json.Unmarshal(raw, &m)
	return m, err
}

// modern reports whether a request speaks revision 2026-07-28.
func (m rpc) modern() bool {
	version, _ := m.Params.Meta[mcp.MetaKeyProtocolVersion].(string)
	return version >= world.Modern
}

// capabilities returns what a modern request declares.
func (m rpc) capabilities() (c capabilities) {
	text, _ := json.Marshal(m.Params.Meta[mcp.MetaKeyClientCapabilities])
	json.Unmarshal(text, &c)
	return c
}

// token returns the request's progress token in JSON, or "".
func (m rpc) token() string { return inJSON(m.Params.Meta["progressToken"]) }

func inJSON(v any) string {
	if v == nil {
		return ""
	}
	text, _ := json.Marshal(v)
	return string(text)
}

// text returns a tool result's text.
func (m rpc) text() string {
	var content []struct{ Text string }
	json.Unmarshal(m.Result.Content, &content)
	var b strings.Builder
	for _, c := range content {
		b.WriteString(c.Text)
	}
	return b.String()
}

// A conversation is one run of a recorded host, taken apart into what a double needs to
// behave like it: from one start of the server to the next.
type conversation struct {
	name string // of the recording
	host string // as it names itself

	// opening is what the host says before its first call, at these times. It sends none
	// before the requests in its answered have been answered.
	opening []opening
	// refused is set if the host tries the newer era first, and was refused.
	refused bool
	// calls are those that the host makes of its own accord. Retries that the probe caused
	// are not among them.
	calls []recordedCall
	// answers are what the host answered to the probe's prompts, in their order.
	answers []reactionTime
	// gives is how the host gives up or is interrupted, if the probe let it come so far.
	gives *givesUp
	// afterthought is a cancellation that the host sends so long after a call was answered.
	afterthought *cancellation
	// farewell is what it says at the end.
	farewell []recordedLine
}

type recordedLine struct {
	at time.Duration // since the conversation began
	rpc
}

type opening struct {
	recordedLine
	answered []string // ids
}

type recordedCall struct {
	recordedLine
	id int
}

// A reactionTime is what a host answers to a prompt, and when.
type reactionTime struct {
	action string // "" if it never answers
	after  time.Duration
	late   bool // after counts from the completion, not from the prompt
}

// byItself reports whether no person can have been behind the answer.
func (r reactionTime) byItself() bool { return r.refuses() && r.after < time.Second }

func (r reactionTime) refuses() bool { return r.action == "decline" || r.action == "cancel" }

// givesUp is how a host ends a call that was not answered.
type givesUp struct {
	after    time.Duration // since it made the call
	messages []rpc         // that it sends then
}

type cancellation struct {
	after time.Duration
	rpc
}

// recordings reads all recorded conversations, by the name of their file.
func recordings(t *testing.T) map[string][]*conversation {
	t.Helper()
	files, err := filepath.Glob("testdata/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	all := make(map[string][]*conversation)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".jsonl")
		runs := [][]recorded{nil}
		for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
			var r recorded
			if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if r.Note != "" {
				runs = append(runs, nil)
				continue
			}
			if r.rpc, err = readMessage(r.Message); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			runs[len(runs)-1] = append(runs[len(runs)-1], r)
		}
		for _, run := range runs {
			c, err := takeApart(name, run)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			all[name] = append(all[name], c)
		}
	}
	return all
}

// Recorded is one line of a recording.
type recorded struct {
	MS      int64           `json:"ms"`
	From    string          `json:"from"`
	Note    string          `json:"note"`
	Message json.RawMessage `json:"message"`
	rpc
}

func (r recorded) at() time.Duration { return time.Duration(r.MS) * time.Millisecond }

// takeApart makes a conversation of a recorded run.
func takeApart(name string, run []recorded) (*conversation, error) {
	c := &conversation{name: name}
	if len(run) == 0 {
		return nil, fmt.Errorf("an empty run")
	}
	began := run[0].at()
	var (
		answered []string                         // ids of the host's requests
		when     = make(map[string]time.Duration) // of requests, answers and prompts, see below
		prompts  = make(map[string]int)           // prompts by id or state, as an index into answers
		bounced  = make(map[string]bool)          // ids of calls that got -32042
		call     = func(id string) string { return "call " + id }
		answer   = func(id string) string { return "answer " + id }
		prompt   = func(id string) string { return "prompt " + id }
		asked    = func(id string, at time.Duration) {
			prompts[id] = len(c.answers)
			when[prompt(id)] = at
			c.answers = append(c.answers, reactionTime{})
		}
	)
	for _, r := range run {
		line, id := recordedLine{r.at() - began, r.rpc}, string(r.ID)
		if r.From == "server" {
			switch {
			case r.Method == "elicitation/create":
				asked(id, line.at)
			case r.Method == "notifications/elicitation/complete":
				when["complete"] = line.at
			case r.Method != "" || id == "":
			case r.Result != nil && r.Result.ResultType == "input_required":
				asked(r.Result.RequestState, line.at)
			default:
				answered = append(answered, id)
				when[answer(id)] = line.at
				bounced[id] = r.Error != nil && r.Error.Code == -32042
				c.refused = c.refused || r.Error != nil && r.Error.Code == mcp.CodeUnsupportedProtocolVersion
			}
			continue
		}
		switch {
		case r.Method == "tools/call" && r.Params.RequestState != "":
			n, ok := prompts[r.Params.RequestState]
			if !ok || len(r.Params.InputResponses) != 1 {
				return nil, fmt.Errorf("a retry that answers no prompt: %s", r.raw)
			}
			for _, s := range r.Params.InputResponses {
				c.answers[n] = reactionTime{action: s.Action, after: line.at - when[prompt(r.Params.RequestState)]}
			}
		case r.Method == "tools/call":
			if slices.ContainsFunc(c.calls, func(before recordedCall) bool {
				return bounced[strconv.Itoa(before.id)] && before.Params.Name == r.Params.Name && reflect.DeepEqual(before.Params.Arguments, r.Params.Arguments)
			}) {
				continue // again, because of -32042
			}
			n, err := strconv.Atoi(id)
			if err != nil {
				return nil, err
			}
			c.calls = append(c.calls, recordedCall{line, n})
			when[call(id)] = line.at
		case r.Method == "" && r.Result != nil:
			n, ok := prompts[id]
			if !ok {
				return nil, fmt.Errorf("an answer to no prompt: %s", r.raw)
			}
			c.answers[n] = reactionTime{action: r.Result.Action, after: line.at - when[prompt(id)]}
			if over, ok := when["complete"]; ok {
				c.answers[n].after, c.answers[n].late = line.at-over, true
			}
		case r.Method == "notifications/cancelled":
			id := string(r.Params.RequestID)
			made, isCall := when[call(id)]
			over, isOver := when[answer(id)]
			switch {
			case !isCall:
				c.farewell = append(c.farewell, line)
			case isOver:
				c.afterthought = &cancellation{line.at - over, r.rpc}
			case c.gives == nil:
				c.gives = &givesUp{line.at - made, []rpc{r.rpc}}
			default:
				c.gives.messages = append(c.gives.messages, r.rpc)
			}
		case len(c.calls) == 0:
			c.opening = append(c.opening, opening{line, slices.Clone(answered)})
			if info, ok := r.Params.Meta[mcp.MetaKeyClientInfo].(map[string]any); ok {
				c.host, _ = info["name"].(string)
			}
			if r.Method == "initialize" {
				c.host = r.Params.ClientInfo.Name
			}
		case r.Method == "tools/list":
			// The probe's tools had changed. Ours do not.
		default:
			return nil, fmt.Errorf("what is this for? %s", r.raw)
		}
	}
	return c, nil
}

// What stories are told from is in the recordings, and not in the double.
func TestRecordingsTakenApart(t *testing.T) {
	all := recordings(t)
	ms := time.Millisecond
	for _, test := range []struct {
		name    string
		run     int
		host    string
		opening int // messages before the first call
		calls   int
		answers []reactionTime
		gives   time.Duration
		says    int // messages when it gives up
		refused bool
	}{
		{name: "cline.timeout-60s", host: "@cline/core", opening: 3, calls: 1},
		{name: "codex-app-server.accept", run: 1, host: "codex-mcp-client", opening: 3, calls: 1, answers: []reactionTime{{action: "decline", after: 1504 * ms}}},
		{name: "codex-tui.http-silent-decline", host: "codex-mcp-client", opening: 3, calls: 1, answers: []reactionTime{{action: "decline", after: 14 * ms}}},
		{name: "copilot-p.modern-auto-decline", run: 1, host: "copilot-cli", opening: 5, calls: 1, answers: []reactionTime{{action: "decline"}}},
		{name: "copilot-tui.legacy-accept", host: "copilot-cli", opening: 4, calls: 1, answers: []reactionTime{{}}, refused: true},
		{name: "copilot-tui.modern-accept", host: "copilot-cli", opening: 3, calls: 1, answers: []reactionTime{{action: "accept", after: 35928 * ms}}},
		{name: "copilot.interrupt", host: "copilot-cli", opening: 3, calls: 1, gives: 3738 * ms, says: 1},
		{name: "go-sdk.modern-accept", host: "gosdk", opening: 2, calls: 2, answers: []reactionTime{{action: "accept"}, {action: "accept", after: ms}}},
		{name: "inspector-web.legacy", run: 0, host: "mcp-inspector", opening: 3},
		{name: "inspector-web.legacy", run: 2, host: "mcp-inspector", opening: 3, calls: 1, answers: []reactionTime{{action: "accept", after: 66 * ms, late: true}}},
		{name: "inspector-web.legacy-2", host: "mcp-inspector", opening: 3, calls: 1},
		{name: "opencode.timeout-60s", host: "opencode", opening: 3, calls: 1, gives: 60020 * ms, says: 2},
		{name: "qwen.progress", host: "qwen-cli-mcp-client-probe", opening: 5, calls: 1},
		{name: "ts-sdk-v1.32042", host: "sdk1", opening: 3, calls: 2},
		{name: "ts-sdk-v2.modern-accept", run: 0, host: "sdk2", opening: 1},
	} {
		c := all[test.name][test.run]
		if c.host != test.host || len(c.opening) != test.opening || len(c.calls) != test.calls || !slices.Equal(c.answers, test.answers) || c.refused != test.refused {
			t.Errorf("%s %d: host %s, %d messages, %d calls, answers %v, refused: %t", test.name, test.run, c.host, len(c.opening), len(c.calls), c.answers, c.refused)
		}
		var gives givesUp
		if c.gives != nil {
			gives = *c.gives
		}
		if gives.after != test.gives || len(gives.messages) != test.says {
			t.Errorf("%s %d: gives up after %v with %d messages", test.name, test.run, gives.after, len(gives.messages))
		}
	}
	if a := all["opencode.progress"][0].afterthought; a == nil || a.after != 66*ms {
		t.Errorf("opencode cancels what was answered: %+v", a)
	}
	if f := all["copilot.modern-parallel"][0].farewell; len(f) != 1 {
		t.Errorf("copilot ends its subscription: %+v", f)
	}
}
