package grants

import (
	"testing"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// What an earlier release has written reads as it did, and is written like that; what a later one has added is passed over.
// The text is never to be changed: of processes that share a store some are of the release before.
func TestRecord_WrittenBefore(t *testing.T) {
	const text = `{"v":1,"access":"access","refresh":"refresh","client":"notes","confidential":true,"expires":"2026-11-27T04:00:00Z","scopes":"notes:read profile",` +
		`"asked":"notes:read notes:write profile","whole":"notes:read notes:write profile","renewed":true,"identity":{"subject":"ada","name":"Ada Example"},` +
		`"id":"NB7SAEXAMPLE","since":"2026-11-27T03:00:00Z","renewedAt":"2026-11-27T03:30:00Z","hosts":["codex","inspector"]}`
	nothing := func() scopes.Set { return scopes.Set{} }
	for _, written := range []string{text, text[:len(text)-1] + `,"later":{"than":"this"}}`} {
		g, err := decode(nil, nothing, []byte(written))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(g.encode()); got != text {
			t.Errorf("it is written as\n%s, and was\n%s", got, text)
		}
	}
}
