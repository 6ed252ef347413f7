// Package guard calls what others wrote, the author's callbacks above all: a panic becomes
// an error, and a wait has an end, so that neither ends or holds up the server.
package guard

import (
	"context"
	"errors"
	"fmt"
	"path"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"time"
)

// A Panic is one that was caught. Its text has no value that other code chose, since
// that may be anything, a token included: only the runtime's own errors are quoted.
type Panic struct {
	What string // panicked
	Text string // what with
	At   string // where, as far as that is not the standard library; may be empty

	stack []byte
}

// WithStack returns an error with p's text and the stack, for operators. Of arguments a
// stack has addresses and numbers alone.
func (p *Panic) WithStack() error { return fmt.Errorf("%w\n\n%s", p, p.stack) }

// maxStack is the length of the longest stack that is kept.
const maxStack = 16 << 10

func (p *Panic) Error() string {
	text := "lazyauth: " + p.What + " panicked" + p.Text
	if p.At != "" {
		text += " (" + p.At + ")"
	}
	return text
}

// ErrExited means that what was called gave up its goroutine (runtime.Goexit), and returned nothing.
var ErrExited = errors.New("lazyauth: it ended its goroutine, and did not return")

// Caught describes a value that recover returned. It must be called before the deferred
// function returns that has called recover: the stack is looked at.
func Caught(what string, value any) *Panic {
	stack := make([]byte, maxStack)
	p := &Panic{What: what, Text: fmt.Sprintf(" with a %T", value), stack: stack[:runtime.Stack(stack, false)]}
	if e, ok := value.(runtime.Error); ok && isRuntimes(e) {
		p.Text = ": " + e.Error()
	}
	if frame, ok := origin(); ok {
		p.At = fmt.Sprintf("%s, %s:%d", path.Base(frame.Function), path.Base(frame.File), frame.Line)
	}
	return p
}

// isRuntimes reports whether the runtime itself made the error: any package can have a type
// with the methods of one.
func isRuntimes(e runtime.Error) bool {
	t := reflect.TypeOf(e)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.PkgPath() == "runtime" || t.PkgPath() == "internal/runtime/maps"
}

// IsMishap reports whether err itself says that something did not return as it should.
func IsMishap(err error) bool {
	switch err.(type) { //nolint:errorlint // what it wraps was returned by other code
	case *Panic, *Slow:
		return true
	}
	return err == ErrExited //nolint:errorlint // the same
}

// Call calls f on this goroutine, and returns its error, or a [*Panic].
func Call(what string, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = Caught(what, v)
		}
	}()
	return f()
}

// Then is then(Call(what, f)), on this goroutine, and calls then as well if f ends that: with [ErrExited].
func Then(what string, f func() error, then func(error)) {
	err := ErrExited
	defer func() { then(err) }()
	err = Call(what, f)
}

// maxLate is how many calls of one name may be left behind.
const maxLate = 16

// A Late set knows what was called, was waited for as long as it may take, and has not
// returned. The zero value is empty.
type Late struct {
	mu     sync.Mutex
	counts map[string]int
	empty  chan struct{} // is closed when everything has returned; nil if no Join waits
}

// Join waits until everything has returned, for at most this long, and returns what has not.
func (l *Late) Join(wait time.Duration) []string {
	l.mu.Lock()
	if len(l.counts) == 0 {
		l.mu.Unlock()
		return nil
	}
	if l.empty == nil {
		l.empty = make(chan struct{})
	}
	empty := l.empty
	l.mu.Unlock()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-empty:
	case <-timer.C:
	}
	return l.Names()
}

// Names returns what has not returned, in a fixed order.
func (l *Late) Names() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var names []string
	for name := range l.counts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (l *Late) add(what string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counts == nil {
		l.counts = make(map[string]int)
	}
	if l.counts[what] += n; l.counts[what] == 0 {
		delete(l.counts, what)
	}
	if len(l.counts) == 0 && l.empty != nil {
		close(l.empty)
		l.empty = nil
	}
}

// During notes that what was called, by code that bounds the wait itself, until the function is
// called that it returns.
func (l *Late) During(what string) (returned func()) {
	l.add(what, 1)
	return func() { l.add(what, -1) }
}

func (l *Late) isFull(what string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts[what] >= maxLate
}

// A Slow error says that something did not return in time.
type Slow struct {
	What string
	Wait time.Duration
}

func (s *Slow) Error() string {
	return fmt.Sprintf("lazyauth: %s has not returned within %v", s.What, s.Wait)
}

// Await calls f on a goroutine of its own and returns what it returns, or why it did not: a
// [*Panic], [ErrExited], a [*Slow] error once wait is over, or why ctx ended. The context of
// f ends with the wait. A call that does not heed it is left behind, and known to late; there
// are only so many of those for one name, and from then on f is not called.
func Await[T any](ctx context.Context, late *Late, what string, wait time.Duration, f func(context.Context) (T, error)) (T, error) {
	var none T
	if late.isFull(what) {
		return none, &Slow{what, wait}
	}
	slow := &Slow{what, wait}
	ctx, cancel := context.WithTimeoutCause(ctx, wait, slow)
	type result struct {
		value T
		err   error
	}
	returned := make(chan result, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r := result{err: ErrExited}
		defer func() { returned <- r }()
		r.err = Call(what, func() error {
			// Of one that exits, the error is still ErrExited.
			value, err := f(ctx)
			r.value = value
			return err
		})
	}()
	select {
	case r := <-returned:
		cancel()
		return r.value, r.err
	case <-ctx.Done():
	}
	select { // what came at the same moment counts
	case r := <-returned:
		cancel()
		return r.value, r.err
	default:
	}
	cause := context.Cause(ctx)
	cancel()
	late.add(what, 1)
	go func() {
		<-ended
		late.add(what, -1)
	}()
	return none, cause
}
