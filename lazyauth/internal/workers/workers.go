// Package workers runs jobs, each on a goroutine that is its own while it runs, and keeps a
// few of these goroutines for the next job: to make one, and to grow its stack, costs more
// than all the rest of an authorized tool call.
package workers

import "sync"

// maxIdle is how many goroutines wait for a job when there is none.
const maxIdle = 8

// A Job is run once. It must be comparable, and may end its goroutine.
type Job interface{ Run() }

// A Pool runs jobs. Its methods are safe for concurrent use.
type Pool struct {
	spawn func(func()) bool

	mu     sync.Mutex // nothing waits, and nothing of others is called, under it
	closed bool
	all    map[*worker]struct{}
	idle   []*worker
}

// A worker is one goroutine.
type worker struct {
	job  Job      // that it runs; guarded by Pool.mu
	next chan Job // has room for one: the pool sends to idle workers alone
}

// New returns a pool whose goroutines are made by spawn, which reports whether it does.
func New(spawn func(func()) bool) *Pool {
	return &Pool{spawn: spawn, all: make(map[*worker]struct{})}
}

// Run has the job run. It reports false, and runs nothing, once the pool is closed.
func (p *Pool) Run(job Job) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	if n := len(p.idle) - 1; n >= 0 {
		w := p.idle[n]
		p.idle = p.idle[:n]
		w.job = job
		w.next <- job
		return true
	}
	w := &worker{job: job, next: make(chan Job, 1)}
	p.all[w] = struct{}{}
	if !p.spawn(func() { p.work(w, job) }) {
		delete(p.all, w)
		return false
	}
	return true
}

// work runs one job after the other, on w's goroutine.
func (p *Pool) work(w *worker, job Job) {
	defer func() { // also when a job ends its goroutine
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.all, w)
	}()
	for ok := true; ok; job, ok = <-w.next {
		job.Run()
		if !p.rest(w) {
			return
		}
	}
}

// rest reports whether w waits for another job.
func (p *Pool) rest(w *worker) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.job = nil
	if p.closed || len(p.idle) >= maxIdle {
		return false
	}
	p.idle = append(p.idle, w)
	return true
}

// Close lets nothing begin, and ends the goroutines that are idle. What runs goes on.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, w := range p.idle {
		close(w.next)
	}
	p.idle = nil
}

// Jobs returns those that run.
func (p *Pool) Jobs() []Job {
	p.mu.Lock()
	defer p.mu.Unlock()
	var jobs []Job
	for w := range p.all {
		if w.job != nil {
			jobs = append(jobs, w.job)
		}
	}
	return jobs
}
