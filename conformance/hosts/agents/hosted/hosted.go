// Package hosted makes a host for hostcheck of an agent: the script of its model
// makes the calls of a task, and what the agent hands to its model is what the
// calls came to.
package hosted

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents"
	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents/model"
	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/screen"
)

// Run does the task that hostcheck announces in the environment.
func Run(ctx context.Context, a agents.Agent) (err error) {
	open := screen.OpenUnasked
	if a.Asks {
		open = screen.Open
	}
	s, err := open(ctx)
	if err != nil {
		return err
	}
	session, err := agents.NewSession(os.Getenv("HOSTCHECK_DIR"))
	if err != nil {
		return err
	}
	script := newScript(s)
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	provider := &http.Server{Handler: model.New(s.Task.Server.Name, script), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = provider.Serve(listener) }() // it ends when it is closed
	defer func() { err = errors.Join(err, provider.Close()) }()

	session.Server = agents.Server{Name: s.Task.Server.Name, Command: s.Task.Server.Command, URL: s.Task.Server.URL, Timeout: script.timeout()}
	session.Model, session.Done, session.Ask, session.Log = "http://"+listener.Addr().String(), script.done, s.Ask, os.Stderr
	err = session.Run(ctx, a)
	session.End()
	return err
}

// A script makes the calls of a task, step by step.
type script struct {
	screen *screen.Screen
	done   chan struct{}

	mu       sync.Mutex
	reported int // of the results
}

func newScript(s *screen.Screen) *script { return &script{screen: s, done: make(chan struct{})} }

// timeout is the shortest that a call of the task has, as agents have one for
// all calls; zero if none has any.
func (s *script) timeout() (shortest time.Duration) {
	for _, step := range s.screen.Task.Steps {
		for _, call := range step {
			if limit := time.Duration(call.TimeoutMs) * time.Millisecond; limit > 0 && (shortest == 0 || limit < shortest) {
				shortest = limit
			}
		}
	}
	return shortest
}

// First is the first tool of the task.
func (s *script) First() string { return s.screen.Task.Steps[0][0].Tool }

// Next reports the results that are new, and makes the calls of the next step.
func (s *script) Next(r *http.Request, results []string) ([]model.Call, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0 // of the calls up to here
	for _, step := range s.screen.Task.Steps {
		if n == len(results) {
			return calls(step), ""
		}
		for _, call := range step {
			if n >= s.reported && n < len(results) {
				s.reported++
				if err := s.screen.Report(r.Context(), call.ID, results[n]); err != nil {
					fmt.Fprintln(os.Stderr, err)
				}
			}
			n++
		}
	}
	if s.reported == n {
		s.reported++ // so that it is closed once
		close(s.done)
	}
	return nil, agents.LastWords("all is done")
}

func calls(step []hostcheck.Call) (out []model.Call) {
	for _, call := range step {
		out = append(out, model.Call{Tool: call.Tool, Arguments: call.Arguments})
	}
	return out
}
