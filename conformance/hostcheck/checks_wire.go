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
)

// The checks here look at single messages of the host as they arrive.

// checkRequest looks at what every request has: its id, its metadata, its
// progress token. The others are those that were in flight when it came.
func (st *stage) checkRequest(c *call, others []*call) {
	st.checkID(c, others)
	st.checkToken(c, others)
	if st.protocol != Modern || c.Method == "initialize" {
		return
	}
	var missing []string
	if c.text(metaVersion) == "" {
		missing = append(missing, metaVersion)
	}
	if raw := c.Meta[metaCapabilities]; len(raw) == 0 || raw[0] != '{' {
		missing = append(missing, metaCapabilities)
	}
	st.judge("B2", len(missing) == 0, fmt.Sprintf("%s lacks %s in _meta", c.Method, strings.Join(missing, " and ")), c.event)
	if !slices.Contains(missing, metaCapabilities) {
		st.judge("B1", c.declared.declared, c.Method+" does not declare elicitation", c.event)
		if c.declared.declared {
			st.judge("A2", c.declared.form || c.declared.url, "elicitation is declared without a mode that exists", c.event)
		}
	}
	var info struct{ Name, Version string }
	_ = json.Unmarshal(c.Meta[metaClient], &info)
	st.judge("B3", info.Name != "" && info.Version != "", c.Method+" does not name the client and its version", c.event)
	st.checkHeaders(c)
}

func (st *stage) checkID(c *call, others []*call) {
	for _, other := range others {
		if sameJSON(other.ID, c.ID) {
			st.find("B16", failed, fmt.Sprintf("the id %s is that of a request in flight", excerpt(c.ID, 40)), other.event, c.event)
			return
		}
	}
	if !validID(c.ID) {
		st.find("B16", failed, fmt.Sprintf("the id %s is neither a string nor an integer", excerpt(c.ID, 40)), c.event)
		return
	}
	if len(others) > 0 {
		st.find("B16", passed, "", c.event)
	}
}

// checkToken is about progress tokens, a rule that both revisions have.
func (st *stage) checkToken(c *call, others []*call) {
	id := "A29"
	if st.protocol == Modern {
		id = "B29"
	}
	token, ok := c.Meta["progressToken"]
	if !ok {
		return
	}
	if !validID(token) {
		st.find(id, failed, fmt.Sprintf("the progress token %s is neither a string nor an integer", excerpt(token, 40)), c.event)
		return
	}
	for _, other := range others {
		if theirs, ok := other.Meta["progressToken"]; ok && sameJSON(token, theirs) {
			st.find(id, failed, fmt.Sprintf("the progress token %s is that of a request in flight", excerpt(token, 40)), other.event, c.event)
			return
		}
	}
	st.find(id, passed, "", c.event)
}

// checkPost looks at an HTTP request as such.
func (st *stage) checkPost(l *line) {
	id := "A30"
	if st.protocol == Modern {
		id = "B23"
	}
	accepts := strings.ToLower(strings.Join(l.header.Values("Accept"), ","))
	contentType, _, _ := mime.ParseMediaType(l.header.Get("Content-Type"))
	switch {
	case bytes.HasPrefix(bytes.TrimSpace(l.raw), []byte("[")):
		st.find(id, failed, "a POST carries a batch; each message is one of its own", l.event)
	case l.kind == garbage:
		st.find(id, failed, "a POST carries no JSON-RPC message", l.event)
	case !strings.Contains(accepts, "application/json") || !strings.Contains(accepts, "text/event-stream"):
		st.find(id, failed, fmt.Sprintf("a POST accepts %q; both application/json and text/event-stream must be listed",
			excerpt([]byte(accepts), 80)), l.event)
	case contentType != "application/json":
		st.find(id, failed, fmt.Sprintf("a POST of JSON is labelled %q", excerpt([]byte(contentType), 80)), l.event)
	default:
		st.find(id, passed, "", l.event)
	}
}

