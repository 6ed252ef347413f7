package server_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/examples/http/server"
)

// A process whose store is gone is alive, and is not to be sent requests; one that is alone tells neither.
func TestReady(t *testing.T) {
	var gone atomic.Bool
	store := func(context.Context) error {
		if gone.Load() {
			return errors.New("the store is gone, at an address that is nobody's business")
		}
		return nil
	}
	for _, test := range []struct {
		name               string
		ready              func(context.Context) error
		health, here, gone int // status codes
	}{
		{"one of several", store, http.StatusOK, http.StatusOK, http.StatusServiceUnavailable},
		{"alone", nil, http.StatusNotFound, http.StatusNotFound, http.StatusNotFound},
	} {
		t.Run(test.name, func(t *testing.T) {
			gone.Store(false)
			at := serves(t, server.Config{
				Issuer: "https://as.example.com", ClientID: "notes", API: "https://api.example.com", DemoUsers: []string{"ada"}, Ready: test.ready,
			})
			get := func(path string, want int) {
				t.Helper()
				res, err := http.Get(at + path)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				if res.StatusCode != want {
					t.Errorf("%s: status %d, want %d", path, res.StatusCode, want)
				}
				if body, err := io.ReadAll(res.Body); err != nil || len(body) > len("404 page not found\n") {
					t.Errorf("%s: %q, %v", path, body, err)
				}
			}
			get("/healthz", test.health)
			get("/readyz", test.here)
			gone.Store(true)
			get("/healthz", test.health)
			get("/readyz", test.gone)
		})
	}
}

// serves has a server serve until the end of the test, and returns its base URL.
func serves(t *testing.T, cfg server.Config) string {
	t.Helper()
	at, end, ended := begins(t, cfg)
	t.Cleanup(func() {
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return at
}

// begins has a server serve until it is told to end, and returns its base URL.
func begins(t *testing.T, cfg server.Config) (at string, end context.CancelFunc, ended <-chan error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return beginsOn(t, listener, cfg)
}

func beginsOn(t *testing.T, listener net.Listener, cfg server.Config) (at string, end context.CancelFunc, ended <-chan error) {
	t.Helper()
	s, err := server.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(end)
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, listener, io.Discard) }()
	return "http://" + listener.Addr().String(), end, done
}
