package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// A job breaks a process, and leaves one that runs.
type job func(context.Context, *process) error

// tries is how often a process is started anew that has not come to its point within reachWait.
const (
	tries     = 4
	reachWait = 15 * time.Second
)

// breakAll breaks processes for as long as there is something left to break. One of the processes dies at points and is
// killed, and the others stand still, until there is nothing left of that to do.
func (r *round) breakAll(ctx context.Context, o options) error {
	reached := points
	if isFolder(r.processes.base.Store) { // the steps of a file store are in the library, and it knows no addresses
		reached = requestPoints
	}
	var deaths, halts []job
	for n := range max(o.deaths, o.halts) {
		for _, point := range reached {
			if n < o.deaths {
				deaths = append(deaths, func(ctx context.Context, one *process) error { return r.dies(ctx, one, point) })
			}
			if n < o.halts {
				halts = append(halts, func(ctx context.Context, one *process) error { return r.halts(ctx, one, point) })
			}
		}
	}
	for range o.kills {
		deaths = append(deaths, r.isKilled)
	}
	going, end := context.WithCancel(ctx) // and not what processes are started with: they go on
	defer end()
	dying, standing, failed := queue(deaths), queue(halts), make(chan error, 3)
	all := r.processes.all
	for n, queues := range [][]<-chan job{{dying}, {standing, dying}, {standing, dying}} {
		go func() { failed <- works(ctx, going, all[n], queues) }()
	}
	var err error
	for range all {
		if one := <-failed; one != nil {
			err = errors.Join(err, one)
			end()
		}
	}
	return err
}

func queue(jobs []job) <-chan job {
	q := make(chan job, len(jobs))
	for _, j := range jobs {
		q <- j
	}
	close(q)
	return q
}

// works does to a process what there is to do in these queues, the first one first, as long as going lasts.
func works(ctx, going context.Context, one *process, queues []<-chan job) error {
	for _, q := range queues {
		for j := range q {
			select {
			case <-going.Done():
				return nil
			default:
			}
			if err := j(ctx, one); err != nil {
				return err
			}
		}
	}
	return nil
}

// isKilled has a process die at random.
func (r *round) isKilled(ctx context.Context, one *process) error {
	time.Sleep(upTo(time.Second))
	r.processes.signal(one, syscall.SIGKILL)
	r.died("at random")
	return r.processes.start(ctx, one, "")
}

// dies has a process die at a point, and starts it again.
func (r *round) dies(ctx context.Context, one *process, point string) error {
	if err := r.comesTo(ctx, one, point, one.hasEnded); err != nil {
		return err
	}
	r.died(point)
	return r.processes.start(ctx, one, "")
}

// halts has a process stand still at a point for longer than its lease, and then go on for a moment.
func (r *round) halts(ctx context.Context, one *process, point string) error {
	if err := r.comesTo(ctx, one, stops+point, one.hasHalted); err != nil {
		return err
	}
	r.died(stops + point)
	time.Sleep(lease + time.Second)
	r.processes.signal(one, syscall.SIGCONT)
	time.Sleep(time.Second)
	r.processes.signal(one, syscall.SIGKILL)
	return r.processes.start(ctx, one, "")
}

// comesTo starts a process that is to come to a point, and returns when it has.
func (r *round) comesTo(ctx context.Context, one *process, point string, has func() <-chan struct{}) error {
	for range tries {
		r.processes.signal(one, syscall.SIGKILL)
		if err := r.processes.start(ctx, one, point); err != nil {
			return err
		}
		select {
		case <-has():
			return nil
		case <-time.After(reachWait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return fmt.Errorf("no process has come to the point %q in %d times %v", point, tries, reachWait)
}

func (r *round) died(how string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.histogram[how]++
}
