package interop_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// Each way in meets each client library, in each era, in everything that a call can come
// to. What is judged is what the library hands to the host: a library that finds a result
// invalid throws it away, and the model learns neither the link nor the refusal.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	for _, w := range ways {
		for _, h := range hosts {
			for _, e := range h.eras {
				t.Run(fmt.Sprintf("%s/%s/%s", w, h.name, e), func(t *testing.T) {
					t.Parallel()
					everyOutcome(newVisit(t, w, storyOptions{era: e, start: h.start, refuses: `account "declined"`}))
				})
			}
		}
	}
}

// everyOutcome calls the tools one after the other in one session. In the end nothing may
// be left of one that would be in the way of another.
func everyOutcome(s *visit) {
	if _, err := s.host.tools(s.ctx); err != nil { // a library that knows the schemas holds results to them
		s.Fatal(err)
	}
	prompts := 0
	ask := func(o outcome) *calling {
		prompts++
		return s.begin(string(o), map[string]any{"text": string(o)})
	}

	call := ask(approved)
	s.approve(s.prompted(call))
	s.succeeds(call)

	call = ask(denied)
	s.deny(s.prompted(call))
	s.fails(call, "denied")

	call = ask(declined)
	s.prompted(call)
	s.fails(call, "declined")
	s.fails(s.begin(string(declined), map[string]any{"text": "again"}), "declined")

	s.brief.Store(true)
	call = ask(expired)
	s.prompted(call)
	s.fails(call, "expired")
	s.brief.Store(false)

	call = ask(narrowed)
	_, code := s.prompted(call)
	if err := s.as.Approve(code, "profile"); err != nil {
		s.Fatal(err)
	}
	if r := s.fails(call, "narrowed"); !strings.Contains(r.text(), "notes:read") {
		s.Errorf("%q does not say what is missing", r.text())
	}

	call = ask(pending)
	address, code := s.prompted(call)
	s.fails(call, "pending")
	granted := s.granted()
	s.approve(address, code)
	s.eventually(func() bool { return s.granted() > granted })
	s.succeeds(s.begin(string(pending), map[string]any{"text": string(pending)}))

	s.as.Script(fakeas.DeviceAuthorization, fakeas.Unavailable(http.StatusServiceUnavailable, 0).Times(2))
	s.fails(s.begin(string(unavailable), map[string]any{"text": "x"}), "unavailable")

	// AddTool and Intercept hold the arguments against the schema, and ask nobody; a raw
	// handler does that for itself, later. What it answers with is an error of the protocol,
	// which goes through as it is.
	if s.way == byHandler {
		prompts++
		call = s.begin(string(malformed), map[string]any{"text": 5})
		s.approve(s.prompted(call))
		s.breaks(call, unreadable)
	} else {
		s.malformed()
	}
	if !s.commandLine() { // those look a tool up before they call it
		s.breaks(s.begin(string(missing), map[string]any{}), `unknown tool "missing"`)
	}

	s.succeeds(s.begin(string(approved), map[string]any{"text": string(approved)}))
	s.over(prompts)
}

// malformed calls with arguments that do not satisfy the schema, and nobody is asked.
func (s *visit) malformed() {
	s.Helper()
	if r := s.fails(s.begin(string(malformed), map[string]any{"text": 5}), ""); !strings.Contains(r.text(), "text") {
		s.Errorf("%q does not say what is wrong with the arguments", r.text())
	}
}

// over ends the session, and judges it and the authorization server's view of it.
func (s *visit) over(prompts int) {
	s.Helper()
	s.end(prompts)
	for _, v := range s.as.Violations() {
		s.Error(v)
	}
}

// A host that declares no elicitation is told in text, by each way in.
func TestOutcomesInText(t *testing.T) {
	t.Parallel()
	for _, w := range ways {
		for _, h := range hosts {
			for _, e := range h.eras {
				t.Run(fmt.Sprintf("%s/%s/%s", w, h.name, e), func(t *testing.T) {
					t.Parallel()
					toldInText(newVisit(t, w, storyOptions{era: e, start: h.start, reach: byText}))
				})
			}
		}
	}
}

