package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"time"
)

// readyLife is how long the row of a readiness check is kept.
const readyLife = time.Hour

// Ready finds out whether this machine can do its work with the store: it has a row of its own written, and
// reads it. The error wraps an [ErrUnwritable] if the store can be read alone, being full, a standby, or
// without the right to write; an [ErrNoAnswer] if it does not answer; and says what to do. It takes no longer
// than [FleetOptions].Wait. A server that is not ready is not dead: ending it would help nobody.
func (f *Fleet) Ready(ctx context.Context) error {
	ctx, cancel := f.answer(ctx)
	defer cancel()
	return f.named(ended(ctx, f.ready(ctx)))
}

func (f *Fleet) ready(ctx context.Context) error {
	id := ID{Kind: kindReady, Key: f.sealer.hash(kindReady, f.incarnation)}
	row, fence, err := f.shared.Begin(ctx, id, Attempt{Owner: f.incarnation, Lease: f.o.Lease, Ends: readyLife})
	if err != nil {
		return err
	}
	generation := uint64(0)
	if row != nil {
		generation = row.Generation
	}
	mine := []byte(rand.Text())
	written, err := f.shared.Write(ctx, id, fence, generation, Change{Generation: generation + 1, Content: mine, Ends: readyLife, Release: true})
	if err != nil {
		return err
	}
	row, err = f.shared.Read(ctx, id)
	switch {
	case err != nil:
		return err
	case !written:
		return nil // by another check, at the same time, which has found it out
	case row == nil || row.Generation < generation+1 || row.Generation == generation+1 && !bytes.Equal(row.Content, mine):
		return errors.New("it has lost what was written a moment ago: does it read from a standby that lags?")
	}
	return nil
}
