package lazyauth_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func TestApproved(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.host(era, accepts)
		h.gets("ping", nil, "pong")
		h.wantPrompts(0)

		call := h.call(t.Context(), "whoami", nil)
		code := w.person().UserCode
		synctest.Wait()
		h.wantPrompts(1)
		p := h.shown()[0]
		if p.Mode != "url" || p.URL != w.as.Issuer()+"/device" || !strings.Contains(p.Message, code) || strings.Contains(p.URL, code) {
			t.Errorf("prompt %+v does not show the page and the code %s", p, code)
		}
		w.as.Approve(code)
		(<-call).succeeds(t, "Ada")

		h.gets("whoami", nil, "Ada") // again, without a prompt
		h.wantPrompts(1)
		w.wantAuthorizations(1)
		if n := w.starts("whoami"); n != 2 {
			t.Errorf("the handler started %d times for two calls", n)
		}
	})
}

func TestDenied(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.host(era, accepts)
		call := h.call(t.Context(), "whoami", nil)
		w.denies()
		(<-call).fails(t, lazyauth.Denied)

		// The next call asks anew.
		call = h.call(t.Context(), "whoami", nil)
		w.approves()
		(<-call).succeeds(t, "Ada")
		h.wantPrompts(2)
		if n := w.starts("whoami"); n != 1 {
			t.Errorf("the handler started %d times, want 1", n)
		}
	})
}

func TestExpired(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{options: lazyauth.Options{Patience: time.Hour}})
		h := w.host(era, accepts)
		(<-h.call(t.Context(), "whoami", nil)).fails(t, lazyauth.Expired)
		h.wantPrompts(1)
	})
}

func TestAnswerDecidesNothing(t *testing.T) {
	// Hosts say accept before the person signs in, when they come back, or
	// never; the call goes on when the token is there.
	for name, react := range map[string]reaction{
		"before": accepts,
		"after":  says("accept", 30*time.Second),
		"never":  never,
	} {
		t.Run(name, func(t *testing.T) {
			inBothEras(t, func(t *testing.T, era string) {
				if era == modern && name == "never" {
					t.Skip("a host that never answers never sends the retry that the result could go to")
				}
				w := newWorld(t, setup{})
				h := w.host(era, react)
				call := h.call(t.Context(), "whoami", nil)
				w.approves()
				(<-call).succeeds(t, "Ada")
				h.wantPrompts(1)
			})
		})
	}
}

func TestCallerGoesAway(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.host(era, accepts)
		ctx, cancel := context.WithCancel(t.Context())
		call := h.call(ctx, "whoami", nil)
		code := w.person().UserCode
		synctest.Wait()
		cancel()
		if r := <-call; r.err == nil {
			t.Errorf("a cancelled call returned %q", r.text())
		}
		// The flight lives on; the next call joins it, without a prompt.
		call = h.call(t.Context(), "whoami", nil)
		synctest.Wait()
		w.as.Approve(code)
		(<-call).succeeds(t, "Ada")
		h.wantPrompts(1)
		w.wantAuthorizations(1)
		if n := w.starts("whoami"); n != 1 {
			t.Errorf("the handler started %d times, want 1", n)
		}
	})
}

func TestThousandFirstCalls(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.host(era, accepts)
		calls := make([]<-chan reply, 1000)
		for n := range calls {
			calls[n] = h.call(t.Context(), "whoami", nil)
		}
		w.approves()
		for _, call := range calls {
			(<-call).succeeds(t, "Ada")
		}
		h.wantPrompts(1)
		w.wantAuthorizations(1)
	})
}

func TestArgumentsAreCheckedFirst(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.host(era, accepts)
		r := <-h.call(t.Context(), "create_note", map[string]any{"txet": "typo"})
		if r.err != nil || !r.result.IsError || !strings.Contains(r.text(), "arguments") {
			t.Errorf("a typo in the arguments got %q, %v", r.text(), r.err)
		}
		h.wantPrompts(0)
		w.wantAuthorizations(0)
	})
}

func TestEndOfInput(t *testing.T) {
	// The host is gone in mid-flight. Its wait ends; the flight does not, and
	// whoever comes next finds the grant.
	inBothEras(t, func(t *testing.T, era string) {
		everyone := func(context.Context, *mcp.CallToolRequest) (lazyauth.Principal, error) {
			return lazyauth.Principal{}, nil
		}
		w := newWorld(t, setup{options: lazyauth.Options{Principal: everyone}})
		fromHost, toServer := io.Pipe()
		fromServer, toHost := io.Pipe()
		session, err := w.server.Connect(context.Background(), &mcp.IOTransport{Reader: fromHost, Writer: toHost}, nil)
		if err != nil {
			t.Fatal(err)
		}
		h := w.connect(era, accepts, &mcp.IOTransport{Reader: fromServer, Writer: toServer})
		call := h.call(t.Context(), "whoami", nil)
		code := w.person().UserCode
		synctest.Wait()
		toServer.Close()
		session.Wait()
		toHost.Close()
		if r := <-call; r.err == nil {
			t.Errorf("a call without a connection returned %q", r.text())
		}
		w.as.Approve(code)
		later(10 * time.Second)
		next := w.host(era, accepts)
		next.gets("whoami", nil, "Ada")
		next.wantPrompts(0)
		w.wantAuthorizations(1)
	})
}