func toldInText(s *visit) {
	if _, err := s.host.tools(s.ctx); err != nil {
		s.Fatal(err)
	}
	s.approve(s.told(s.begin(string(approved), map[string]any{"text": string(approved)})))
	s.succeeds(s.begin(string(approved), map[string]any{"text": string(approved)}))
	s.over(0)
}

// Each way in meets each command line, each of these in each of its eras, and each way in each
// era; TestOutcomes has all three together. mcpdo declares elicitation and is told everything;
// the others learn in text what to do, and the call after that waits for what comes of it.
func TestOutcomesOfCommandLines(t *testing.T) {
	// Each call is a process: of more sessions at once some would be late.
	slots := make(chan struct{}, 4)
	for _, c := range []struct {
		name  string
		start func(context.Context, hostOptions) (host, error)
		tell  func(*visit)
		o     storyOptions
		eras  map[way]era
	}{
		{
			"mcpdo", startMCPDo, everyOutcome, storyOptions{reach: byForm},
			map[way]era{byAddTool: legacy, byHandler: modern, byIntercept: modern},
		},
		{
			"inspector", startInspector, everyOutcomeInText, storyOptions{reach: byText, endpoint: stateless},
			map[way]era{byAddTool: modern, byHandler: legacy, byIntercept: legacy},
		},
		{
			"mcporter", startMCPorter, everyOutcomeInText, storyOptions{reach: byText, endpoint: stateless},
			map[way]era{byAddTool: legacy, byHandler: legacy, byIntercept: legacy},
		},
	} {
		for _, w := range ways {
			e, ok := c.eras[w]
			if !ok {
				t.Fatalf("%s does not meet %s", c.name, w)
			}
			t.Run(fmt.Sprintf("%s/%s/%s", w, c.name, e), func(t *testing.T) {
				t.Parallel()
				slots <- struct{}{}
				defer func() { <-slots }()
				o := c.o
				o.era, o.start, o.refuses = e, c.start, `account "declined"`
				o.patience = 2 * patience // two dozen processes, one after the other
				c.tell(newVisit(t, w, o))
			})
		}
	}
}

// everyOutcomeInText is everyOutcome for hosts that declare no elicitation. Nobody can
// decline there.
func everyOutcomeInText(s *visit) {
	// again makes the call that waits, once the one before it told where to go.
	again := func(o outcome) *calling {
		waiting := s.waiting()
		c := s.begin(string(o), map[string]any{"text": string(o)})
		s.eventually(func() bool { return s.waiting() > waiting })
		return c
	}
	tell := func(o outcome) (address, code string) {
		return s.told(s.begin(string(o), map[string]any{"text": string(o)}))
	}

	s.approve(tell(approved))
	s.succeeds(s.begin(string(approved), map[string]any{"text": string(approved)}))

	address, code := tell(denied)
	call := again(denied)
	s.deny(address, code)
	s.fails(call, "denied")

	tell(expired)
	call = again(expired)
	s.as.Script(fakeas.Poll, fakeas.Error(http.StatusBadRequest, "expired_token"))
	s.fails(call, "expired")

	_, code = tell(narrowed)
	call = again(narrowed)
	if err := s.as.Approve(code, "profile"); err != nil {
		s.Fatal(err)
	}
	if r := s.fails(call, "narrowed"); !strings.Contains(r.text(), "notes:read") {
		s.Errorf("%q does not say what is missing", r.text())
	}

	tell(pending)
	s.fails(again(pending), "pending")

	s.as.Script(fakeas.DeviceAuthorization, fakeas.Unavailable(http.StatusServiceUnavailable, 0).Times(2))
	s.fails(s.begin(string(unavailable), map[string]any{"text": "x"}), "unavailable")

	if s.way == byHandler {
		s.approve(tell(malformed))
		s.breaks(s.begin(string(malformed), map[string]any{"text": 5}), unreadable)
	} else {
		s.malformed()
	}
	s.over(0)
}

// commandLine reports whether the host is a program that is run for each call.
func (s *visit) commandLine() bool {
	_, is := s.host.(*commandLine)
	return is
}

