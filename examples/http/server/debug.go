package server

import (
	"expvar"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// serveDebug serves the counters, among what expvar has by itself, at /debug/vars, and as Prometheus reads them at
// /metrics, on an address of their own, which is loopback: they are for whoever operates
// the server. The caller must close what it returns. Without Debug there is
// nothing to serve.
func (s *Server) serveDebug(stdout io.Writer) (*http.Server, error) {
	mux := http.NewServeMux()
	debug := newWeb(knownHosts("", mux), s.cfg.Log)
	if s.cfg.Debug == "" {
		return debug, nil
	}
	listener, err := net.Listen("tcp", s.cfg.Debug)
	if err != nil {
		return nil, fmt.Errorf("-debug: %w", err)
	}
	expvar.Publish("lazyauth", s.counters)
	mux.Handle("GET /debug/vars", expvar.Handler())
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = s.counters.WriteTo(w)
	})
	debug.WriteTimeout = 10 * time.Second     // nothing waits here
	go func() { _ = debug.Serve(listener) }() // ends with Close
	fmt.Fprintf(stdout, "counters          http://%s/debug/vars\n", listener.Addr())
	return debug, nil
}
