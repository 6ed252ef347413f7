package hostcheck_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// A message that was on its way when the host began its new session comes after that, and
// is answered with 404 as well: the host has done what it has to. One that sends nothing in
// the lost session, since each call has a session of its own, gets no 404.
func TestSessions_MessageOfTheLostSession(t *testing.T) {
	for name, c := range map[string]struct {
		begins, late bool // a new session, and whether a message of the lost one comes then
		want         hostcheck.Status
	}{
		"late":    {true, true, hostcheck.Success},
		"refused": {false, true, hostcheck.Failure},
		"none":    {true, false, hostcheck.Info},
	} {
		t.Run(name, func(t *testing.T) {
			r := play(t, one("sessions", hostcheck.Legacy, hostcheck.HTTP), func(ctx context.Context, t *testing.T, launch hostcheck.Launch) {
				b := visitor(ctx, t, launch)
				first := b.begin(launch)
				time.Sleep(time.Second)
				b.says(launch, first, calls("first"))
				second := first
				if c.begins {
					second = b.begin(launch)
				}
				if c.late {
					b.says(launch, first, `"method":"notifications/roots/list_changed"`)
				}
				b.says(launch, second, calls("next"))
			})
			if got := check(t, r, "A46"); got.Status != c.want {
				t.Errorf("A46 is %s: %s", got.Status, got.ErrorMessage)
			}
		})
	}
}

// begin initializes, and returns the session.
func (b *browser) begin(launch hostcheck.Launch) string {
	b.t.Helper()
	session := b.says(launch, "", `"id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},`+
		`"clientInfo":{"name":"by hand","version":"1"}}`)
	b.says(launch, session, `"method":"notifications/initialized"`)
	return session
}

// calls is a call of a tool.
func calls(label string) string {
	return fmt.Sprintf(`"id":%q,"method":"tools/call","params":{"name":"notes_search","arguments":{"call":%q}}`, label, label)
}

// says sends a message of the older era, and returns the session that the answer names.
func (b *browser) says(launch hostcheck.Launch, session, members string) string {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.ctx, http.MethodPost, launch.URL, strings.NewReader(`{"jsonrpc":"2.0",`+members+`}`))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}}
	if session != "" {
		req.Header.Set("Mcp-Session-Id", session)
		req.Header.Set("Mcp-Protocol-Version", hostcheck.Legacy)
	}
	resp, err := b.http.Do(req)
	if err != nil {
		b.t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // to its end
	return resp.Header.Get("Mcp-Session-Id")
}