// waiting returns how often a call began to wait.
func (s *visit) waiting() int { return strings.Count(s.stderr(), "call waits for authorization") }

// briefLife is how long a code lives that is to expire.
const briefLife = 4 * time.Second

// A visit is a story with an authorization server of its own, which can be told to
// misbehave, and a server whose tools came behind the interceptor in one way.
type visit struct {
	*story
	way   way
	as    *fakeas.Server
	brief atomic.Bool // codes live for briefLife
}

func newVisit(t *testing.T, w way, o storyOptions) *visit {
	t.Helper()
	v := &visit{way: w}
	v.as = fakeas.New(&fakeas.Options{
		Interval: time.Second,
		Dialect: func(_ *http.Request, a *fakeas.Answer) {
			if a.Operation == fakeas.DeviceAuthorization && a.Members["expires_in"] != nil && v.brief.Load() {
				a.Members["expires_in"] = int(briefLife.Seconds())
			}
		},
	})
	listener := httptest.NewServer(v.as)
	t.Cleanup(listener.Close)
	o.as = &provider{
		Issuer: listener.URL, userCode: regexp.MustCompile(`\b[A-Z0-9]{4}-[A-Z0-9]{4}\b`), api: &notesAPI{Server: listener},
		meet: func(context.Context, *provider) (visitor, error) { return fakePerson{v.as}, nil },
	}
	o.way = w
	v.story = newStory(t, o)
	return v
}

// fakePerson decides without pages.
type fakePerson struct{ as *fakeas.Server }

func (p fakePerson) approve(_ context.Context, _, userCode string) error {
	return p.as.Approve(userCode)
}
func (p fakePerson) deny(_ context.Context, _, userCode string) error { return p.as.Deny(userCode) }
func (p fakePerson) self() *person                                    { return nil }

// eventually waits until what is asked for holds.
func (s *story) eventually(holds func() bool) {
	s.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-again.C:
		case <-s.ctx.Done():
			s.Fatalf("it does not come to that\n%s", s.stderr())
		}
	}
}

// succeeds waits for a call to end with the API's answer and the call's own arguments, in
// both of the shapes in which a result has them.
func (s *visit) succeeds(c *calling) {
	s.Helper()
	r, want := c.result(), heard{"Ada Example", c.tool}
	for what, text := range map[string]string{"structured content": string(r.Structured), "text": r.text()} {
		var got heard
		if s.commandLine() && text == "" { // mcporter prints the structured content alone
			continue
		}
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want || r.IsError || r.reason() != "" {
			s.Fatalf("%s: its %s is %q, %v, want %+v: %+v\n%s", c.tool, what, text, err, want, r, s.stderr())
		}
	}
	s.askedNobody(c)
}

// fails waits for a call to end with an error that gives this reason, or none for "", and
// a text, and nothing that looks like an answer.
func (s *visit) fails(c *calling, reason string) result {
	s.Helper()
	r := s.refused(c, reason)
	if len(r.Structured) != 0 || len(r.Content) != 1 || r.Content[0].Type != "text" || r.Content[0].Text == "" {
		s.Fatalf("%s: %+v is no failure that a model can read", c.tool, r)
	}
	s.askedNobody(c)
	return r
}

// breaks waits for a call to end with an error of the protocol, of invalid parameters.
func (s *visit) breaks(c *calling, message string) {
	s.Helper()
	<-c.done
	const invalidParams = -32602
	e, ok := errors.AsType[*protocolError](c.err)
	if s.commandLine() { // which print the message among other things, as an error or for an answer
		e, ok = &protocolError{invalidParams, fmt.Sprint(c.err, c.res.text())}, true
	}
	if !ok || e.code != invalidParams || !strings.Contains(e.message, message) {
		s.Fatalf("%s: %+v, %v, want error %d with %q\n%s", c.tool, c.res, c.err, invalidParams, message, s.stderr())
	}
	s.askedNobody(c)
}

// askedNobody fails if the person was asked more than the test has seen.
func (s *visit) askedNobody(c *calling) {
	s.Helper()
	if len(s.prompts) != 0 {
		s.Fatalf("%s asked the person once too often: %+v", c.tool, <-s.prompts)
	}
}
