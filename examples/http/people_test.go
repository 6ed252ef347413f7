package main

import (
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/examples/http/server"
	"github.com/lazyauth/mcp-lazyauth/examples/internal/hosttest"
)

// onBothEndpoints runs a story with hosts of the Go SDK: on each endpoint with
// the revision that it is for, and with a host that speaks both and finds out.
func onBothEndpoints(t *testing.T, story func(t *testing.T, w *world, connect func(token string) *hosttest.Host)) {
	t.Helper()
	for _, test := range []struct{ name, path, protocol string }{
		{"modern", server.ModernPath, "2026-07-28"},
		{"legacy", server.LegacyPath, "2025-11-25"},
		{"either on modern", server.ModernPath, ""},
		{"either on legacy", server.LegacyPath, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := started(t)
			story(t, w, func(token string) *hosttest.Host { return w.host(test.path, test.protocol, token) })
		})
	}
}

// approvedBy is what a person's host does when it is asked.
func approvedBy(t *testing.T, w *world, person string) func(fakeas.Request) string {
	return func(request fakeas.Request) string {
		if err := w.as.ApproveAs(person, request.UserCode); err != nil {
			t.Error(err)
		}
		return "accept"
	}
}

func TestEverybodyHasAGrantOfTheirOwn(t *testing.T) {
	onBothEndpoints(t, func(t *testing.T, w *world, connect func(string) *hosttest.Host) {
		ada, eve := connect(w.bearer("ada")), connect(w.bearer("eve"))
		eve.Decide = approvedBy(t, w, "eve")

		ada.WantAnswer("create_note", map[string]string{"text": "Ada's"}, `{"id":1,"text":"Ada's"}`)
		ada.WantAnswer("whoami", nil, `{"name":"Ada Example","sub":"ada"}`)
		ada.WantAsked("notes:write profile") // once, for both

		eve.WantAnswer("list_notes", nil, `{"notes":[]}`)
		eve.WantAnswer("whoami", nil, `{"name":"eve","sub":"eve"}`)
		eve.WantAsked("notes:read profile")

		// Another host of Ada's, elsewhere, finds her grant.
		again := connect(w.bearer("ada"))
		again.WantAnswer("whoami", nil, `{"name":"Ada Example","sub":"ada"}`)
		again.WantAsked()
	})
}

func TestSomebodyElseMayNotApprove(t *testing.T) {
	onBothEndpoints(t, func(t *testing.T, w *world, connect func(string) *hosttest.Host) {
		eve := connect(w.bearer("eve"))
		eve.Decide = approvedBy(t, w, "ada") // whom Eve has sent her code
		result := eve.Call("whoami", nil)
		if text := hosttest.Text(result); !result.IsError || result.Meta[metaReason] != "unverified" || strings.Contains(text, "ada") {
			t.Errorf("%q, reason %v; want an error with reason unverified that does not tell who", text, result.Meta[metaReason])
		}
		eve.Decide = approvedBy(t, w, "eve")
		eve.WantAnswer("whoami", nil, `{"name":"eve","sub":"eve"}`)
		eve.WantAsked("profile", "profile")
	})
}

func TestDeclined(t *testing.T) {
	onBothEndpoints(t, func(t *testing.T, w *world, connect func(string) *hosttest.Host) {
		ada := connect(w.bearer("ada"))
		var code string
		ada.Decide = func(request fakeas.Request) string {
			code = request.UserCode
			<-time.After(1100 * time.Millisecond) // a person: what is quicker was decided by the host alone
			return "decline"
		}
		for range 2 { // the second time nobody is asked
			result := ada.Call("whoami", nil)
			if text := hosttest.Text(result); !result.IsError || result.Meta[metaReason] != "declined" || strings.Contains(text, code) {
				t.Errorf("%q, reason %v; want an error with reason declined and without the code", text, result.Meta[metaReason])
			}
		}
		ada.WantAsked("profile")
	})
}

func TestOneSignInServesBothEndpoints(t *testing.T) {
	t.Parallel()
	w := started(t)
	token := w.bearer("ada")
	w.host(server.LegacyPath, "2025-11-25", token).WantAnswer("whoami", nil, `{"name":"Ada Example","sub":"ada"}`)
	modern := w.host(server.ModernPath, "2026-07-28", token)
	modern.WantAnswer("whoami", nil, `{"name":"Ada Example","sub":"ada"}`)
	modern.WantAsked()
	counters := w.counters()
	if counters["granted"] != 1 || counters["prompted.url"] != 1 {
		t.Errorf("counters: %v, want one prompt and one grant", counters)
	}
	if text := w.metrics(); !strings.Contains(text, "\nlazyauth_granted_total 1\n") || !strings.Contains(text, "\nlazyauth_prompted_total{kind=\"url\"} 1\n") {
		t.Errorf("as Prometheus has them:\n%s", text)
	}
}

func TestASingleUser(t *testing.T) {
	t.Parallel()
	w := started(t, "-single-user")
	first := w.host(server.ModernPath, "2026-07-28", "")
	first.WantAnswer("whoami", nil, `{"name":"Ada Example","sub":"ada"}`)
	// Whoever else comes is taken for the same person.
	second := w.host(server.LegacyPath, "2025-11-25", "")
	second.WantAnswer("whoami", nil, `{"name":"Ada Example","sub":"ada"}`)
	second.WantAsked()
}
