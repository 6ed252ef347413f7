package hostcheck

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// deaf is a channel to nobody.
type deaf struct{}

func (deaf) Send(json.RawMessage) error { return wire.ErrGone }
func (deaf) Last()                      {}

// Whatever a host sends, the server and the checks take it.
func FuzzHear(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{"elicitation":{}}}}`,
		`{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"notes_search","arguments":{"call":"sign-in"},` +
			`"_meta":{"io.modelcontextprotocol/clientCapabilities":{"elicitation":{"url":{}}},"progressToken":1.5}}}`,
		`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"inputResponses":{"x":null},"requestState":null}}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":[]}}`,
		`{"jsonrpc":"2.0","id":"elicit-consent-1","result":{"action":7}}`, `{"id":null,"method":"x"}`, `[]`, `{`, "null",
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, raw []byte, modern bool) {
		protocol := Legacy
		if modern {
			protocol = Modern
		}
		s := newSession(t.Context(), consenting, protocol, HTTP)
		p := &wire.Peer{}
		for range 2 {
			l := s.Received(1, raw, map[string][]string{"Accept": {"*/*"}})
			if l == nil {
				break
			}
			s.Posted(l)
			s.Hear(l, deaf{}, p)
		}
		s.end()
		s.playing.Wait()
		r := judged(s, output{})
		for _, c := range r.Checks {
			if c.Status == "" {
				t.Errorf("%s has no status", c.ID)
			}
		}
		if _, err := json.Marshal(r); err != nil {
			t.Errorf("the result cannot be written: %v", err)
		}
	})
}

// Over HTTP two requests can come at the same moment. One of them comes second
// all the same, and its id is compared with that of the other.
func TestHear_RequestsAtTheSameMoment(t *testing.T) {
	const (
		id1 = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"notes_search"}}`
		id2 = `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"notes_search"}}`
	)
	for name, c := range map[string]struct {
		second string
		want   mark
	}{"two ids": {id2, passed}, "one id": {id1, failed}} {
		t.Run(name, func(t *testing.T) {
			for range 500 {
				s := newSession(t.Context(), parallel, Modern, HTTP)
				var wg sync.WaitGroup
				start := make(chan struct{})
				for _, raw := range []string{id1, c.second} {
					l := s.Received(1, []byte(raw), http.Header{})
					wg.Go(func() {
						<-start
						s.Hear(l, deaf{}, &wire.Peer{})
					})
				}
				close(start)
				wg.Wait()
				s.end()
				s.playing.Wait()
				found := s.findings["B16"]
				slices.SortFunc(found, func(a, b finding) int { return int(a.mark) - int(b.mark) }) // the worst first
				if len(found) != 2 || found[0].mark != c.want || found[1].mark != passed {
					t.Fatalf("of two requests at the same moment the suite finds %v", found)
				}
			}
		})
	}
}

// Over HTTP a cancellation and the end of the connection of what it cancels come by two
// ways. On a busy machine the first to come is the last to be heard: after the server's
// late response, too.
func TestHear_CancellationAfterItsConnection(t *testing.T) {
	s := newSession(t.Context(), waiting, Legacy, HTTP)
	defer s.end()
	received := func(raw string) *wire.Line { return s.Received(1, []byte(raw), http.Header{}) }
	c := &call{Line: received(`{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{}}`), back: deaf{}}
	s.register(c)
	cancelled := received(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":4}}`)
	s.Dropped(deaf{})
	s.answer(c, success(textResult(lateText)))
	if x := s.cancels(json.RawMessage("4"), cancelled); c.cancel != cancelled || !x.crossing || x.repeated {
		t.Errorf("the request was cancelled with %v, which is taken for %+v", c.cancel, x)
	}
}

// Nor has a cancellation to come before the call that the host goes on with: over HTTP they
// are requests of their own.
func TestHear_CancellationAfterTheNextCall(t *testing.T) {
	s := newSession(t.Context(), waiting, Legacy, HTTP)
	defer s.end()
	received := func(raw string) *wire.Line { return s.Received(1, []byte(raw), http.Header{}) }
	call := func(id string) *flow {
		c := &call{Line: received(`{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":{}}`), back: deaf{}}
		s.register(c)
		f := &flow{s: s, label: id, rounds: []*call{c}}
		s.flows = append(s.flows, f)
		return f
	}
	f := call("4")
	call("5")
	if _, gaveUp := f.held(time.Minute); !gaveUp {
		t.Fatal("a call that the host goes on from is still waited for")
	}
	s.answer(f.now(), success(textResult(lateText)))
	s.cancels(json.RawMessage("4"), received(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":4}}`))
	judgeEnd(s)
	if found := s.found("A25"); len(found) != 1 || found[0].mark != passed {
		t.Errorf("A25: %+v", found)
	}
}

// A host of the older era that takes no notice of a refusal is told what it goes on after.
func TestHear_GoesOnAfterRefusal(t *testing.T) {
	s := newSession(t.Context(), consenting, Modern, Stdio)
	for _, raw := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}`,
		`{"jsonrpc":"2.0","id":2,"method":"tools/list"}`,
	} {
		s.Hear(s.Received(1, []byte(raw), nil), deaf{}, &wire.Peer{})
	}
	s.end()
	s.playing.Wait()
	found := s.findings["B2"]
	if len(found) != 1 || found[0].mark != failed || !strings.Contains(found[0].text, "though its initialize was refused") {
		t.Errorf("B2: %+v", found)
	}
}

// An ear is a channel to somebody who keeps what was said last.
type ear struct{ heard string }

func (e *ear) Send(raw json.RawMessage) error {
	e.heard = string(raw)
	return nil
}
func (e *ear) Last() {}

// A call that comes just as its step ends is answered: a host would wait for ever.
func TestHear_CallAsTheStepEnds(t *testing.T) {
	for _, protocol := range both {
		s := newSession(t.Context(), consenting, protocol, Stdio)
		s.end()
		s.close()
		l := s.Received(1, []byte(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"notes_search","arguments":{"call":"sign-in"}}}`), nil)
		back := &ear{}
		s.arrived(&call{Line: l, CallParams: wire.ParseParams(l.Params), back: back})
		if !strings.Contains(back.heard, stepOver) || !strings.Contains(back.heard, `"id":7`) || len(s.flows) > 0 {
			t.Errorf("%s: it is answered with %q, and %d calls are taken", protocol, back.heard, len(s.flows))
		}
	}
}
