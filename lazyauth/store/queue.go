package store

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// answerWait is how long a request waits at the most, whatever its context says. A
	// person may have to type a password.
	answerWait = 2 * time.Minute
	// hangAfter is when a request that nobody waits for any more counts as hung.
	hangAfter = 5 * time.Second
)

// A queue makes the requests to a place that may never answer: a file server that is out
// of reach, a keychain whose dialog nobody sees. Such a request cannot be interrupted, so
// it is made on a goroutine of the queue, and the caller stops waiting when its context
// ends. At most limit requests are under way at once, so no more goroutines than that are
// left behind. While one hangs, no other is begun: callers get an error at once.
//
// Requests are begun in the order in which they came.
type queue struct {
	limit  int
	advice string // what may be the matter, and what to do

	mu      sync.Mutex // guards what follows, and the fields of requests that say so
	workers int        // goroutines that make requests
	waiting list.List  // of *request, not begun
	hung    list.List  // of *request: begun hangAfter ago, and nobody waits for it
}

// A request is a function that a queue calls, once.
type request struct {
	run  func()
	undo func()        // after run, if nobody waited for its end; nil does nothing
	must bool          // it is made even if nobody waits for it
	done chan struct{} // closed after run
	gone chan struct{} // closed if a request before it hangs

	// The queue's mutex guards these.
	waits *list.Element // in queue.waiting, until it is begun
	hangs *list.Element // in queue.hung
	began time.Time
	told  bool        // gone is closed
	left  bool        // nobody waits for it
	over  bool        // run has returned
	timer *time.Timer // to when it hangs; nil until it is left and begun
}

// ask calls f by way of q, and returns what f does, or an error that wraps [ErrNoAnswer]
// if ctx or answerWait ends before. f may still be called then, or be under way; undo
// is called after it, with the result of an f that succeeded. A nil queue calls f here.
func ask[T any](ctx context.Context, q *queue, f func() (T, error), undo func(T)) (T, error) {
	if q == nil {
		return f()
	}
	var v T
	var err error
	r := &request{run: func() { v, err = f() }}
	if undo != nil {
		r.undo = func() {
			if err == nil {
				undo(v)
			}
		}
	}
	if failed := q.make(ctx, r); failed != nil {
		var none T // v is the queue's
		return none, failed
	}
	return v, err
}

// finish calls f by way of q, even if it has to wait until after ctx has ended.
func finish(ctx context.Context, q *queue, f func() error) error {
	if q == nil {
		return f()
	}
	var err error
	r := &request{run: func() { err = f() }, must: true}
	if failed := q.make(ctx, r); failed != nil {
		return failed
	}
	return err
}

// make puts r into the queue and waits for its end. An error means that it was not
// waited for.
func (q *queue) make(ctx context.Context, r *request) error {
	r.done, r.gone = make(chan struct{}), make(chan struct{})
	came := time.Now()
	if err := q.put(r); err != nil {
		return err
	}
	limit := time.NewTimer(answerWait)
	defer limit.Stop()
	gone := r.gone
	for {
		select {
		case <-r.done:
			return nil
		case <-gone:
			if err := q.refused(r); err != nil {
				return err
			}
			gone = nil // it was begun in that moment
		case <-ctx.Done():
			return q.leave(r, came, context.Cause(ctx))
		case <-limit.C:
			return q.leave(r, came, nil)
		}
	}
}

func (q *queue) put(r *request) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.hung.Len() > 0 && !r.must {
		return q.behind()
	}
	r.waits = q.waiting.PushBack(r)
	if q.workers < q.limit {
		q.workers++
		go q.work()
	} else if q.hung.Len() > 0 {
		r.tell()
	}
	return nil
}

// tell closes gone. The queue's mutex is held.
func (r *request) tell() {
	if !r.told {
		r.told = true
		close(r.gone)
	}
}

// work makes requests until none waits.
func (q *queue) work() {
	for {
		q.mu.Lock()
		front := q.waiting.Front()
		if front == nil {
			q.workers--
			q.mu.Unlock()
			return
		}
		r := q.waiting.Remove(front).(*request)
		r.waits, r.began = nil, time.Now()
		if r.left {
			q.watch(r)
		}
		q.mu.Unlock()

		r.run()

		q.mu.Lock()
		r.over = true
		left := r.left
		q.mu.Unlock()
		if left && r.undo != nil {
			r.undo() // may hang as well
		}
		q.mu.Lock()
		if r.timer != nil {
			r.timer.Stop()
			r.timer = nil
		}
		if r.hangs != nil {
			q.hung.Remove(r.hangs)
			r.hangs = nil
		}
		q.mu.Unlock()
		close(r.done)
	}
}

// leave stops waiting for r. It returns nil if r is over by now.
func (q *queue) leave(r *request, came time.Time, cause error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case r.over:
		return nil
	case r.waits == nil:
		r.left = true
		q.watch(r)
		return q.silent("it has not answered for", time.Since(r.began), cause)
	case r.must:
		r.left = true
	default:
		q.waiting.Remove(r.waits)
	}
	return q.silent("it was busy with other requests for", time.Since(came), cause)
}

// refused is leave for a request that another one is in the way of. It returns nil if r
// was begun all the same.
func (q *queue) refused(r *request) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if r.waits == nil {
		return nil
	}
	if r.must {
		r.left = true
	} else {
		q.waiting.Remove(r.waits)
	}
	return q.behind()
}

// watch sees to it that r counts as hung in time. The mutex is held, r was begun and is
// not waited for.
func (q *queue) watch(r *request) {
	r.timer = time.AfterFunc(hangAfter-time.Since(r.began), func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if r.timer == nil { // it has answered
			return
		}
		if q.hung.Len() == 0 {
			for e := q.waiting.Front(); e != nil; e = e.Next() {
				e.Value.(*request).tell()
			}
		}
		r.hangs = q.hung.PushBack(r)
	})
}

// stuck returns an error while a request hangs.
func (q *queue) stuck() error {
	if q == nil {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.hung.Len() == 0 {
		return nil
	}
	return q.behind()
}

// behind says why a request is not made. The mutex is held. There may be nothing in the
// way any more.
func (q *queue) behind() error {
	if first := q.hung.Front(); first != nil {
		return q.silent("it has not answered an earlier request for", time.Since(first.Value.(*request).began), nil)
	}
	return q.silent("it had not answered an earlier request for", hangAfter, nil)
}

func (q *queue) silent(what string, since time.Duration, cause error) error {
	text := fmt.Sprintf("%s %v: %s", what, since.Round(time.Millisecond), q.advice)
	return noAnswer{text, cause}
}

// noAnswer is an [ErrNoAnswer] that says more.
type noAnswer struct {
	text  string
	cause error // of the context's end, or nil
}

func (e noAnswer) Error() string {
	if e.cause != nil {
		return e.text + ": " + e.cause.Error()
	}
	return e.text
}

func (e noAnswer) Unwrap() []error {
	if e.cause != nil {
		return []error{ErrNoAnswer, e.cause}
	}
	return []error{ErrNoAnswer}
}
