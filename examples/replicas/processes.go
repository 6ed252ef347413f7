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
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// configVariable has the configuration of a replica, in JSON: see [replicaConfig].
const configVariable = "REPLICAS_CONFIG"

// A process is one replica as it is started, again and again.
type process struct {
	n      int
	listen string

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
	turn   atomic.Uint64
	births atomic.Int64

	mu      sync.Mutex
	dead    map[string]bool // incarnations that were killed, or stopped
	inDoubt int             // attempts that one went on from, of one that is dead
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
	p := &processes{key: key, self: self, public: "http://" + listener.Addr().String(), dead: map[string]bool{}}
	for n := range size {
		place, err := listening.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		p.all = append(p.all, &process{n: n, listen: place.Addr().String()})
		_ = place.Close() // for the process
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
		proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: to.listen})
		proxy.FlushInterval = -1
		proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err error) {
			if failed, ok := errors.AsType[*net.OpError](err); ok && failed.Op == "dial" {
				refused = true
				return
			}
			w.WriteHeader(http.StatusBadGateway)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
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

// alive reports whether an incarnation runs, and was never stopped.
func (p *processes) alive(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return name != "" && !p.dead[name]
}

func (p *processes) bury(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead[name] = true
}

// start starts one process, and returns when it is ready. dieAt is where it is to kill itself; empty: nowhere.
func (p *processes) start(ctx context.Context, one *process, dieAt string) error {
	cfg := p.base
	cfg.Name, cfg.Listen, cfg.Public, cfg.DieAt = fmt.Sprintf("%d.%d", one.n, p.births.Add(1)), one.listen, p.public, dieAt
	text, err := json.Marshal(cfg)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, p.self) //nolint:gosec // this very program
	cmd.Env = append(os.Environ(), configVariable+"="+string(text), keyVariable+"="+p.key)
	cmd.Stderr = os.Stderr
	told, err := cmd.StdoutPipe()
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
		p.hear(one, cfg.Name, told, halted)
		_ = cmd.Wait() // how it ends is what this is about
		p.bury(cfg.Name)
		one.mu.Lock()
		if one.cmd == cmd {
			one.up = false
		}
		one.mu.Unlock()
		close(ended)
	}()
	ready, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+one.listen+"/readyz", nil)
	if err != nil {
		return err
	}
	for {
		select {
		case <-ended:
			return nil // it has died at its point already
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
		res, err := http.DefaultClient.Do(ready)
		if err != nil {
			continue
		}
		_ = res.Body.Close()
		if res.StatusCode == http.StatusOK {
			one.mu.Lock()
			one.up = true
			one.mu.Unlock()
			return nil
		}
	}
}

// hear reads what an incarnation tells, until it ends.
func (p *processes) hear(one *process, name string, told io.Reader, halted chan struct{}) {
	lines := bufio.NewScanner(told)
	for lines.Scan() {
		switch lines.Text() {
		case stoppedLine:
			p.bury(name)
			one.mu.Lock()
			one.up = false
			one.mu.Unlock()
			close(halted)
		case doubtLine:
			p.mu.Lock()
			p.inDoubt++
			p.mu.Unlock()
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
	}
}
