package refhost

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// A message is a JSON-RPC message of the server.
type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *rpcError       `json:"error"`
}

type rpcError struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data"`
}

// A link carries messages to the server. What comes back goes to
// client.receive.
type link interface {
	// send carries a request, and returns at once. When nothing more can come
	// for it, ended is called with the reason. The context ends the exchange.
	send(ctx context.Context, raw []byte, head head, ended func(error))
	// post carries a notification or a response.
	post(ctx context.Context, raw []byte) error
	close()
	dead() bool
}

// head is what HTTP headers say of a request.
type head struct {
	method, name string
	params       map[string]string // what mirrors parameters of the call
}

// A client speaks to one server process, or to one HTTP server.
type client struct {
	h      *host
	link   link
	modern bool

	mu      sync.Mutex
	next    int
	pending map[string]*outgoing
	gaveUp  map[string]bool   // by id
	last    map[string]string // the id of the latest request of a call
	known   toolset
	version string // of the newer era
}

// An outgoing request.
type outgoing struct {
	id       string
	done     chan message  // has room for one
	lost     chan error    // the way back is gone; has room for one
	progress chan struct{} // has room for one
}

func (c *client) dead() bool { return c.link.dead() }
func (c *client) close()     { c.link.close() }

// oddID is the id of the nth request, as few hosts number them.
func oddID(n int) string {
	switch n % 4 {
	case 0:
		return fmt.Sprintf(`"request-%d: \u00e9"`, n)
	case 1:
		return strconv.Itoa(-n)
	case 2:
		return strconv.Itoa(1<<53 + 2*n + 1)
	}
	return strconv.Itoa(n - 3) // zero, the first time
}

// request makes one request and waits for its response. A request of the newer
// era whose stream broke is sent once more.
func (c *client) request(ctx context.Context, method string, params map[string]any, call hostcheck.Call) (message, error) {
	r, err := c.try(ctx, method, params, call, "")
	if broken, ok := errors.AsType[*brokenError](err); ok && c.modern && c.h.habit != GivesUpBroken {
		reuse := ""
		if c.h.fault == SameIDAfterBreak {
			reuse = broken.id
		}
		return c.try(ctx, method, params, call, reuse)
	}
	return r, err
}

// A brokenError says that a response stream ended before the response.
type brokenError struct {
	id  string
	err error
}

func (e *brokenError) Unwrap() error { return e.err }
func (e *brokenError) Error() string { return "the response stream broke: " + e.err.Error() }

func (c *client) try(ctx context.Context, method string, params map[string]any, call hostcheck.Call, reuse string) (message, error) {
	out := &outgoing{done: make(chan message, 1), lost: make(chan error, 1), progress: make(chan struct{}, 1)}
	c.mu.Lock()
	c.next++
	out.id = strconv.Itoa(c.next)
	retry := params["inputResponses"] != nil || params["requestState"] != nil
	switch {
	case c.h.habit == OddIDs:
		out.id = oddID(c.next)
	case reuse != "":
		out.id = reuse
	case c.h.fault == RetryKeepsID && retry:
		out.id = c.last[call.ID]
	case c.h.fault == ReusesIDs && !c.modern && method == "tools/call" && c.pending["99"] == nil && !c.gaveUp["99"]:
		out.id = "99"
	case c.h.fault == FractionalIDs && !c.modern:
		out.id += ".5"
	}
	c.pending[out.id] = out
	c.last[call.ID] = out.id
	c.mu.Unlock()

	raw := c.encode(out.id, method, params)
	exchange, stop := context.WithCancel(c.h.begun)
	if c.h.fault == SameIDs && c.modern && method == "tools/call" {
		listen := c.encode(out.id, "subscriptions/listen", map[string]any{"notifications": map[string]any{}})
		c.link.send(c.h.begun, listen, head{method: "subscriptions/listen"}, func(error) {})
	}
	h := head{method: method, name: cmp.Or(call.Tool, call.Prompt, call.Resource), params: c.headers(call.Tool, call.Arguments)}
	if retry && c.h.fault == RetryWithoutName {
		h.name = ""
	}
	c.link.send(exchange, raw, h, func(err error) {
		select {
		case out.lost <- err:
		default:
		}
	})
	r, err := c.wait(ctx, out, call)
	switch {
	case err == nil, c.drains(err):
		// The exchange ends by itself.
		context.AfterFunc(c.h.begun, stop)
	default:
		stop()
	}
	c.mu.Lock()
	if c.pending[out.id] == out {
		delete(c.pending, out.id)
	}
	if errors.Is(err, errTimeout) {
		c.gaveUp[out.id] = true
	}
	c.mu.Unlock()
	return r, err
}

