package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gofrs/flock"
)

const (
	// lockPause is how long to wait, on average, before looking again whether
	// another process has let go of a lock.
	lockPause = 10 * time.Millisecond
	// lockWait is how long to wait for a lock at the most, whatever the context says.
	lockWait = 2 * time.Minute
)

// A hold is the right to change a record, which no other goroutine and no other process
// has meanwhile.
type hold struct {
	unlock func() // may take for ever
	back   func()
}

func (h hold) release() { h.unlock(); h.back() }

// locked waits for the right to change a record and calls f in the queue of the place
// once it has it. If f fails the right is given back; otherwise the caller has it. undo
// takes back what f did if nobody waits for that any more; nil does nothing.
func locked[T any](ctx context.Context, k *kept, name string, f func() (T, error), undo func(T)) (T, hold, error) {
	type result struct {
		v      T
		unlock func() // nil if another process has the lock
	}
	var none T
	came := time.Now()
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	if err := k.place.queue().stuck(); err != nil { // it may be an update of this record
		return none, hold{}, k.named(err)
	}
	back, err := k.turns.take(ctx, name)
	if err != nil {
		return none, hold{}, k.named(err)
	}
	held := func() error {
		return k.named(noAnswer{
			fmt.Sprintf("another process has held the lock of the record (%s) for %v: if it is stopped, let it go on or end it",
				k.place.lockName(name), time.Since(came).Round(time.Millisecond)),
			context.Cause(ctx),
		})
	}
	for seen := false; ; seen = true {
		tried := time.Now()
		r, err := ask(ctx, k.place.queue(), func() (r result, err error) {
			if r.unlock, err = k.place.tryLock(name); r.unlock == nil || err != nil {
				return r, err
			}
			if r.v, err = f(); err != nil {
				r.unlock()
			}
			return r, err
		}, func(r result) {
			if r.unlock == nil {
				return
			}
			if undo != nil {
				undo(r.v)
			}
			r.unlock()
		})
		if err != nil {
			back()
			if seen && ctx.Err() != nil && time.Since(tried) < time.Second {
				return none, hold{}, held() // it ended while the lock was looked at
			}
			return none, hold{}, k.named(err)
		}
		if r.unlock != nil {
			return r.v, hold{r.unlock, back}, nil
		}
		select {
		case <-time.After(lockPause/2 + rand.N(lockPause)): //nolint:gosec // so that those who wait do not look in step
		case <-ctx.Done():
			back()
			return none, hold{}, held()
		}
	}
}

// lockFile is the name of the file whose lock is that of a record.
func lockFile(name string) string { return name + ".lock" }

// tryLock returns nil if somebody else has the lock. The operating system releases it
// when the process ends. The lock's file is never removed: whoever waited for it would
// then have the lock of a file that the next one does not see.
func (f *folder) tryLock(name string) (unlock func(), err error) {
	file := lockFile(name)
	root, err := f.open(true)
	if err != nil {
		return nil, err
	}
	defer shut(root)
	info, err := root.Lstat(file)
	if err == nil {
		err = private(f.join(file), info, 0)
	}
	if absent(err) != nil {
		return nil, err
	}
	// By its path, which is in a folder that nobody else can change.
	l := flock.New(f.join(file), flock.SetPermissions(0o600))
	ok, err := l.TryLock()
	if err != nil {
		return nil, unwritable(f.path, err)
	}
	if !ok {
		return nil, nil
	}
	return func() { _ = l.Unlock() }, nil // closing its file releases it in any case
}
