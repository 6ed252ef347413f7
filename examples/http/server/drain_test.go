package server_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/examples/http/server"
	"github.com/lazyauth/mcp-lazyauth/examples/internal/hosttest"
	"github.com/lazyauth/mcp-lazyauth/internal/pipenet"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// bearing is a transport that adds a bearer token.
type bearing struct {
	token string
	next  http.RoundTripper
}

func (b bearing) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

// A server is told to end while a person has their prompt before them. It is not ready from then on, and serves as ever: the person
// approves, their call is answered, and then it ends.
func TestDrain(t *testing.T) {
	for protocol, path := range map[string]string{"2026-07-28": server.ModernPath, "2025-11-25": server.LegacyPath} {
		t.Run(protocol, func(t *testing.T) {
			web := httptest.NewUnstartedServer(nil)
			as := fakeas.New(&fakeas.Options{Issuer: "http://" + web.Listener.Addr().String(), Interval: time.Second, People: []fakeas.Person{{Subject: "ada", Name: "Ada"}}})
			web.Config.Handler = as
			web.Start()
			t.Cleanup(web.Close)
			at, end, ended := begins(t, server.Config{
				Issuer: web.URL, ClientID: fakeas.DefaultClientID, API: web.URL, DemoUsers: []string{"ada"},
				Ready: func(context.Context) error { return nil }, Notice: time.Millisecond, Drain: time.Minute,
			})
			status := func(path string) int {
				res, err := http.Get(at + path)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				return res.StatusCode
			}
			host := hosttest.Connect(t, as, protocol, &mcp.StreamableClientTransport{Endpoint: at + path, HTTPClient: &http.Client{Transport: bearing{"ada", http.DefaultTransport}}})
			if got := status("/readyz"); got != http.StatusOK {
				t.Errorf("/readyz has status %d", got)
			}
			host.Decide = func(r fakeas.Request) string {
				end()
				for range 3 {
					if ready, lives := status("/readyz"), status("/healthz"); ready != http.StatusServiceUnavailable || lives != http.StatusOK {
						t.Errorf("told to end: /readyz has status %d, and /healthz %d", ready, lives)
					}
				}
				select {
				case err := <-ended:
					t.Errorf("it has ended, with %v", err)
				default:
				}
				if err := as.ApproveAs("ada", r.UserCode); err != nil {
					t.Error(err)
				}
				return "accept"
			}
			if result := host.Call("whoami", nil); result.IsError || !strings.Contains(hosttest.Text(result), "ada") {
				t.Errorf("the call came to %s", hosttest.Text(result))
			}
			_ = host.Close()
			http.DefaultClient.CloseIdleConnections()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			late := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
			if res, err := late.Get(at + "/healthz"); err == nil { // somebody else may have the port by now
				res.Body.Close()
				if res.StatusCode == http.StatusOK {
					t.Error("it still listens")
				}
			}
			if n := as.Count(fakeas.DeviceAuthorization, fakeas.OK); n != 1 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

// What nobody finishes does not keep a server for longer than it is to.
func TestDrain_InVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as, machine := fakeas.New(nil), new(pipenet.Machine)
		listener, err := machine.Listen(t.Context(), "tcp", "127.0.0.1:80")
		if err != nil {
			t.Fatal(err)
		}
		_, end, ended := beginsOn(t, listener, server.Config{
			Issuer: as.Issuer(), ClientID: fakeas.DefaultClientID, API: as.API(), DemoUsers: []string{"ada"},
			Drain: time.Second, Options: lazyauth.Options{Transport: as.Transport()},
		})
		wire := &http.Transport{DialContext: machine.Dial}
		defer wire.CloseIdleConnections()
		host := hosttest.Connect(t, as, "2026-07-28", &mcp.StreamableClientTransport{
			Endpoint: "http://" + listener.Addr().String() + server.ModernPath, HTTPClient: &http.Client{Transport: bearing{"ada", wire}},
		})
		host.Decide = func(fakeas.Request) string { end(); return "accept" } // and does nothing about it
		if result := host.Call("whoami", nil); !result.IsError {
			t.Errorf("the call came to %s", hosttest.Text(result))
		}
		_ = host.Close()
		if err := <-ended; err == nil || !strings.Contains(err.Error(), "1 sign-ins, 1 calls") {
			t.Errorf("it ended with %v", err)
		}
	})
}