// drains says whether a request that was given up may still be answered: in the
// older era the stream stays, and what comes late is ignored.
func (c *client) drains(err error) bool {
	return errors.Is(err, errTimeout) && (!c.modern || c.h.fault == NeverHangsUp)
}

// encode builds a request.
func (c *client) encode(id, method string, params map[string]any) []byte {
	full := make(map[string]any)
	maps.Copy(full, params)
	meta := c.meta(method)
	if _, ok := params["_meta"]; ok { // the fault that forgets them on a retry
		delete(meta, "io.modelcontextprotocol/protocolVersion")
	}
	switch {
	case method != "tools/call":
	case c.h.fault == OneProgressToken:
		meta["progressToken"] = "progress"
	default:
		meta["progressToken"] = "progress-" + id
	}
	if len(meta) > 0 {
		full["_meta"] = meta
	} else {
		delete(full, "_meta")
	}
	return c.written(map[string]any{"jsonrpc": "2.0", "id": json.RawMessage(id), "method": method, "params": full})
}

// written is a message as it goes over the wire, spoilt in the way of the fault.
func (c *client) written(m map[string]any) []byte {
	switch c.h.fault {
	case NoVersionMember:
		delete(m, "jsonrpc")
	case OldJSONRPC:
		m["jsonrpc"] = "1.0"
	case WritesLatin1:
		return bytes.ReplaceAll(mustJSON(m), []byte(`\u003e ü"`), []byte("\\u003e \xfc\"")) // in the arguments
	}
	return mustJSON(m)
}

func (c *client) meta(method string) map[string]any {
	if !c.modern {
		return map[string]any{}
	}
	c.mu.Lock()
	version := c.version
	c.mu.Unlock()
	meta := map[string]any{
		"io.modelcontextprotocol/protocolVersion":    version,
		"io.modelcontextprotocol/clientInfo":         clientInfo,
		"io.modelcontextprotocol/clientCapabilities": c.h.capabilities(),
	}
	switch {
	case c.h.fault == DeclaresOnce && method == "tools/list":
		meta["io.modelcontextprotocol/clientCapabilities"] = map[string]any{}
	case c.h.fault == NamelessRetry && method == "tools/list":
		delete(meta, "io.modelcontextprotocol/clientInfo")
	case c.h.habit == Nameless:
		delete(meta, "io.modelcontextprotocol/clientInfo")
	}
	return meta
}

var clientInfo = map[string]any{"name": "refhost", "version": "1.0.0"}

func (h *host) capabilities() map[string]any {
	switch h.habit {
	case NoElicitation:
		return map[string]any{}
	case FormsAlone:
		return map[string]any{"elicitation": map[string]any{"form": map[string]any{}}}
	case URLsAlone:
		return map[string]any{"elicitation": map[string]any{"url": map[string]any{}}}
	}
	switch h.fault {
	case DeclaresNothing, CancelsUnseen:
		return map[string]any{}
	case DeclaresNoMode:
		return map[string]any{"elicitation": map[string]any{"sketch": map[string]any{}}}
	case CancelsUndeclaredModes:
		return map[string]any{"elicitation": map[string]any{"form": map[string]any{}}}
	case DeclaresEmpty:
		return map[string]any{"elicitation": map[string]any{}}
	}
	return map[string]any{"elicitation": map[string]any{"form": map[string]any{}, "url": map[string]any{}}}
}

// modes are those that a host with a habit declares; nil for all.
func (h *host) modes() []string {
	switch h.habit {
	case NoElicitation:
		return []string{}
	case FormsAlone:
		return []string{"form"}
	case URLsAlone:
		return []string{"url"}
	}
	return nil
}

// modeOf is the mode of an elicitation, which is form if it has none.
func modeOf(e elicitation) string { return cmp.Or(e.Mode, "form") }