// checkHeaders compares the headers of the newer era with the body.
func (st *stage) checkHeaders(c *call) {
	if c.header == nil {
		return
	}
	differs := func(name, body string) bool {
		got := c.header.Get(name)
		if decoded, ok := sentinel(got); ok && name == "Mcp-Name" {
			got = decoded
		}
		if got == body {
			return false
		}
		st.find("B24", failed, fmt.Sprintf("%s is %q where the body says %q", name, excerpt([]byte(got), 80), excerpt([]byte(body), 80)), c.event)
		return true
	}
	if differs("MCP-Protocol-Version", c.text(metaVersion)) || differs("Mcp-Method", c.Method) ||
		c.Method == "tools/call" && differs("Mcp-Name", c.Name) {
		return
	}
	st.find("B24", passed, "", c.event)
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
func (st *stage) checkCancel(id json.RawMessage, l *line) {
	if c := st.cancelRequest(id, l); c != nil {
		st.judge("A27", c.Method != "initialize", "initialize is cancelled, which a host must not do", c.event, l.event)
		return
	}
	st.guard.Lock()
	var known *call
	for _, c := range st.requests {
		if sameJSON(c.ID, id) {
			known = c
		}
	}
	crossing := known != nil && known.answered != 0 && l.at-known.answered < crossed
	repeated := known != nil && known.stopped != 0 && known.answered == 0
	if repeated && known.cancel == nil {
		known.cancel = l // its connection was closed first
		repeated = false
		crossing = true
	}
	st.guard.Unlock()
	switch {
	case crossing:
		st.find("A27", passed, "", l.event)
	case repeated:
		st.find("A27", failed, fmt.Sprintf("the request %s was cancelled before", excerpt(id, 40)), l.event)
	case known != nil:
		st.find("A27", failed, fmt.Sprintf("the request %s was answered long before it is cancelled", excerpt(id, 40)), known.event, l.event)
	default:
		st.find("A27", failed, fmt.Sprintf("the host cancels %s, which is no request of its own", excerpt(id, 40)), l.event)
	}
}

// checkFresh looks at a call that follows nothing.
func (st *stage) checkFresh(c *call) {
	if st.protocol != Modern {
		return
	}
	st.judge("P13", c.InputResponses == nil && !stateGiven(c.Params),
		"a call that repeats nothing carries answers or a state of an earlier one", c.event)
}

// checkRetry compares a retry with the result that it follows. The caller does
// not hold guard; nobody else uses the flow at this moment.
func (st *stage) checkRetry(f *flow, c *call) {
	before := f.rounds[len(f.rounds)-2]
	both := []int{before.event, c.event}
	st.judge("B11", !sameJSON(before.ID, c.ID), fmt.Sprintf("the retry has the id %s of the request that it repeats", excerpt(c.ID, 40)), both...)
	st.checkSame(before, c)
	st.checkState(f, c)
	st.checkResponses(f, c)
}

func (st *stage) checkSame(before, c *call) {
	switch {
	case c.Name != before.Name:
		st.find("B13", failed, fmt.Sprintf("the retry calls %q, the original called %q", excerpt([]byte(c.Name), 40), before.Name), before.event, c.event)
	case !sameJSON(c.Arguments, before.Arguments):
		st.find("B13", failed, "the retry has other arguments than the original", before.event, c.event)
	default:
		st.find("B13", passed, "", before.event, c.event)
	}
}

// checkState is about requestState: there, whole, its own, the newest.
func (st *stage) checkState(f *flow, c *call) {
	st.guard.Lock()
	want, older := f.state, f.older
	foreign := false
	if c.RequestState != nil {
		for _, other := range st.flows {
			if other != f && ((other.state != nil && *other.state == *c.RequestState) || slices.Contains(other.older, *c.RequestState)) {
				foreign = true
			}
		}
	}
	parallel := slices.ContainsFunc(st.flows, func(other *flow) bool { return other != f && !other.over })
	st.guard.Unlock()

	stale := c.RequestState != nil && slices.Contains(older, *c.RequestState) && (want == nil || *want != *c.RequestState)
	if len(older) > 0 {
		st.judge("B14", !stale, "the retry carries a state that a later round has replaced", c.event)
	}
	if parallel {
		st.judge("B12", !foreign, "the retry carries the state of another call", c.event)
	}
	switch {
	case foreign || stale: // told above
	case want == nil:
		st.judge("B10", !stateGiven(c.Params), "the retry carries a state although it was given none", c.event)
	case c.RequestState == nil:
		st.find("B8", failed, "the retry lacks the state", c.event)
	case *c.RequestState != *want:
		st.find("B8", failed, fmt.Sprintf("the state comes back as %q, not as %q", excerpt([]byte(*c.RequestState), 120), *want), c.event)
		st.find("B9", failed, "the state was changed on its way through the host", c.event)
	default:
		st.find("B8", passed, "", c.event)
		st.find("B9", passed, "", c.event)
	}
}

// checkResponses is about inputResponses: complete, and its own.
func (st *stage) checkResponses(f *flow, c *call) {
	st.guard.Lock()
	asked := f.asked
	parallel := slices.ContainsFunc(st.flows, func(other *flow) bool { return other != f && !other.over })
	strangers := ""
	for key := range c.InputResponses {
		if _, ok := asked[key]; !ok {
			strangers = key
		}
	}
	st.guard.Unlock()
	if parallel {
		st.judge("B12", strangers == "", fmt.Sprintf("the retry carries an answer, %q, that it was not asked for", excerpt([]byte(strangers), 40)), c.event)
	} else {
		st.judge("P13", strangers == "", fmt.Sprintf("the retry carries an answer, %q, that it was not asked for", excerpt([]byte(strangers), 40)), c.event)
	}
	if len(asked) == 0 {
		return
	}
	for key := range asked {
		if _, ok := c.InputResponses[key]; !ok {
			st.find("B6", failed, fmt.Sprintf("the retry does not answer %q", key), c.event)
			return
		}
	}
	st.find("B6", passed, "", c.event)
}
