package hostcheck

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"slices"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// The checks here look at single messages of the host as they arrive.

// checkRequest looks at what every request has: its id, its metadata, its
// progress token. The others are those that were in flight when it came.
func (s *session) checkRequest(c *call, others []*call) {
	s.checkID(c, others)
	s.checkToken(c, others)
	if s.protocol != Modern || c.Method == "initialize" {
		return
	}
	var missing []string
	if c.String(wire.MetaVersion) == "" {
		missing = append(missing, wire.MetaVersion)
	}
	if raw := c.Meta[wire.MetaCapabilities]; len(raw) == 0 || raw[0] != '{' {
		missing = append(missing, wire.MetaCapabilities)
	}
	s.judge("B2", len(missing) == 0, fmt.Sprintf("%s lacks %s in _meta", c.Method, strings.Join(missing, " and ")), c.Event)
	if !slices.Contains(missing, wire.MetaCapabilities) {
		s.judge("B1", c.declared.Declared, c.Method+" does not declare elicitation", c.Event)
		if c.declared.Declared {
			s.judge("A2", c.declared.Form || c.declared.URL, "elicitation is declared without a mode that exists", c.Event)
		}
	}
	var info struct{ Name, Version string }
	_ = json.Unmarshal(c.Meta[wire.MetaClient], &info)
	s.judge("B3", info.Name != "" && info.Version != "", c.Method+" does not name the client and its version", c.Event)
	s.checkHeaders(c)
}

func (s *session) checkID(c *call, others []*call) {
	for _, other := range others {
		if wire.SameJSON(other.ID, c.ID) {
			s.find("B16", failed, fmt.Sprintf("the id %s is that of a request in flight", wire.Excerpt(c.ID, 40)), other.Event, c.Event)
			return
		}
	}
	if !wire.ValidID(c.ID) {
		s.find("B16", failed, fmt.Sprintf("the id %s is neither a string nor an integer", wire.Excerpt(c.ID, 40)), c.Event)
		return
	}
	if len(others) > 0 {
		s.find("B16", passed, "", c.Event)
	}
}

// checkToken is about progress tokens, a rule that both revisions have.
func (s *session) checkToken(c *call, others []*call) {
	id := "A29"
	if s.protocol == Modern {
		id = "B29"
	}
	token, ok := c.Meta["progressToken"]
	if !ok {
		return
	}
	if !wire.ValidID(token) {
		s.find(id, failed, fmt.Sprintf("the progress token %s is neither a string nor an integer", wire.Excerpt(token, 40)), c.Event)
		return
	}
	for _, other := range others {
		if theirs, ok := other.Meta["progressToken"]; ok && wire.SameJSON(token, theirs) {
			s.find(id, failed, fmt.Sprintf("the progress token %s is that of a request in flight", wire.Excerpt(token, 40)), other.Event, c.Event)
			return
		}
	}
	s.find(id, passed, "", c.Event)
}

// Posted looks at an HTTP request as such. It is part of [wire.Handler].
func (s *session) Posted(l *wire.Line) {
	id := "A30"
	if s.protocol == Modern {
		id = "B23"
	}
	accepts := strings.ToLower(strings.Join(l.Header.Values("Accept"), ","))
	contentType, _, _ := mime.ParseMediaType(l.Header.Get("Content-Type"))
	switch {
	case bytes.HasPrefix(bytes.TrimSpace(l.Raw), []byte("[")):
		s.find(id, failed, "a POST carries a batch; each message is one of its own", l.Event)
	case l.Kind == wire.Garbage:
		s.find(id, failed, "a POST carries no JSON-RPC message", l.Event)
	case !strings.Contains(accepts, "application/json") || !strings.Contains(accepts, "text/event-stream"):
		s.find(id, failed, fmt.Sprintf("a POST accepts %q; both application/json and text/event-stream must be listed",
			wire.Excerpt([]byte(accepts), 80)), l.Event)
	case contentType != "application/json":
		s.find(id, failed, fmt.Sprintf("a POST of JSON is labelled %q", wire.Excerpt([]byte(contentType), 80)), l.Event)
	default:
		s.find(id, passed, "", l.Event)
	}
}

// checkHeaders compares the headers of the newer era with the body.
func (s *session) checkHeaders(c *call) {
	if c.Header == nil {
		return
	}
	differs := func(name, body string) bool {
		got := c.Header.Get(name)
		if decoded, ok := sentinel(got); ok && name == "Mcp-Name" {
			got = decoded
		}
		if got == body {
			return false
		}
		s.find("B24", failed, fmt.Sprintf("%s is %q where the body says %q", name, wire.Excerpt([]byte(got), 80), wire.Excerpt([]byte(body), 80)), c.Event)
		return true
	}
	if differs("MCP-Protocol-Version", c.String(wire.MetaVersion)) || differs("Mcp-Method", c.Method) ||
		c.Method == "tools/call" && differs("Mcp-Name", c.Name) {
		return
	}
	s.find("B24", passed, "", c.Event)
}

// sentinel decodes a header value of the form =?base64?…?=.
func sentinel(value string) (string, bool) {
	inner, ok := strings.CutPrefix(value, "=?base64?")
	inner, end := strings.CutSuffix(inner, "?=")
	if !ok || !end {
		return "", false
	}
	out, err := base64.StdEncoding.DecodeString(inner)
	return string(out), err == nil
}

// crossed is how far apart a response and a cancellation can be that cross on
// their way.
const crossed = time.Second