func (c *client) notify(method string, params map[string]any) {
	m := map[string]any{"jsonrpc": "2.0", "method": method}
	if params != nil {
		m["params"] = params
	}
	_ = c.link.post(c.h.begun, c.written(m)) // nobody answers a notification
}

// receive takes a message of the server.
func (c *client) receive(raw []byte) {
	var m message
	if json.Unmarshal(raw, &m) != nil {
		return
	}
	switch {
	case m.Method == "":
		c.mu.Lock()
		out := c.pending[string(m.ID)]
		if c.h.fault == UsesLateResponses && out == nil && c.gaveUp[string(m.ID)] {
			for _, other := range c.pending {
				out = other
			}
		}
		if c.h.fault == CrashesOnLate && out == nil && c.gaveUp[string(m.ID)] {
			c.h.crash(errors.New("a response that nobody waits for"))
		}
		delete(c.pending, string(m.ID))
		c.mu.Unlock()
		if out != nil {
			select {
			case out.done <- m:
			default:
			}
		}
	case len(m.ID) > 0:
		go c.serve(m)
	case m.Method == "notifications/progress":
		c.progressed(m.Params)
	case m.Method == "notifications/elicitation/complete":
		var p struct {
			ID string `json:"elicitationId"`
		}
		_ = json.Unmarshal(m.Params, &p)
		c.h.complete(p.ID)
	}
}

// fail has the calls that wait come to an error, as no notification should.
func (c *client) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, out := range c.pending {
		select {
		case out.lost <- err:
		default:
		}
	}
}

func (c *client) progressed(params json.RawMessage) {
	var p struct {
		Token string `json:"progressToken"`
	}
	_ = json.Unmarshal(params, &p)
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, out := range c.pending {
		if p.Token == "progress-"+id || c.h.fault == OneProgressToken {
			select {
			case out.progress <- struct{}{}:
			default:
			}
		}
	}
}

// serve answers a request of the server. The newer era has none.
func (c *client) serve(m message) {
	if c.modern && c.h.fault != AnswersRequests {
		return
	}
	body := map[string]any{"jsonrpc": "2.0", "id": m.ID}
	switch m.Method {
	case "ping":
		if c.h.fault == IgnoresPings {
			return
		}
		body["result"] = map[string]any{}
	case "elicitation/create":
		c.elicit(m, body)
	default:
		body["error"] = map[string]any{"code": -32601, "message": "Method not found"}
	}
	if c.h.begun.Err() != nil {
		return // the host is no more
	}
	switch c.h.fault {
	case AnswersTwice:
		_ = c.link.post(c.h.begun, c.written(body))
	case AnswersNobody:
		_ = c.link.post(c.h.begun, c.written(map[string]any{"jsonrpc": "2.0", "id": 4711, "result": map[string]any{}}))
	}
	_ = c.link.post(c.h.begun, c.written(body)) // the server finds out by itself if it is gone
}

func (c *client) elicit(m message, body map[string]any) {
	var e elicitation
	if json.Unmarshal(m.Params, &e) != nil {
		body["error"] = map[string]any{"code": -32602, "message": "Invalid params"}
		return
	}
	if e.Mode == "url" && c.h.fault == CancelsUndeclaredModes || c.h.fault == CancelsUnseen {
		body["result"] = map[string]any{"action": "cancel"}
		return
	}
	if mode, declared := modeOf(e), c.h.modes(); declared != nil && !slices.Contains(declared, mode) {
		body["error"] = map[string]any{"code": -32602, "message": fmt.Sprintf("the mode %q was not declared", mode)}
		return
	}
	known := e.Mode == "" || e.Mode == "form" || e.Mode == "url"
	switch {
	case !known && c.h.habit == CancelsUnknownModes:
		body["result"] = map[string]any{"action": "cancel"}
		return
	case !known, e.Mode == "" && c.h.fault == NeedsMode, e.Mode == "url" && c.h.fault == DeclaresNoMode:
		body["error"] = map[string]any{"code": -32602, "message": fmt.Sprintf("the mode %q was not declared", e.Mode)}
		return
	}
	if e.ID != "" {
		c.h.await(e.ID)
	}
	body["result"] = c.h.elicit(c.h.begun, e)
}
