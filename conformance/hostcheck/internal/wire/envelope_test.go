package wire_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// HTTP is recorded as HTTP: the line, the headers and the status. What is secret is
// not, and what is long is cut.
func TestRecord_HTTP(t *testing.T) {
	quiet := &server{hear: func(_ *wire.Line, back wire.Channel, _ *wire.Peer) { back.Last() }}
	serve(t, false, true, quiet, func(h *host) {
		ask := func(r *http.Response) {
			_, _ = io.Copy(io.Discard, r.Body)
			r.Body.Close()
		}
		ask(h.do("POST", `{"jsonrpc":"2.0","method":"notifications/x"}`,
			"Authorization", "Bearer very-secret", "Cookie", "a=very-secret", "X-Long", strings.Repeat("x", 10_000)))
		ask(h.do("DELETE", ""))
		ask(h.do("PATCH", ""))
		base, token, _ := strings.Cut(strings.TrimSuffix(h.at.ServerURL(), "/mcp")[len("http://"):], "/")
		resp, err := h.client.Get("http://" + base + "/.well-known/oauth-protected-resource/" + token)
		if err != nil {
			t.Fatal(err)
		}
		ask(resp)
		said := ""
		for _, event := range h.conversation.Events() {
			if event.HTTP == nil {
				continue
			}
			said += strings.TrimSpace(fmt.Sprintf("%d %s %s", event.Connection, event.HTTP.Method, event.HTTP.Path))
			if event.HTTP.Status > 0 {
				said += fmt.Sprintf(" %d", event.HTTP.Status)
			}
			said += "\n"
			if text := fmt.Sprint(*event.HTTP); strings.Contains(text, "very-secret") || strings.Contains(text, token) || len(text) > 2000 {
				t.Errorf("what is secret, or long, is in %s", text)
			}
		}
		const want = "1 POST /…/mcp\n1 202\n2 DELETE /…/mcp\n2 204\n3 PATCH /…/mcp\n3 405\n4 GET /.well-known/oauth-protected-resource/…\n4 404\n"
		if said != want {
			t.Errorf("%s\nwant\n%s", said, want)
		}
	})
}
