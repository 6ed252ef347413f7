package grants

import (
	"sync/atomic"
	"time"
)

// A timer is a [time.Timer] that holds nothing of what it calls once it is stopped. Those of package time may: the runtime
// keeps some that were stopped for as long as others are running, of thousands of idle people's as many as a quarter of these.
type timer struct {
	f atomic.Pointer[func()] // nil: it was stopped
	t *time.Timer
}

// afterFunc is [time.AfterFunc].
func afterFunc(after time.Duration, f func()) *timer {
	t := new(timer)
	t.f.Store(&f)
	t.t = time.AfterFunc(after, func() {
		if f := t.f.Load(); f != nil {
			(*f)()
		}
	})
	return t
}

// reset has f called after that time, and not what was to be called.
func (t *timer) reset(after time.Duration, f func()) {
	t.f.Store(&f)
	t.t.Reset(after)
}

// stop is that of a [time.Timer], of one that there may be.
func (t *timer) stop() {
	if t != nil {
		t.t.Stop()
		t.f.Store(nil)
	}
}
