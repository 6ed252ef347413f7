package hostcheck

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// implementation is what the server says of itself.
var implementation = map[string]any{"name": serverName, "title": serverTitle, "version": "1.0.0"}

// serverName is also what hosts are told to call it.
const (
	serverName  = "hostcheck"
	serverTitle = "Hostcheck notebook"
)

// olderRevisions are those whose initialize is answered in kind: they differ in
// nothing that the scenarios use, and some hosts of this year send them.
var olderRevisions = []string{Legacy, "2025-06-18", "2025-03-26", "2024-11-05"}

// Hear takes one message of the host: it answers what a server answers at once,
// and gives calls of tools to the scenario. It is part of [wire.Handler].
func (s *session) Hear(l *wire.Line, back wire.Channel, p *wire.Peer) {
	if l.Header == nil {
		judgeLine(s, l)
	}
	switch l.Kind {
	case wire.Garbage:
		s.Note(l.Conn, "this is no JSON-RPC message")
		back.Last()
	case wire.Response:
		s.hearResponse(l)
		back.Last()
	case wire.Notification:
		s.hearNotification(l)
		back.Last()
	case wire.Request:
		s.hearRequest(l, back, p)
	}
}

func (s *session) hearResponse(l *wire.Line) {
	if s.protocol == Modern {
		judgeResponse(s.observer, l)
		return
	}
	var id string
	_ = json.Unmarshal(l.ID, &id)
	s.guard.Lock()
	got := s.pending[id]
	delete(s.pending, id)
	s.guard.Unlock()
	if got == nil {
		s.Note(l.Conn, "this answers nothing that is open")
		return
	}
	got <- l // has room for the one response that is taken
}

func (s *session) hearNotification(l *wire.Line) {
	if l.Method != "notifications/cancelled" {
		return
	}
	var p struct {
		RequestID json.RawMessage `json:"requestId"`
	}
	_ = json.Unmarshal(l.Params, &p)
	judgeCancellation(s.observer, s.cancels(p.RequestID, l))
}

func (s *session) hearRequest(l *wire.Line, back wire.Channel, p *wire.Peer) {
	c := &call{Line: l, CallParams: wire.ParseParams(l.Params), back: back}
	if s.protocol == Modern {
		c.declared = wire.ElicitationModes(c.Meta[wire.MetaCapabilities])
	} else {
		capabilities, _ := p.Initialized()
		c.declared = wire.ElicitationModes(capabilities)
	}
	s.register(c)
	judgeRequest(s.observer, c)
	echo := c.echoes()
	c.others, c.earlier = nil, nil // which would be kept for as long as this one
	if echo {
		s.Note(l.Conn, "this is what came before, under the same id, and is not answered again")
		return
	}
	if version := c.String(wire.MetaVersion); s.protocol == Modern && l.Method != "initialize" && version != "" &&
		!slices.Contains(s.supported(), version) {
		s.answer(c, s.unsupported(version))
		return
	}
	switch {
	case l.Method == "tools/call" && s.speaks(c, p) && !s.hasTool(c.Name):
		s.mistake(fmt.Sprintf("it calls the tool %q, which the server does not have", wire.Excerpt([]byte(c.Name), 60)))
		s.answer(c, fault(invalidParams, "Unknown tool: "+c.Name, nil))
		return
	case s.takes(l.Method) && s.speaks(c, p):
		if l.Method == "tools/call" && c.Label() == "" {
			s.mistake("a call lacks the arguments that it is told to have")
		}
		s.arrived(c)
		return
	case l.Method == "initialize" && s.protocol == Legacy:
		s.initialize(c, p)
		return
	}
	if !s.speaks(c, p) {
		s.refuse(c)
		return
	}
	switch l.Method {
	case "ping":
		if s.protocol == Modern {
			s.answer(c, fault(-32601, "Method not found", nil))
			return
		}
		s.answer(c, success(map[string]any{}))
	case "tools/list":
		s.answer(c, success(s.listed(map[string]any{"tools": s.tools()})))
	case "server/discover":
		s.answer(c, success(s.listed(map[string]any{
			"supportedVersions": []string{Modern}, "capabilities": s.capabilities(),
		})))
	case "subscriptions/listen":
		// It stays open: nothing ever changes here.
		_ = c.back.Send(notice("notifications/subscriptions/acknowledged", map[string]any{
			"_meta": map[string]any{wire.MetaSubscription: c.ID}, "notifications": map[string]any{},
		}))
	default:
		if list := s.offered(l.Method); list != nil {
			s.answer(c, success(s.listed(list)))
			return
		}
		s.answer(c, fault(-32601, "Method not found", nil))
	}
}

