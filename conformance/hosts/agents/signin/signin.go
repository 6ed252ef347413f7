// Package signin measures what becomes of a first call that needs a sign-in: an
// agent, the server of examples/stdio, a test authorization server, and a
// person who reads what they can see and goes where it says.
package signin

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents"
	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents/model"
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

// A Trial is what is measured once: one host, or several one after the other, in the
// same home directory and with the same server.
type Trial struct {
	Name  string
	Hosts []agents.Agent
	Flow  string
	// Kept is set where the server keeps sign-ins and grants in files, so that a process
	// finds what the last one began. The tool is called again when the person has approved.
	Kept  bool
	Title string // of what is kept
}

// waits says whether the program in which the person is asked has ended before they go.
func (t Trial) waits() bool { return t.Kept && (t.Hosts[0].Calls() > 1 || t.Hosts[0].Quits) }

// Measure has hosts call a tool.
func (s Setting) Measure(ctx context.Context, t Trial) (res Result, err error) {
	version, err := t.Hosts[0].Version()
	if err != nil {
		return Result{}, err
	}
	// Sockets have names of a hundred characters at most, so the folder's is short.
	dir, err := os.MkdirTemp(s.Dir, "s")
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, s.putAway(dir, t.Name+"-"+t.Flow)) }()
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
	printed, err := os.Create(filepath.Join(dir, "printed")) //nolint:gosec // a folder of our own
	if err != nil {
		return Result{}, err
	}
	defer func() { _ = printed.Close() }()

	p := &person{as: as, progress: t.Hosts[0].ShowsProgress, codes: t.Flow == "device", waits: t.waits(), leaves: t.Hosts[0].Quits}
	session.Server.Name, session.Log = "notes", printed
	session.Relay(s.Relay, s.server(t, as, dir))
	follow := newFollower(session.Recording(), p)
	began := time.Now()
	var failed []error
	for i, a := range t.Hosts {
		if i > 0 {
			p.wait(ctx)
		}
		failed = append(failed, p.uses(ctx, session, a, t.Kept))
	}
	took := time.Since(began)
	left := session.End()
	follow.stop()
	raw, err := os.ReadFile(printed.Name())
	if err != nil {
		return Result{}, err
	}
	res = p.result(string(raw) + session.Screens())
	res.Opened = session.Opened() != ""
	res.Agent, res.Version, res.Flow, res.Left, res.Took = t.Hosts[len(t.Hosts)-1], version, t.Flow, left, took
	if len(p.record.Calls) == 0 {
		return res, fmt.Errorf("%s did not call the tool: %w; it printed: %s", t.Name, errors.Join(append(failed, ctx.Err())...), tail(string(raw)))
	}
	if t.Kept {
		res.Kept = p.kept(t.Title)
	}
	return res, nil
}

// server is the command of the server of a trial.
func (s Setting) server(t Trial, as *authorizationServer, dir string) []string {
	command := as.environment()
	var keeps []string
	if t.Kept {
		key := make([]byte, 32)
		_, _ = rand.Read(key) // it never fails
		command = append(command, "NOTES_STORE_KEY="+hex.EncodeToString(key))
		keeps = []string{"-store", "file", "-store-dir", filepath.Join(dir, "grants")}
	}
	command = append(command, s.Server, "-issuer", as.issuer, "-client-id", as.client, "-api", as.issuer, "-flows", t.Flow)
	return append(command, keeps...)
}

// uses has the person use a host, to its end.
func (p *person) uses(ctx context.Context, session *agents.Session, a agents.Agent, kept bool) error {
	script := newScript()
	provider, stop, err := listen(ctx, model.New(session.Server.Name, script))
	if err != nil {
		return err
	}
	defer stop()
	var ready func(context.Context)
	if kept {
		ready = p.wait
	}
	control, hangUp, err := listen(ctx, newControl(a.Calls(), session, ready))
	if err != nil {
		return err
	}
	defer hangUp()
	session.Control, session.Model, session.Done = control, provider, script.done
	session.Ask = func(ctx context.Context, _, _, _ string) (string, error) {
		select {
		case <-time.After(reads):
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
		switch {
		case a.Quits:
			return "", agents.ErrQuit
		case a.Declines:
			return "decline", nil
		}
		return "accept", nil
	}
	return session.Run(ctx, a)
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
