// Package ending has contexts for what thousands wait for at a time.
package ending

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A Context ends when End is called. It costs some words while it waits, where one of package context costs a channel, a
// map and some more: here a channel is made for who asks for it, and what [During] and [AfterFunc] add
// is gone when that is released or stopped. It must not be copied.
type Context struct {
	Values context.Context // whose values it has, and not its end; nil: none

	// Set under mu, and read without: a thousand who look at it at a time wait for no lock, and need no stack for that.
	ended atomic.Pointer[over]          // nil: it has not
	done  atomic.Pointer[chan struct{}] // nil: nobody has asked for it

	mu    sync.Mutex
	calls *call // when it ends, the last one first; guarded by mu
}

// over is what a Context is like once it has ended.
type over struct{ context.Context }

// A call is one element of a list.
type call struct {
	f    func() // returns at once
	next *call
}

// End ends c, as a [context.CancelCauseFunc] does. The first end counts.
func (c *Context) End(cause error) {
	ended, cancel := context.WithCancelCause(c.values())
	cancel(cause)
	c.mu.Lock()
	if !c.ended.CompareAndSwap(nil, &over{ended}) {
		c.mu.Unlock()
		return
	}
	if done := c.done.Load(); done != nil {
		close(*done)
	}
	calls := c.calls
	c.calls = nil
	c.mu.Unlock()
	for ; calls != nil; calls = calls.next {
		calls.f()
	}
}

// Err implements [context.Context].
func (c *Context) Err() error {
	if ended := c.ended.Load(); ended != nil {
		return ended.Err()
	}
	return nil
}

// Done implements [context.Context].
func (c *Context) Done() <-chan struct{} {
	if done := c.done.Load(); done != nil {
		return *done
	}
	return c.makeDone()
}

func (c *Context) makeDone() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if done := c.done.Load(); done != nil {
		return *done
	}
	done := make(chan struct{})
	if c.ended.Load() != nil {
		close(done)
	}
	c.done.Store(&done)
	return done
}

// Deadline implements [context.Context]: there is none.
func (*Context) Deadline() (at time.Time, ok bool) { return at, false }

// Value implements [context.Context], and has [context.Cause] find the cause.
func (c *Context) Value(key any) any { return c.now().Value(key) }

func (c *Context) now() context.Context {
	if ended := c.ended.Load(); ended != nil {
		return ended
	}
	return c.values()
}

func (c *Context) values() context.Context {
	if c.Values == nil {
		return context.Background()
	}
	return context.WithoutCancel(c.Values)
}

// AfterFunc has f called when c has ended, before End returns, unless it is stopped before; f returns at once. It has contexts
// end with c that package context makes of it, and [context.AfterFunc] find it.
func (c *Context) AfterFunc(f func()) (stop func() bool) {
	stop, ok := c.add(f)
	if !ok {
		go f() // package context holds a lock
	}
	return stop
}

// add has f called when c ends; false if it has.
func (c *Context) add(f func()) (stop func() bool, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended.Load() != nil {
		return func() bool { return false }, false
	}
	added := &call{f, c.calls}
	c.calls = added
	return func() bool { return c.remove(added) }, true
}

func (c *Context) remove(added *call) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for at := &c.calls; *at != nil; at = &(*at).next {
		if *at == added {
			*at = added.next
			return true
		}
	}
	return false
}

// AfterFunc is [context.AfterFunc] for an f that returns at once; by that one a [Context] would have a channel for as long
// as it lasts.
func AfterFunc(ctx context.Context, f func()) (stop func() bool) {
	if c, ok := ctx.(*Context); ok {
		return c.AfterFunc(f)
	}
	return context.AfterFunc(ctx, f)
}

// During returns a context for what is done now: it is like ctx, and ends with it, or when it is released. If ctx is a
// [Context], nothing of it is left there then.
func During(ctx context.Context) (now context.Context, release func()) {
	c, ok := ctx.(*Context)
	if !ok {
		return context.WithCancel(ctx)
	}
	now, cancel := context.WithCancelCause(context.WithoutCancel(c))
	ends := func() { cancel(context.Cause(c)) }
	stop, ok := c.add(ends)
	if !ok {
		ends()
	}
	return now, func() { stop(); cancel(nil) }
}
