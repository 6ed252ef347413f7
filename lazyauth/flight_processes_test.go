package lazyauth_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A real process is killed while its user signs in; the next one asks for nothing new, polls no sooner
// than it may, and its call gets the grant. So does one that runs beside it.
func TestStore_ASignInOutlivesItsProcess(t *testing.T) {
	as := fakeas.New(&fakeas.Options{Interval: time.Second})
	web := httptest.NewServer(as)
	defer web.Close()
	folder := t.TempDir() + "/grants"
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	first := start(t, world.Legacy, web.URL, folder)
	given := make(chan struct{})
	go func() {
		defer close(given)
		_, _ = first.session.CallTool(ctx, &mcp.CallToolParams{Name: "whoami"}) // which nobody answers
	}()
	asked, err := as.WaitForRequest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for as.Count(fakeas.Poll, "") == 0 { // until it polls: the clock is the real one
		<-time.After(50 * time.Millisecond)
	}
	if err := first.server.Kill(); err != nil {
		t.Fatal(err)
	}
	<-given
	polled := as.Count(fakeas.Poll, "")

	both := []*program{start(t, world.Legacy, web.URL, folder), start(t, world.Modern, web.URL, folder)}
	replies := make(chan world.Reply, len(both))
	for _, p := range both {
		go func() { replies <- p.calls("whoami") }()
	}
	polls := as.Count(fakeas.Poll, "")
	for as.Count(fakeas.Poll, "") == polls {
		<-time.After(50 * time.Millisecond)
	}
	if err := as.Approve(asked.UserCode); err != nil {
		t.Fatal(err)
	}
	for range both {
		(<-replies).Succeeds(t, "Ada")
	}
	if n := as.Count(fakeas.DeviceAuthorization, ""); n != 1 {
		t.Errorf("%d device authorizations", n)
	}
	for _, v := range as.Violations() {
		if v.Rule == fakeas.PolledEarly && polled > 1 { // by files nobody is told of a poll that the first died in
			t.Logf("killed %d polls later: %v", polled-1, v)
			continue
		}
		t.Errorf("violation: %v", v)
	}
	for _, p := range both {
		if p.prompts.Load() > 1 {
			t.Errorf("%d prompts at one host", p.prompts.Load())
		}
		p.close()
	}
	_ = first.session.Close() // it waits for what was killed, and for what that has written
	if strings.Contains(first.stderr.String(), "level=ERROR") {
		t.Error(first.stderr.String())
	}
}
