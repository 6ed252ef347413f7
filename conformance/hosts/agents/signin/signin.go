// Package signin measures what becomes of a first call that needs a sign-in: an
// agent, the server of examples/stdio, a test authorization server, and a
// person who reads what they can see and goes where it says.
package signin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents"
	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents/model"
	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents/record"
)

// The tool that is called, and what its result has in it once the person is
// signed in.
const (
	Tool   = "whoami"
	wanted = "Ada Example"
)

// A Setting is what all measurements have in common.
type Setting struct {
	Server string   // the program of examples/stdio
	Relay  []string // the command of the relay
	Dir    string   // where the sessions' folders are made
	Keep   string   // where they are moved to in the end; if empty, they are removed
}

// limit is for one agent. The longest waits are of those that show nothing to
// anybody for a minute, twice.
const limit = 240 * time.Second

// Measure has an agent call a tool, by one of the server's flows.
func (s Setting) Measure(ctx context.Context, a agents.Agent, flow string) (res Result, err error) {
	version, err := a.Version()
	if err != nil {
		return Result{}, err
	}
	// Sockets have names of a hundred characters at most, so the folder's is short.
	dir, err := os.MkdirTemp(s.Dir, "s")
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, s.putAway(dir, a.Name+"-"+flow)) }()
	session, err := agents.NewSession(dir)
	if err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	as, err := newAuthorizationServer(ctx, dir)
	if err != nil {
		return Result{}, err
	}
	defer as.close()

	script := newScript()
	provider, stop, err := listen(ctx, model.New("notes", script))
	if err != nil {
		return Result{}, err
	}
	defer stop()
	printed, err := os.Create(filepath.Join(dir, "printed")) //nolint:gosec // a folder of our own
	if err != nil {
		return Result{}, err
	}
	defer func() { _ = printed.Close() }()

	control, hangUp, err := listen(ctx, newControl(a.Calls(), session))
	if err != nil {
		return Result{}, err
	}
	defer hangUp()
	session.Control = control
	session.Server.Name, session.Model, session.Done, session.Log = "notes", provider, script.done, printed
	session.Relay(s.Relay, append(as.environment(), s.Server, "-issuer", as.issuer, "-client-id", as.client, "-api", as.issuer, "-flows", flow))
	session.Ask = func(ctx context.Context, _, _, _ string) (string, error) {
		select {
		case <-time.After(reads):
			if a.Declines {
				return "decline", nil
			}
			return "accept", nil
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
	p := &person{as: as, progress: a.ShowsProgress, codes: flow == "device"}
	follow := newFollower(session.Recording(), p)
	began := time.Now()
	failed := session.Run(ctx, a)
	took := time.Since(began)
	left := session.End()
	follow.stop()
	raw, err := os.ReadFile(printed.Name())
	if err != nil {
		return Result{}, err
	}
	res = p.result(string(raw) + session.Screens())
	res.Opened = session.Opened() != ""
	res.Agent, res.Version, res.Flow, res.Left, res.Took = a, version, flow, left, took
	if len(p.record.Calls) == 0 {
		return res, fmt.Errorf("%s did not call the tool: %w; it printed: %s", a.Name, errors.Join(failed, ctx.Err()), tail(string(raw)))
	}
	return res, nil
}

// putAway removes a session's folder, or moves what is of interest in it.
func (s Setting) putAway(dir, name string) error {
	if s.Keep == "" {
		return os.RemoveAll(dir)
	}
	to := filepath.Join(s.Keep, name)
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	for _, file := range []string{"wire", "printed", "screens", "opened"} {
		raw, err := os.ReadFile(filepath.Join(dir, file)) //nolint:gosec // a folder of our own
		if errors.Is(err, os.ErrNotExist) {
			continue // it has none
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, file), raw, 0o600) //nolint:gosec // a folder of the caller's
		}
		if err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}

// reads is how long the person takes to read a dialog.
const reads = 1500 * time.Millisecond

func tail(text string) string {
	const length = 600
	text = strings.TrimSpace(text)
	return text[max(0, len(text)-length):]
}

// A script is what a sensible agent does: it calls the tool, and again, after a
// while, if the result says that a sign-in is needed.
type script struct {
	done chan struct{}
	once sync.Once
}

func newScript() *script { return &script{done: make(chan struct{})} }

// How often the tool is called at most, and how long after a result that wants
// another call.
const (
	tries = 3
	pause = 6 * time.Second
)

// First is the tool.
func (*script) First() string { return Tool }

// Next decides by the last result.
func (s *script) Next(r *http.Request, results []string) ([]model.Call, string) {
	again := []model.Call{{Tool: Tool}}
	if len(results) == 0 {
		return again, ""
	}
	latest := results[len(results)-1]
	if !strings.Contains(latest, wanted) && len(results) < tries {
		select {
		case <-time.After(pause):
			return again, ""
		case <-r.Context().Done():
		}
	}
	s.once.Do(func() { close(s.done) })
	return nil, agents.LastWords(latest)
}

// A follower reads a recording while it is written.
type follower struct {
	ended chan struct{}
	done  sync.WaitGroup
}

func newFollower(file string, p *person) *follower {
	f := &follower{ended: make(chan struct{})}
	p.begin()
	f.done.Go(func() {
		var read record.File
		look := time.NewTicker(30 * time.Millisecond)
		defer look.Stop()
		for over := false; ; {
			for _, line := range read.More(file) {
				p.record.Read(line)
			}
			if over {
				return
			}
			select {
			case <-f.ended:
				over = true // once more
			case <-look.C:
			}
		}
	})
	return f
}

// stop reads what is left.
func (f *follower) stop() {
	close(f.ended)
	f.done.Wait()
}