// checkCancel looks at a cancellation.
func (s *session) checkCancel(id json.RawMessage, l *wire.Line) {
	if c := s.cancelRequest(id, l); c != nil {
		s.judge("A27", c.Method != "initialize", "initialize is cancelled, which a host must not do", c.Event, l.Event)
		return
	}
	s.guard.Lock()
	var known *call
	for _, c := range s.requests {
		if wire.SameJSON(c.ID, id) {
			known = c
		}
	}
	crossing := known != nil && known.answered != 0 && l.At-known.answered < crossed
	repeated := known != nil && known.stopped != 0 && known.answered == 0
	if repeated && known.cancel == nil {
		known.cancel = l // its connection was closed first
		repeated = false
		crossing = true
	}
	s.guard.Unlock()
	switch {
	case crossing:
		s.find("A27", passed, "", l.Event)
	case repeated:
		s.find("A27", failed, fmt.Sprintf("the request %s was cancelled before", wire.Excerpt(id, 40)), l.Event)
	case known != nil:
		s.find("A27", failed, fmt.Sprintf("the request %s was answered long before it is cancelled", wire.Excerpt(id, 40)), known.Event, l.Event)
	default:
		s.find("A27", failed, fmt.Sprintf("the host cancels %s, which is no request of its own", wire.Excerpt(id, 40)), l.Event)
	}
}

// checkFresh looks at a call that follows nothing.
func (s *session) checkFresh(c *call) {
	if s.protocol != Modern {
		return
	}
	s.judge("P13", c.InputResponses == nil && !wire.StateGiven(c.Params),
		"a call that repeats nothing carries answers or a state of an earlier one", c.Event)
}

// checkRetry compares a retry with the result that it follows. The caller does
// not hold guard; nobody else uses the flow at this moment.
func (s *session) checkRetry(f *flow, c *call) {
	before := f.rounds[len(f.rounds)-2]
	both := []int{before.Event, c.Event}
	s.judge("B11", !wire.SameJSON(before.ID, c.ID), fmt.Sprintf("the retry has the id %s of the request that it repeats", wire.Excerpt(c.ID, 40)), both...)
	s.checkSame(before, c)
	s.checkState(f, c)
	s.checkResponses(f, c)
}

func (s *session) checkSame(before, c *call) {
	switch {
	case c.Name != before.Name:
		s.find("B13", failed, fmt.Sprintf("the retry calls %q, the original called %q", wire.Excerpt([]byte(c.Name), 40), before.Name), before.Event, c.Event)
	case !wire.SameJSON(c.Arguments, before.Arguments):
		s.find("B13", failed, "the retry has other arguments than the original", before.Event, c.Event)
	default:
		s.find("B13", passed, "", before.Event, c.Event)
	}
}

// checkState is about requestState: there, whole, its own, the newest.
func (s *session) checkState(f *flow, c *call) {
	s.guard.Lock()
	want, older := f.state, f.older
	foreign := false
	if c.RequestState != nil {
		for _, other := range s.flows {
			if other != f && ((other.state != nil && *other.state == *c.RequestState) || slices.Contains(other.older, *c.RequestState)) {
				foreign = true
			}
		}
	}
	parallel := slices.ContainsFunc(s.flows, func(other *flow) bool { return other != f && !other.over })
	s.guard.Unlock()

	stale := c.RequestState != nil && slices.Contains(older, *c.RequestState) && (want == nil || *want != *c.RequestState)
	if len(older) > 0 {
		s.judge("B14", !stale, "the retry carries a state that a later round has replaced", c.Event)
	}
	if parallel {
		s.judge("B12", !foreign, "the retry carries the state of another call", c.Event)
	}
	switch {
	case foreign || stale: // told above
	case want == nil:
		s.judge("B10", !wire.StateGiven(c.Params), "the retry carries a state although it was given none", c.Event)
	case c.RequestState == nil:
		s.find("B8", failed, "the retry lacks the state", c.Event)
	case *c.RequestState != *want:
		s.find("B8", failed, fmt.Sprintf("the state comes back as %q, not as %q", wire.Excerpt([]byte(*c.RequestState), 120), *want), c.Event)
		s.find("B9", failed, "the state was changed on its way through the host", c.Event)
	default:
		s.find("B8", passed, "", c.Event)
		s.find("B9", passed, "", c.Event)
	}
}

// checkResponses is about inputResponses: complete, and its own.
func (s *session) checkResponses(f *flow, c *call) {
	s.guard.Lock()
	asked := f.asked
	parallel := slices.ContainsFunc(s.flows, func(other *flow) bool { return other != f && !other.over })
	strangers := ""
	for key := range c.InputResponses {
		if _, ok := asked[key]; !ok {
			strangers = key
		}
	}
	s.guard.Unlock()
	if parallel {
		s.judge("B12", strangers == "", fmt.Sprintf("the retry carries an answer, %q, that it was not asked for", wire.Excerpt([]byte(strangers), 40)), c.Event)
	} else {
		s.judge("P13", strangers == "", fmt.Sprintf("the retry carries an answer, %q, that it was not asked for", wire.Excerpt([]byte(strangers), 40)), c.Event)
	}
	if len(asked) == 0 {
		return
	}
	for key := range asked {
		if _, ok := c.InputResponses[key]; !ok {
			s.find("B6", failed, fmt.Sprintf("the retry does not answer %q", key), c.Event)
			return
		}
	}
	s.find("B6", passed, "", c.Event)
}
