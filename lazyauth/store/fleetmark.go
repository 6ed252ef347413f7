package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"time"
)

// Mark makes a mark of this name, and reports whether it is the first: of all who make it, on all
// machines, within its life, one is. It is for what must be done once at the most, right before it
// is done: the start of a handler. An error does not say whether there is a mark now; who gets it has
// to go by that somebody else may have been the first.
//
// A mark cannot be taken back, and ends with its life alone, which is more than nothing.
func (f *Fleet) Mark(ctx context.Context, name string, life time.Duration) (first bool, err error) {
	if err := check(ctx, name); err != nil {
		return false, err
	}
	if life <= 0 {
		return false, errors.New("store: a mark without a life")
	}
	ctx, cancel := f.answer(ctx)
	defer cancel()
	id := ID{Kind: kindMark, Key: f.sealer.hash(kindMark, name)}
	mine := []byte(rand.Text()) // an answer that was lost is found out by that
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		inserted, err := f.shared.Insert(ctx, id, Change{Generation: 1, Content: mine, Ends: life})
		if err == nil && inserted {
			return true, nil
		}
		row, failed := f.shared.Read(ctx, id)
		if failed == nil && row != nil {
			return bytes.Equal(row.Content, mine), nil
		}
		if err = errors.Join(err, failed); errors.Is(err, ErrUnwritable) {
			return false, f.named(err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return false, f.named(ended(ctx, errors.Join(ErrNoAnswer, err)))
		}
	}
}
