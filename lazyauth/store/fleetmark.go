package store

import (
	"context"
	"errors"
	"time"
)

// Mark makes a mark of this name, and returns the incarnation whose it is: of all processes that
// make it, on all machines, within its life, it is one's. It is for what must be done once at the most, right
// before it is done: the start of a handler. That one may make it again, to have it last so long from
// then on. An error does not say whether there is a mark now; who gets it has to go by that somebody
// else may have been the first.
//
// A mark cannot be taken back, and ends with its life alone, which is more than nothing.
func (f *Fleet) Mark(ctx context.Context, name string, life time.Duration) (holder string, err error) {
	if err := check(ctx, name); err != nil {
		return "", err
	}
	if life <= 0 {
		return "", errors.New("store: a mark without a life")
	}
	ctx, cancel := f.answer(ctx)
	defer cancel()
	id := f.markID(name)
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		inserted, err := f.shared.Insert(ctx, id, Change{Generation: 1, Content: []byte(f.incarnation), Ends: life})
		if err == nil && inserted {
			return f.incarnation, nil
		}
		row, failed := f.shared.Read(ctx, id) // an answer that was lost is found out by that
		if failed == nil && row != nil {
			if holder = holderIn(row); holder != f.incarnation {
				return holder, nil
			}
			c := Change{Generation: row.Generation + 1, Content: row.Content, Ends: life}
			if _, failed = f.shared.Write(ctx, id, row.Fence, row.Generation, c); failed == nil { // or else by another goroutine, just now
				return holder, nil
			}
		}
		if err = errors.Join(err, failed); errors.Is(err, ErrUnwritable) {
			return "", f.named(err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return "", f.named(ended(ctx, errors.Join(ErrNoAnswer, err)))
		}
	}
}

// Holder returns the incarnation that has made a mark of this name; empty if there is none.
func (f *Fleet) Holder(ctx context.Context, name string) (incarnation string, err error) {
	if err := check(ctx, name); err != nil {
		return "", err
	}
	row, err := f.read(ctx, f.markID(name))
	if err != nil || row == nil {
		return "", f.named(err)
	}
	return holderIn(row), nil
}

func (f *Fleet) markID(name string) ID { return ID{Kind: kindMark, Key: f.sealer.hash(kindMark, name)} }

// holderIn returns what a mark says. It is not sealed: who can write the rows can have nothing started by
// it, and something twice by its removal.
func holderIn(row *Row) string {
	if text := string(row.Content); len(text) <= maxIncarnation {
		return text
	}
	return "nobody" // that there is
}
