package engines

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"sync"
	"syscall"
	"time"
)

// patience is how long an engine may take to start or to stop, on a machine with much to do.
const patience = time.Minute

// A process runs one engine.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // is closed once it has
	log    tail
}

// run starts a program as the account who, which is this process's own if it is nil.
func run(who *account, dir, path string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(path, args...), exited: make(chan struct{})} //nolint:gosec,noctx // a server, ended by stop
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	p.cmd.SysProcAttr = attributes(who)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("engines: %s: %w", filepath.Base(path), err)
	}
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait() // its log says why
	}()
	return p, nil
}

// signal ends the process by a signal, and waits until it has ended. Redis refuses to end at some moments, and is
// asked again.
func (p *process) signal(ctx context.Context, sig syscall.Signal) error {
	for {
		_ = p.cmd.Process.Signal(sig) // it may have ended before
		select {
		case <-p.exited:
			return nil
		case <-time.After(time.Second):
		case <-ctx.Done():
			_ = p.cmd.Process.Kill()
			return fmt.Errorf("engines: %s did not end: %w; it says: %s", p.cmd.Path, context.Cause(ctx), p.log.String())
		}
	}
}

func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// whenReady calls ready until it returns nil.
func (p *process) whenReady(ctx context.Context, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("engines: %s ended: %s", filepath.Base(p.cmd.Path), p.log.String())
		case <-ctx.Done():
			return fmt.Errorf("engines: %s does not answer: %w; it says: %s", filepath.Base(p.cmd.Path), err, p.log.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// find looks for a program in PATH and in the folders that Debian has it in.
func find(name, install string, patterns ...string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, pattern := range patterns {
		found, _ := filepath.Glob(pattern) // the pattern is well-formed
		sort.Strings(found)
		if len(found) > 0 {
			return found[len(found)-1], nil
		}
	}
	return "", fmt.Errorf("engines: %s is not installed; on Debian: apt-get install %s", name, install)
}

// listening is a ready for what can be told by the port alone.
func listening(addr string) func(context.Context) error {
	return func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

// reachable checks that another account gets to a folder: os.MkdirTemp makes them for its owner alone.
func reachable(dir string) error {
	for at := dir; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return err
		}
		if at != dir && info.Mode().Perm()&1 == 0 {
			return fmt.Errorf("engines: root may not run it, and no other account gets to %s: run chmod o+x on that folder, or set TMPDIR", at)
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

// password returns one that has to be escaped nowhere.
func password() string { return rand.Text() }

// A tail keeps the last of what is written.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if extra := len(t.text) - tailSize; extra > 0 {
		t.text = append(t.text[:0], t.text[extra:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.text))
}

var errStopped = errors.New("engines: it is not running")
