package gated

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/internal/loopback"
)

// A Report is what happened behind the suite's back, written as a line of JSON when the
// server ends.
type Report struct {
	Authorized int64    `json:"authorized"` // handlers that got a token
	Asked      int64    `json:"asked"`      // prompts that the host took out of the conversation
	Untyped    []string `json:"untyped"`    // results of revision 2026-07-28 that lack their resultType
	Violations []string `json:"violations"` // what the authorization server says lazyauth must not do
}

// ListenAndServe stands for [http.ListenAndServe]. It prints the URL of the server, serves
// until standard input ends, prints the [Report], and ends the program: the one who calls it
// takes its return for a failure.
func ListenAndServe(address string, handler http.Handler) error {
	s := served()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if *ask {
		go s.approveAll(ctx)
	}
	h := &host{next: handler, answers: *ask && *fault != letPrompts}
	ended := make(chan error, 1)
	go func() { ended <- loopback.Serve(ctx, listener, h) }()
	fmt.Printf("http://localhost:%d/mcp\n", listener.Addr().(*net.TCPAddr).Port)

	_, _ = io.Copy(io.Discard, os.Stdin) // that it ends, however, is what it is for
	cancel()
	if err := <-ended; err != nil {
		return err
	}
	if err := s.auth.Close(); err != nil {
		return err
	}
	report := Report{Authorized: s.authorized.Load(), Asked: h.asked.Load(), Untyped: h.untypedResults()}
	for _, v := range s.as.Violations() {
		report.Violations = append(report.Violations, v.String())
	}
	if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
		return err
	}
	os.Exit(0)
	return nil
}

// approveAll is everybody who is asked, with the prompt before them.
func (s *service) approveAll(ctx context.Context) {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for _, request := range s.as.Waiting() {
			_ = s.as.Approve(request.UserCode) // it may have expired since
		}
	}
}
