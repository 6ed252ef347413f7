package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gofrs/flock"
)

// lockPause is how long to wait, on average, before looking again whether
// another process has let go of a lock.
const lockPause = 10 * time.Millisecond

// guard waits until nobody in this process or in another has the lock called
// name, and takes it. ctx ends the wait. The operating system releases the lock
// when the process ends.
func (f *folder) guard(ctx context.Context, name string) (release func(), err error) {
	back, err := f.turns.take(ctx, name)
	if err != nil {
		return nil, err
	}
	unlock, err := f.lock(ctx, name+".lock")
	if err != nil {
		back()
		return nil, err
	}
	return func() { unlock(); back() }, nil
}

func (f *folder) lock(ctx context.Context, file string) (unlock func(), err error) {
	for {
		if unlock, err = f.tryLock(file); unlock != nil || err != nil {
			return unlock, err
		}
		select {
		case <-time.After(lockPause/2 + rand.N(lockPause)): //nolint:gosec // so that those who wait do not look in step
		case <-ctx.Done():
			return nil, fmt.Errorf("store: another process is updating the record (%s): %w", f.join(file), context.Cause(ctx))
		}
	}
}

// tryLock returns nil if somebody else has the lock. The lock's file is never
// removed: whoever waited for it would then have the lock of a file that the next
// one does not see.
func (f *folder) tryLock(file string) (unlock func(), err error) {
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
		return nil, fmt.Errorf("store: locking: %w", err)
	}
	if !ok {
		return nil, nil
	}
	return func() { _ = l.Unlock() }, nil // closing its file releases it in any case
}
