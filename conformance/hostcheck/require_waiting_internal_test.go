package hostcheck

import (
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// A host that gave a call up is not blamed for progress that this machine sent too late:
// that says nothing of the host. Where progress came in time, it is.
func TestP2_BusyMachine(t *testing.T) {
	for _, test := range []struct {
		silent time.Duration
		status Status
		says   string
	}{
		{pulse, Warning, "although progress came every 500ms"},
		{progressTimeout, Info, "for 4s there was no progress, as this machine is too busy"},
	} {
		s := newSession(t.Context(), waiting, Modern, Stdio)
		const request = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"notes_search","arguments":{"call":"progress"},` +
			`"_meta":{"progressToken":1}}}`
		l := s.Received(1, []byte(request), nil)
		c := &call{Line: l, CallParams: wire.ParseParams(l.Params), back: deaf{}}
		judgePlayed("P2", occasion{flow: &flow{s: s, rounds: []*call{c}}, took: test.silent})
		s.end()
		for _, got := range judged(s, output{}).Checks {
			if note, _ := got.Details["note"].(string); got.ID == "P2" && (got.Status != test.status || !strings.Contains(got.ErrorMessage+note, test.says)) {
				t.Errorf("after %v: it is %s: %s%s", test.silent, got.Status, got.ErrorMessage, note)
			}
		}
	}
}
