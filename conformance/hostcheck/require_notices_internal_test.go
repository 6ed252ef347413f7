package hostcheck

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// A host that has said of no hook before says with its first report that it has one: the
// person is waited for from then on, and no completion comes before they have agreed.
func TestURLRequired_HookByTheFirstReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession(t.Context(), urlRequired, Legacy, HTTP)
		p := wire.NewPeer("session", []byte(`{"elicitation":{"url":{}}}`), &wire.Line{})
		s.Hear(s.Received(1, []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"notes_search","arguments":{"call":"needs"}}}`),
			http.Header{}), &ear{}, p)
		time.Sleep(time.Second)
		s.guard.Lock()
		address := s.prompts[0].url
		s.guard.Unlock()
		if _, err := s.show(Shown{URL: address}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		s.guard.Lock()
		early := s.prompts[0].signedIn
		s.guard.Unlock()
		if early != 0 {
			t.Errorf("the elicitation is complete after %v, and nobody has agreed", early)
		}
		s.end()
		s.playing.Wait()
	})
}
