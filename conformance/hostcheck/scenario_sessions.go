package hostcheck

import (
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

var sessions = Scenario{
	Name: "sessions", Title: "A session that the server ends",
	Description: "With its answer to the first call the server ends the session. What comes in it after that gets a 404, upon " +
		"which the host initializes again; whether it repeats the call that was refused is its own affair. The next call works.",
	Protocols: legacyOnly, Transports: httpOnly,
	Checks: []string{"A46"},
	Ask:    "Make the calls. The second one may fail, as the session is gone.",
	script: script{
		steps:    inTurn("first", lostCall, nextCall),
		optional: []string{lostCall},
		play: func(f *flow) {
			if x, ok := f.now().back.(*wire.Exchange); ok && f.label == "first" {
				f.s.loseSession(x, f.now().Header.Get("Mcp-Session-Id"))
			}
			f.text(foundText)
		},
		guided: true,
	},
}

// lostCall is the label of a call that the server refuses, since its session ended.
const lostCall = "lost"

// loseSession ends a session.
func (s *session) loseSession(x *wire.Exchange, id string) {
	event := x.EndSession()
	s.guard.Lock()
	s.lost, s.lostAt = append(s.lost, id), event
	s.guard.Unlock()
}

// pingByStream is a ping on a stream that the host opened with GET, if there is one.
func pingByStream(f *flow) {
	streams := f.s.Streams()
	if len(streams) == 0 {
		judgePlayed("A49", occasion{flow: f, ok: true})
		return
	}
	a, sent := f.pinged(streams[len(streams)-1], "ping-by-stream-"+f.label)
	if sent {
		judgePlayed("A49", occasion{flow: f, answer: a})
	}
}

// ping asks whether the host is there, and says whether it answered. In the newer era
// there is no such request.
func ping(f *flow) bool {
	if f.s.protocol != Legacy {
		return false
	}
	a, sent := f.pinged(f.now().back, "ping-"+f.label)
	if sent {
		judgePlayed("A44", occasion{flow: f, answer: a})
	}
	return a.line != nil
}

// promptly is how soon a ping is to be answered.
const promptly = 10 * time.Second

// pinged sends a ping, and waits for its answer. It was not sent if there is nobody
// who could answer it.
func (f *flow) pinged(by wire.Channel, id string) (answer, bool) {
	got := make(chan *wire.Line, 1)
	f.s.guard.Lock()
	f.s.pending[id], f.s.asked[id] = got, false
	f.s.guard.Unlock()
	if by.Send(wire.Encode(map[string]any{"jsonrpc": "2.0", "id": id, "method": "ping"})) != nil {
		return answer{}, false
	}
	select {
	case l := <-got:
		return answer{line: l, err: l.Error}, true
	case <-time.After(promptly):
		return answer{}, true
	case <-f.now().cancelled:
	case <-f.s.ctx.Done():
	}
	return answer{}, false
}