// capabilities are those of the server.
func (s *session) capabilities() map[string]any {
	out := map[string]any{"tools": map[string]any{}}
	if s.scenario.listens {
		out["tools"] = map[string]any{"listChanged": true}
	}
	if s.scenario.offers && s.protocol == Modern {
		out["resources"], out["prompts"] = map[string]any{}, map[string]any{}
	}
	return out
}

// Dropped stops the requests whose way back is gone. It is part of [wire.Handler].
func (s *session) Dropped(back wire.Channel) {
	s.guard.Lock()
	defer s.guard.Unlock()
	if s.closed || s.ctx.Err() != nil {
		return // it is the suite that ends the host
	}
	if p, ok := back.(*wire.Pipe); ok && !p.Died() {
		closed, event := p.Ended()
		s.ended = append(s.ended, serverEnd{closed, event})
	}
	for _, c := range s.requests {
		if c.back == back {
			c.hungUp = s.moment()
			s.stop(c, nil)
		}
	}
}

// Posted judges an HTTP request as such. It is part of [wire.Handler].
func (s *session) Posted(l *wire.Line) {
	judgeLine(s, l)
	judgePost(s.observer, l)
}

// Requested judges an HTTP request without a message. It is part of [wire.Handler].
func (s *session) Requested(b *wire.Bare) {
	if b.Method == http.MethodDelete {
		s.guard.Lock()
		s.deleted = append(s.deleted, b.Header.Get("Mcp-Session-Id"))
		s.guard.Unlock()
	}
	judgeBare(s, b)
}

// speaks says whether a request is one of the era that the server speaks.
func (s *session) speaks(c *call, p *wire.Peer) bool {
	if s.protocol == Modern {
		return c.Method != "initialize"
	}
	_, initialized := p.Initialized()
	return initialized != nil && c.Method != "server/discover" && c.Method != "subscriptions/listen"
}

// refuse answers a request of the other era as a server does that knows of no
// other.
func (s *session) refuse(c *call) {
	if s.protocol == Modern {
		s.answer(c, s.unsupported(Legacy))
		return
	}
	if s.scenario.silent {
		s.Note(c.Conn, "the server does not answer")
		return
	}
	code := s.scenario.refusal
	if code == 0 {
		code = -32601
	}
	s.answer(c, fault(code, wire.NotInitialized, nil))
}

// unsupported refuses a version.
func (s *session) unsupported(requested string) map[string]any {
	return fault(-32022, "Unsupported protocol version", map[string]any{"supported": s.supported(), "requested": requested})
}

func (s *session) initialize(c *call, p *wire.Peer) {
	var params struct {
		ProtocolVersion string          `json:"protocolVersion"`
		Capabilities    json.RawMessage `json:"capabilities"`
	}
	_ = json.Unmarshal(c.Params, &params)
	version := Legacy
	switch {
	case s.scenario.speaks != nil:
		version = s.scenario.speaks[0]
	case slices.Contains(olderRevisions, params.ProtocolVersion):
		version = params.ProtocolVersion
	}
	p.Initialize(params.Capabilities, c.Line)
	s.guard.Lock()
	s.peers = append(s.peers, p)
	s.agreed = append(s.agreed, version)
	s.guard.Unlock()
	answer := success(map[string]any{
		"protocolVersion": version, "serverInfo": s.self(),
		"capabilities": s.capabilities(),
	})
	if s.scenario.deliberate == 0 {
		s.answer(c, answer)
		return
	}
	s.playing.Go(func() {
		s.sleep(s.scenario.deliberate)
		s.answer(c, answer)
	})
}

// listed completes a result that can be cached.
func (s *session) listed(r map[string]any) map[string]any {
	if s.protocol == Modern {
		r["resultType"], r["ttlMs"], r["cacheScope"] = "complete", 0, "public"
		s.sign(r)
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
