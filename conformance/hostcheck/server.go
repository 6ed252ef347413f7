package hostcheck

import (
	"encoding/json"
	"slices"
)

// implementation is what the server says of itself.
var implementation = map[string]any{"name": serverName, "title": "Hostcheck notebook", "version": "1.0.0"}

// serverName is also what hosts are told to call it.
const serverName = "hostcheck"

// The tools of the server. Which one is called matters to no scenario but those
// that mix them.
const (
	toolSearch = "notes_search"
	toolAdd    = "notes_add"
)

var toolList = []any{tool(toolSearch, "Searches the notebook."), tool(toolAdd, "Adds to the notebook.")}

func tool(name, description string) any {
	return map[string]any{
		"name": name, "description": description,
		"inputSchema": map[string]any{
			"type": "object",
			"properties": map[string]any{
				"call": map[string]any{"type": "string", "description": "What the checklist calls this call."},
				"text": map[string]any{"type": "string"},
			},
			"required": []string{"call"},
		},
		// Hosts ask before they call a tool that may change something, and some
		// refuse where nobody can be asked.
		"annotations": map[string]any{"readOnlyHint": true, "idempotentHint": true, "openWorldHint": false},
	}
}

// olderRevisions are those whose initialize is answered in kind: they differ in
// nothing that the scenarios use, and some hosts of this year send them.
var olderRevisions = []string{Legacy, "2025-06-18", "2025-03-26", "2024-11-05"}

// hear takes one message of the host: it answers what a server answers at once,
// and gives calls of tools to the scenario.
func (st *stage) hear(l *line, back channel, s *session) {
	switch l.kind {
	case garbage:
		st.note(l.conn, "this is no JSON-RPC message")
		back.last()
	case response:
		st.hearResponse(l)
		back.last()
	case notification:
		st.hearNotification(l)
		back.last()
	case request:
		st.hearRequest(l, back, s)
	}
}

func (st *stage) hearResponse(l *line) {
	if st.protocol == Modern {
		st.find("B20", failed, "the host sent a JSON-RPC response; in this protocol it answers by retrying its request", l.event)
		return
	}
	var id string
	_ = json.Unmarshal(l.ID, &id)
	st.guard.Lock()
	got := st.pending[id]
	delete(st.pending, id)
	st.guard.Unlock()
	if got == nil {
		st.note(l.conn, "this answers nothing that is open")
		return
	}
	got <- l // has room for the one response that is taken
}

func (st *stage) hearNotification(l *line) {
	if l.Method != "notifications/cancelled" {
		return
	}
	var p struct {
		RequestID json.RawMessage `json:"requestId"`
	}
	_ = json.Unmarshal(l.Params, &p)
	st.checkCancel(p.RequestID, l)
}

func (st *stage) hearRequest(l *line, back channel, s *session) {
	c := &call{line: l, callParams: parseParams(l.Params), back: back}
	if st.protocol == Modern {
		c.declared = elicitationModes(c.Meta[metaCapabilities])
	} else {
		st.guard.Lock()
		c.declared = elicitationModes(s.capabilities)
		st.guard.Unlock()
	}
	st.checkRequest(c, st.register(c))
	switch {
	case l.Method == "tools/call" && st.speaks(c, s):
		st.arrived(c)
		return
	case l.Method == "initialize" && st.protocol == Legacy:
		st.initialize(c, s)
		return
	}
	if !st.speaks(c, s) {
		st.refuse(c)
		return
	}
	switch l.Method {
	case "ping":
		if st.protocol == Modern {
			st.answer(c, fault(-32601, "Method not found", nil))
			return
		}
		st.answer(c, success(map[string]any{}))
	case "tools/list":
		st.answer(c, success(st.listed(map[string]any{"tools": toolList})))
	case "server/discover":
		st.answer(c, success(st.listed(map[string]any{
			"supportedVersions": []string{Modern}, "capabilities": map[string]any{"tools": map[string]any{}},
		})))
	case "subscriptions/listen":
		// It stays open: nothing ever changes here.
		_ = c.back.send(notice("notifications/subscriptions/acknowledged", map[string]any{
			"_meta": map[string]any{metaSubscription: c.ID}, "notifications": map[string]any{},
		}))
	default:
		st.answer(c, fault(-32601, "Method not found", nil))
	}
}

// register counts a request among those in flight. It returns the others that
// await an answer: in the same process, or over HTTP from the same host.
// Subscriptions, which are never answered, count. It is one step, so that of two
// requests at the same moment one finds the other.
func (st *stage) register(c *call) []*call {
	c.cancelled = make(chan struct{})
	st.guard.Lock()
	defer st.guard.Unlock()
	var others []*call
	for _, other := range st.requests {
		if other.answered == 0 && other.stopped == 0 && (st.transport == HTTP || other.conn == c.conn) {
			others = append(others, other)
		}
	}
	st.requests = append(st.requests, c)
	return others
}

// speaks says whether a request is one of the era that the server speaks.
func (st *stage) speaks(c *call, s *session) bool {
	if st.protocol == Modern {
		return c.Method != "initialize"
	}
	st.guard.Lock()
	defer st.guard.Unlock()
	return s.line != nil && c.Method != "server/discover" && c.Method != "subscriptions/listen"
}

const notInitialized = "this server has not been initialized"

// refuse answers a request of the other era as a server does that knows of no
// other.
func (st *stage) refuse(c *call) {
	if st.protocol == Modern {
		st.block("the host initializes, as in the older protocol, and this server speaks " + Modern)
		st.answer(c, fault(-32022, "Unsupported protocol version", map[string]any{
			"supported": []string{Modern}, "requested": Legacy,
		}))
		return
	}
	if c.Method == "tools/call" {
		st.block("the host does not initialize, and this server speaks " + Legacy)
	}
	code := st.scenario.refusal
	if code == 0 {
		code = -32601
	}
	st.answer(c, fault(code, notInitialized, nil))
}

func (st *stage) initialize(c *call, s *session) {
	var p struct {
		ProtocolVersion string          `json:"protocolVersion"`
		Capabilities    json.RawMessage `json:"capabilities"`
	}
	_ = json.Unmarshal(c.Params, &p)
	version := Legacy
	if slices.Contains(olderRevisions, p.ProtocolVersion) {
		version = p.ProtocolVersion
	}
	st.guard.Lock()
	s.capabilities, s.line = p.Capabilities, c.line
	st.sessions = append(st.sessions, s)
	st.guard.Unlock()
	st.answer(c, success(map[string]any{
		"protocolVersion": version, "serverInfo": implementation,
		"capabilities": map[string]any{"tools": map[string]any{}},
	}))
}

// listed completes a result that can be cached.
func (st *stage) listed(r map[string]any) map[string]any {
	if st.protocol == Modern {
		r["resultType"], r["ttlMs"], r["cacheScope"] = "complete", 0, "public"
		st.sign(r)
	}
	return r
}

func success(result any) map[string]any { return map[string]any{"result": result} }

func fault(code int, message string, data any) map[string]any {
	e := map[string]any{"code": code, "message": message}
	if data != nil {
		e["data"] = data
	}
	return map[string]any{"error": e}
}
