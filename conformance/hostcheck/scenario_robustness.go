package hostcheck

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

var resultTypes = Scenario{
	Name: "result-types", Title: "Results and requests that are out of order",
	Description: "A result without a type, which is complete; a result of a type that nobody knows, which is invalid whatever " +
		"else is in it; and a request from the server, which this protocol does not have and the host does not answer.",
	Protocols: modernOnly, Transports: everywhere,
	Checks: []string{"B15", "B20"},
	Ask:    "Make the calls. The second one fails, as it should.",
	script: script{
		steps: inTurn("absent", "unknown", "backwards", nextCall),
		play: func(f *flow) {
			switch f.label {
			case "absent":
				r := textResult(absentText)
				f.answer(success(r))
			case "unknown":
				playUnknownType(f)
			case "backwards":
				_ = f.now().back.Send(wire.Encode(map[string]any{"jsonrpc": "2.0", "id": "backwards-1", "method": "ping"}))
				f.wait(700 * time.Millisecond)
				f.text(foundText)
			default:
				f.text(foundText)
			}
		},
		guided: true,
	},
}

const (
	absentText  = "3 notes found, complete"
	unknownText = "half of a note found"
)

// playUnknownType answers with a type that nobody knows, and with everything
// that could tempt a host to take it for one it knows.
func playUnknownType(f *flow) {
	r := textResult(unknownText)
	p := f.s.prompt("cancel", 200*time.Millisecond)
	p.odd = true
	r["resultType"] = "half_done"
	r["requestState"] = "half"
	r["inputRequests"] = map[string]any{"sign-in": map[string]any{"method": "elicitation/create", "params": p.params(Modern)}}
	state := "half"
	f.s.guard.Lock()
	f.state, f.asked, f.waiting = &state, map[string]*prompt{"sign-in": p}, true
	f.s.issue(f, p)
	f.s.guard.Unlock()
	f.result(r)
	select {
	case <-f.retry:
		judgePlayed("B15", occasion{flow: f})
		f.text(foundText)
	case <-time.After(1200 * time.Millisecond):
	case <-f.s.ctx.Done():
	}
}

var streams = Scenario{
	Name: "streams", Title: "Event streams that stutter and break",
	Description: "Comments in an event stream mean nothing. In the newer era a request whose stream breaks is sent again " +
		"under a new id; in the older one the host comes back to the stream, and not before the time that it was told.",
	Protocols: both, Transports: httpOnly,
	Checks: []string{"A31", "A32", "B25", "B26"},
	Ask:    "Make the calls. The second one may take a while, or fail.",
	script: script{
		steps: func(protocol string) [][]Call {
			if protocol == Modern {
				return inTurn("commented", "broken", nextCall)(protocol)
			}
			return inTurn("commented", "suspended", nextCall)(protocol)
		},
		play:   playStreams,
		guided: true,
	},
}

const commentedText = "3 notes found among the comments"

func playStreams(f *flow) {
	x, ok := f.now().back.(*wire.Exchange)
	switch {
	case ok && f.label == "commented":
		_ = x.Raw(": a comment\n\n:\n:data: {\"not\": \"data\"}\n\n")
		f.wait(300 * time.Millisecond)
		_ = x.Raw(":keep-alive\r\n\r\n")
		f.wait(300 * time.Millisecond)
		_ = x.Raw("event: message\n: between the lines\ndata: " + string(wire.Encode(map[string]any{
			"jsonrpc": "2.0", "method": "notifications/message", "params": map[string]any{"level": "info", "data": "searching"},
		})) + "\n\n")
		f.text(commentedText)
	case ok && f.label == "broken" && len(f.s.labelled("broken")) == 1:
		f.s.guard.Lock()
		f.now().lost = true
		f.s.guard.Unlock()
		x.Drop()
		f.s.await(f.s.ctx, 15*time.Second, func() bool { return len(f.s.flows) > 2 })
	case ok && f.label == "suspended":
		playSuspended(f, x)
	default:
		f.text(foundText)
	}
}

// comeBack is how long the host is told to wait before it reconnects.
const comeBack = 900 * time.Millisecond

func playSuspended(f *flow, x *wire.Exchange) {
	s := f.s
	ended := s.Now()
	back := x.Suspend("stream-"+f.label+"-1", comeBack)
	select {
	case r := <-back:
		judgePlayed("A31", occasion{flow: f, ok: true, event: r.Event})
		judgePlayed("A32", occasion{flow: f, took: r.At - ended, event: r.Event})
		s.guard.Lock()
		f.now().back = r.Exchange
		s.guard.Unlock()
		f.text(foundText)
	case <-time.After(f.patience()):
		judgePlayed("A31", occasion{flow: f})
	case <-s.ctx.Done():
		judgePlayed("A31", occasion{flow: f})
	}
}

var restart = Scenario{
	Name: "restart", Title: "A server that dies",
	Description: "The server process ends in the middle of a call. The host starts it again, and the next call works; if it " +
		"listened to changes before, it listens again.",
	Protocols: modernOnly, Transports: stdioOnly,
	Checks: []string{"B22", "B45"},
	Ask:    "Make the calls. The first one fails, as the server dies.",
	script: script{
		steps:   inTurn("dying", nextCall),
		listens: true,
		play: func(f *flow) {
			if p, ok := f.now().back.(*wire.Pipe); ok && f.label == "dying" && len(f.s.labelled("dying")) == 1 {
				p.Die()
				return
			}
			f.text(foundText)
		},
		guided: true,
	},
}

// lostAfter are the kinds of notifications that a subscription asks for and a later one
// does not.
func (c *call) lostAfter(later *call) []string {
	before, after := c.listensTo(), later.listensTo()
	var lost []string
	for _, kind := range slices.Sorted(maps.Keys(before)) {
		if !bytes.Equal(before[kind], []byte("false")) && !bytes.Equal(before[kind], after[kind]) {
			lost = append(lost, kind)
		}
	}
	return lost
}

// listensTo are the notifications that a subscription asks for.
func (c *call) listensTo() map[string]json.RawMessage {
	var params struct {
		Notifications map[string]json.RawMessage `json:"notifications"`
	}
	_ = json.Unmarshal(c.Params, &params) // none, then
	return params.Notifications
}
