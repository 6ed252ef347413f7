package store

import (
	"context"
	"errors"
	"time"
)

const (
	// maxIncarnation is the length of the longest name of an incarnation, and maxAddress that of the
	// longest address.
	maxIncarnation = 64
	maxAddress     = 512
)

// Announce makes this process known under an address, for so long from now on, to those who have
// found its name by [Fleet.Holder]. It is sealed: nobody who writes into the store can have callers' requests sent to themselves.
func (f *Fleet) Announce(ctx context.Context, address string, life time.Duration) error {
	if address == "" || len(address) > maxAddress || !printable(address) || life <= 0 {
		return errors.New("store: an address of a process is printable text, and has a life")
	}
	ctx, cancel := f.answer(ctx)
	defer cancel()
	id := f.addressID(f.incarnation)
	before, fence, err := f.shared.Begin(ctx, id, Attempt{Owner: f.incarnation, Lease: f.o.Lease, Ends: life})
	if err != nil {
		return f.named(ended(ctx, err))
	}
	c := Change{Generation: 1, Ends: life, Release: true}
	generation := uint64(0)
	if before != nil {
		generation = before.Generation
		c.Generation = generation + 1
	}
	f.sealer.seal(id, &c, &entry{f.incarnation, []byte(address)})
	written, err := f.shared.Write(ctx, id, fence, generation, c)
	if err == nil && !written {
		err = errors.New("store: an address is announced by two goroutines at once")
	}
	return f.named(ended(ctx, err))
}

// Address returns the address of an incarnation; empty if it is not known, or not any more.
func (f *Fleet) Address(ctx context.Context, incarnation string) (string, error) {
	if incarnation == "" || len(incarnation) > maxIncarnation {
		return "", nil
	}
	row, err := f.read(ctx, f.addressID(incarnation))
	if err != nil || row == nil || row.Content == nil {
		return "", f.named(err)
	}
	e, err := f.sealer.open(row)
	if err != nil {
		return "", f.named(err)
	}
	return string(e.record), nil
}

func (f *Fleet) addressID(incarnation string) ID {
	return ID{Kind: kindAddress, Key: f.sealer.hash(kindAddress, incarnation)}
}
