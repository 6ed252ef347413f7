// Package schedule runs jobs at their times, few of them at once. Thousands that wait cost no goroutine
// and no timer each: there is one timer for all, and a goroutine for each job that runs.
package schedule

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/ending"
)

// A Job is run time and again.
type Job interface {
	// Run is called when the job is due, on a goroutine of the schedule's, and never twice at a time. It returns when the job is due
	// again; the zero time ends it. It must return in a bounded time, and not panic.
	Run() time.Time
}

// A Schedule runs jobs. Its methods are safe for concurrent use. It has nothing to close: what waits goes with
// its contexts, and once there are no jobs there is no goroutine and no timer.
type Schedule struct {
	most int

	mu      sync.Mutex // no job runs under it
	waiting queue
	running int         // goroutines, each of which runs one job after the other
	timer   *time.Timer // of the first that waits; nil before there is one
}

// New returns a schedule that runs at most so many jobs at a time, beside those that end with their contexts. Those that are due then wait, the one that was due
// first before the others.
func New(most int) *Schedule { return &Schedule{most: most} }

// Add has a job run at a time, or when ctx ends if that is before, which the job is to look at: it is what ends it. Then it
// waits for no other job: one that ends does not take as long as one that asks somebody may.
func (s *Schedule) Add(ctx context.Context, at time.Time, job Job) {
	e := &entry{job: job, at: soonest(at), place: out}
	s.mu.Lock()
	heap.Push(&s.waiting, e)
	s.look()
	s.mu.Unlock()
	stop := ending.AfterFunc(ctx, func() { go s.hurry(e) })
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.done {
		stop()
	}
	e.stop = stop
}

// hurry has an entry run at once, on this goroutine, for the last time; one that runs now is run once more after that.
func (s *Schedule) hurry(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.hurried = true
	if e.place == out {
		return
	}
	heap.Remove(&s.waiting, e.place)
	s.turn(e)
	s.look()
}

// look has what is due run, or sets the timer; s.mu is held.
func (s *Schedule) look() {
	switch {
	case len(s.waiting) == 0:
		if s.timer != nil {
			s.timer.Stop()
		}
		return
	case s.running >= s.most: // whoever runs looks again
		return
	}
	left := time.Until(s.waiting[0].at)
	switch {
	case left <= 0:
		s.running++
		go s.work() // ends when nothing is due
	case s.timer == nil:
		s.timer = time.AfterFunc(left, s.wake)
	default:
		s.timer.Reset(left)
	}
}

// wake is what the timer calls.
func (s *Schedule) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
}

// work runs what is due, until nothing is.
func (s *Schedule) work() {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { // also if a job has ended the goroutine
		s.running--
		s.look()
	}()
	for len(s.waiting) > 0 && time.Until(s.waiting[0].at) <= 0 {
		e, _ := heap.Pop(&s.waiting).(*entry)
		s.look() // for the next one
		s.turn(e)
	}
}

// turn runs an entry that is not in the queue, and puts it back unless it has ended; s.mu is held, but not meanwhile.
func (s *Schedule) turn(e *entry) {
	wasHurried := e.hurried
	again := s.run(e)
	if !again.IsZero() && e.hurried && !wasHurried {
		again = s.run(e)
	}
	if !again.IsZero() {
		e.at = soonest(again)
		heap.Push(&s.waiting, e)
		return
	}
	if e.done = true; e.stop != nil {
		e.stop()
	}
}

// run runs a job; s.mu is held, but not meanwhile.
func (s *Schedule) run(e *entry) time.Time {
	s.mu.Unlock()
	defer s.mu.Lock()
	return e.job.Run()
}

// soonest returns a time by the clock that is not set, so that nobody who sets the other one moves what waits.
func soonest(at time.Time) time.Time {
	now := time.Now()
	return now.Add(max(0, at.Sub(now)))
}

// An entry is one job. Its fields are guarded by Schedule.mu.
type entry struct {
	job     Job
	at      time.Time
	place   int         // in the queue, or out
	stop    func() bool // what waits for its context
	hurried bool        // that has ended
	done    bool
}

// out is the place of an entry that is not in the queue.
const out = -1

// A queue is a heap of entries, of which the first is due first.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push implements [heap.Interface].
func (q *queue) Push(x any) {
	if e, ok := x.(*entry); ok {
		e.place = len(*q)
		*q = append(*q, e)
	}
}

// Pop implements [heap.Interface].
func (q *queue) Pop() any {
	all := *q
	last := len(all) - 1
	e := all[last]
	all[last] = nil
	*q = all[:last]
	e.place = out
	return e
}
