package hostcheck

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
	"github.com/lazyauth/mcp-lazyauth/conformance/internal/process"
)

// A host is something that does a task: a process, or a function.
type host interface {
	ended() <-chan struct{}
	howEnded() string // after stop
	failed() bool     // whether it ended by itself, and not in an orderly way; after stop
	// stop ends it and all that it left behind, waits for that, and returns what
	// it wrote.
	stop() output
}

// output is what a host wrote to standard output and standard error.
type output struct{ stdout, stderr string }

// start starts the host for one scenario.
func (c Config) start(ctx context.Context, n wire.Network, launch Launch) host {
	if c.Play != nil {
		return startGuest(ctx, c.Play, n, launch)
	}
	p, err := c.startProcess(launch)
	if err != nil {
		return nobody(err.Error())
	}
	return p
}

// A nobody is a host that could not be started.
type nobody string

func (n nobody) ended() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}
func (n nobody) howEnded() string { return "the host could not be started (" + string(n) + ")" }
func (n nobody) failed() bool     { return true }
func (n nobody) stop() output     { return output{} }

// A guest is a host inside this process.
type guest struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

func startGuest(ctx context.Context, play func(context.Context, Launch) error, n wire.Network, launch Launch) *guest {
	launch.Dial = n.Dial
	ctx, cancel := context.WithCancel(ctx)
	g := &guest{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(g.done)
		g.err = play(ctx, launch)
	}()
	return g
}

func (g *guest) ended() <-chan struct{} { return g.done }

func (g *guest) howEnded() string {
	if g.err != nil {
		return "the host ended (" + g.err.Error() + ")"
	}
	return "the host ended"
}

func (g *guest) failed() bool { return g.err != nil }

func (g *guest) stop() output {
	g.cancel()
	<-g.done
	return output{}
}

// grace is how long a host has to end when its scenario is over.
const grace = 500 * time.Millisecond

// draining is how long what it wrote may take to be read once all of it has ended.
const draining = 10 * time.Second

// A program is a host that was started from a command.
type program struct {
	*process.Process
	dir            string
	stdout, stderr ends
	err            error // how it ended; set by stop
}

func (c Config) startProcess(launch Launch) (*program, error) {
	dir, err := os.MkdirTemp("", "hostcheck-")
	if err != nil {
		return nil, err
	}
	launch.Dir = dir
	p := &program{dir: dir}
	if err := p.start(c, launch); err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	return p, nil
}

func (p *program) start(c Config, launch Launch) error {
	if c.Template != "" {
		name := c.TemplateName
		if name == "" {
			name = "host.json"
		}
		launch.ConfigAt = filepath.Join(p.dir, filepath.FromSlash(name))
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return fmt.Errorf("the name of the template, %q, leaves its folder", name)
		}
		if err := c.render(launch); err != nil {
			return err
		}
	}
	args := launch.fill(c.Host)
	cmd := exec.Command(args[0], args[1:]...) //nolint:gosec,noctx // the host that the user names; stop ends it
	cmd.Env = slices.Concat(os.Environ(), launch.environment(), launch.officialEnvironment())
	cmd.Stdout, cmd.Stderr = &p.stdout, &p.stderr
	// A descendant may keep them open; do not wait for that.
	cmd.WaitDelay = draining
	var err error
	p.Process, err = process.Start(cmd, "HOSTCHECK_DIR="+p.dir)
	return err
}

func (p *program) ended() <-chan struct{} { return p.Exited() }

func (p *program) howEnded() string {
	var exit *exec.ExitError
	switch {
	case p.err == nil, errors.Is(p.err, exec.ErrWaitDelay):
		return "the host exited"
	case errors.As(p.err, &exit):
		return "the host ended with " + exit.String()
	}
	return "the host ended (" + p.err.Error() + ")"
}

func (p *program) failed() bool {
	return p.err != nil && !errors.Is(p.err, exec.ErrWaitDelay)
}

func (p *program) stop() output {
	p.err = p.End(grace)
	_ = os.RemoveAll(p.dir)
	return output{p.stdout.String(), p.stderr.String()}
}
