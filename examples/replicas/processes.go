package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/lazyauth/mcp-lazyauth/internal/engines"
)

// configVariable has the configuration of a replica, in JSON: see [replicaConfig].
const configVariable = "REPLICAS_CONFIG"

// A process is one replica as it is started, again and again.
type process struct {
	n     int
	place *engines.Port // where it listens

	mu     sync.Mutex
	name   string // of the present incarnation
	cmd    *exec.Cmd
	ended  chan struct{}
	halted chan struct{} // closed when it has stopped itself
	up     bool          // it is ready for requests
}

// processes are the replicas, and the proxy before them.
type processes struct {
	base   replicaConfig
	key    string
	self   string // this program
	all    []*process
	public string
	proxy  *http.Server
	wrote  func(what string, comes bool) // see journal.writes
	// stoodStill is told how long a process stood still that nobody had stop.
	stoodStill func(time.Duration)
	turn       atomic.Uint64
	births     atomic.Int64

	mu      sync.Mutex
	dead    map[string]bool // incarnations that were killed, or stopped
	stood   map[string]bool // and those that were stopped
	inDoubt int             // attempts that one went on from, of one that is dead
	failed  []string        // how incarnations have ended that were to go on
}

// newProcesses makes a place for so many, and starts none.
func newProcesses(ctx context.Context, size int, key string) (*processes, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &processes{key: key, self: self, public: "http://" + listener.Addr().String(), dead: map[string]bool{}, stood: map[string]bool{}}
	for n := range size {
		place, err := engines.NewPort()
		if err != nil {
			return nil, err
		}
		p.all = append(p.all, &process{n: n, place: place})
	}
	p.proxy = &http.Server{Handler: p, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = p.proxy.Serve(listener) }() // until it is closed
	return p, nil
}

// ServeHTTP sends each request to the next process that is ready, as a proxy does that knows nothing of calls. One that cannot be
// connected to is passed over.
func (p *processes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		return
	}
	for range p.all {
		to := p.all[p.turn.Add(1)%uint64(len(p.all))]
		if !to.isUp() {
			continue
		}
		refused := false
		proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: to.place.Addr()})
		proxy.FlushInterval = -1
		proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err error) {
			if failed, ok := errors.AsType[*net.OpError](err); ok && failed.Op == "dial" {
				refused = true
				return
			}
			w.WriteHeader(http.StatusBadGateway)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil } // for a connection that has ended meanwhile
		if proxy.ServeHTTP(w, r); !refused {
			return
		}
	}
	w.WriteHeader(http.StatusServiceUnavailable)
}

func (p *process) isUp() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.up
}

// address is where it serves.
func (p *process) address() string { return "http://" + p.place.Addr() }

// hasEnded is closed when the present incarnation has, and hasHalted when that has stopped itself.
func (p *process) hasEnded() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

func (p *process) hasHalted() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.halted
}

// alive reports whether an incarnation runs, and was never stopped.
func (p *processes) alive(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return name != "" && !p.dead[name]
}

// hasStood reports whether an incarnation has stood still.
func (p *processes) hasStood(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stood[name]
}

func (p *processes) bury(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead[name] = true
}

// start starts one process, and returns when it is ready. dieAt is where it is to kill itself; empty: nowhere.
func (p *processes) start(ctx context.Context, one *process, dieAt string) error {
	cfg := p.base
	cfg.Name, cfg.Listen, cfg.Public, cfg.DieAt = fmt.Sprintf("%d.%d", one.n, p.births.Add(1)), one.place.Addr(), p.public, dieAt
	text, err := json.Marshal(cfg)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, p.self) //nolint:gosec // this very program
	cmd.Env = append(os.Environ(), configVariable+"="+string(text), keyVariable+"="+p.key)
	cmd.Stderr = os.Stderr
	output, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended, halted := make(chan struct{}), make(chan struct{})
	one.mu.Lock()
	one.name, one.cmd, one.ended, one.halted, one.up = cfg.Name, cmd, ended, halted, false
	one.mu.Unlock()
	go func() {
		p.hear(one, cfg.Name, output, halted)
		err := cmd.Wait()
		p.bury(cfg.Name)
		if cmd.ProcessState.ExitCode() > 0 { // and not by a signal, or as it was asked to
			p.mu.Lock()
			p.failed = append(p.failed, fmt.Sprintf("%s: %v", cfg.Name, err))
			p.mu.Unlock()
		}
		one.mu.Lock()
		if one.cmd == cmd {
			one.up = false
		}
		one.mu.Unlock()
		close(ended)
	}()
	for {
		select {
		case <-ended:
			if dieAt == "" && ctx.Err() == nil {
				return fmt.Errorf("process %s has ended before it was ready (%v): what it says of that is above", cfg.Name, cmd.ProcessState)
			}
			return context.Cause(ctx) // it has died at its point already
		case <-halted:
			return nil // or has stopped there
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
		if isReady(ctx, one.place.Addr()) {
			one.mu.Lock()
			one.up = one.cmd == cmd && p.alive(cfg.Name)
			one.mu.Unlock()
			return nil
		}
	}
}

// isReady reports whether a process says so. One that stands still says nothing.
func isReady(ctx context.Context, at string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+"/readyz", nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// hear reads what an incarnation tells, until it ends.
func (p *processes) hear(one *process, name string, output io.Reader, halted chan struct{}) {
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		switch line := lines.Text(); {
		case line == stoppedLine:
			p.bury(name)
			p.mu.Lock()
			p.stood[name] = true
			p.mu.Unlock()
			one.mu.Lock()
			one.up = false
			one.mu.Unlock()
			close(halted)
		case line == doubtLine:
			p.mu.Lock()
			p.inDoubt++
			p.mu.Unlock()
		case strings.HasPrefix(line, wroteLine):
			p.wrote(strings.TrimPrefix(line, wroteLine), false)
		case strings.HasPrefix(line, cameLine):
			p.wrote(strings.TrimPrefix(line, cameLine), true)
		case strings.HasPrefix(line, stillLine):
			if d, err := time.ParseDuration(strings.TrimPrefix(line, stillLine)); err == nil && !p.hasStood(name) {
				p.stoodStill(d)
			}
		}
	}
}

// signal sends one process a signal, and returns when that has done what it does.
func (p *processes) signal(one *process, sig syscall.Signal) {
	one.mu.Lock()
	cmd, ended, name := one.cmd, one.ended, one.name
	if sig != syscall.SIGCONT {
		one.up = false
	} else {
		one.up = true
	}
	one.mu.Unlock()
	if sig == syscall.SIGKILL || sig == syscall.SIGSTOP {
		p.bury(name)
	}
	_ = cmd.Process.Signal(sig) // it may have ended
	if sig == syscall.SIGKILL || sig == syscall.SIGTERM {
		<-ended
	}
}

// stop ends all.
func (p *processes) stop() {
	_ = p.proxy.Close()
	for _, one := range p.all {
		if one.cmd != nil {
			p.signal(one, syscall.SIGCONT)
			p.signal(one, syscall.SIGKILL)
		}
		_ = one.place.Close()
	}
}
