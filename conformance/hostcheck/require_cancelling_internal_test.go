package hostcheck

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// A host that closes the stream of a call and goes on does one thing after the other; the
// server may see the two the other way round.
func TestB17_ConnectionEndsAfterTheNextCall(t *testing.T) {
	for _, test := range []struct {
		closes time.Duration // after the next call
		want   mark
	}{{time.Second, passed}, {time.Minute, failed}} {
		synctest.Test(t, func(t *testing.T) {
			s := newSession(t.Context(), waiting, Modern, HTTP)
			arrives := func(label string, back wire.Channel) {
				l := s.Received(1, []byte(`{"jsonrpc":"2.0","id":"`+label+`","method":"tools/call","params":{"name":"notes_search","arguments":{"call":"`+label+
					`"},"_meta":{"`+wire.MetaVersion+`":"`+Modern+`"}}}`), http.Header{})
				s.Hear(l, back, &wire.Peer{})
			}
			held := &deaf{}
			arrives("held", held)
			time.Sleep(heldTimeout)
			arrives("after", deaf{})
			time.Sleep(test.closes)
			s.Dropped(held)
			s.end()
			s.playing.Wait()
			judgeEnd(s)
			if found := s.found("B17"); len(found) != 1 || found[0].mark != test.want {
				t.Errorf("closed after %v: %+v", test.closes, found)
			}
		})
	}
}
