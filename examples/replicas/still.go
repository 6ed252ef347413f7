package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// The figures are those of a machine that goes on. One that stands still for seconds, as a laptop that sleeps or a virtual
// machine whose host has others to serve, is a store that does not answer and requests that nobody waits for any more: a
// round in which that was seen is played again, if its figures are not what they are to be.
const (
	stillWait  = time.Second // from here on it stood still: a request that takes slowAnswer is answered within its bound otherwise
	stillEvery = 100 * time.Millisecond
	stillPlays = 3 // of a round, at the most
)

// stillLine is what a replica tells of it, with how long it was.
const stillLine = "stood still "

var errStill = errors.New("this machine, or its store, stands still for seconds again and again, and figures of that say nothing")

// stillness is what was seen of that.
type stillness struct {
	mu      sync.Mutex
	seen    int
	longest time.Duration
}

// add notes that something stood still for so long.
func (s *stillness) add(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen++
	s.longest = max(s.longest, d)
}

// times returns how often that was, and how long at the most.
func (s *stillness) times() (seen int, longest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen, s.longest
}

// watchClock calls stood whenever this process stood still, and whenever a look takes that long, until ctx ends.
func watchClock(ctx context.Context, look func(context.Context), stood func(time.Duration)) {
	tick := time.NewTicker(stillEvery)
	defer tick.Stop()
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		look(ctx)
		now := time.Now()
		if late := now.Sub(last) - stillEvery; late >= stillWait && ctx.Err() == nil {
			stood(late)
		}
		last = now
	}
}

// watchStore looks at a row that there is none of, as often as this machine's clock is looked at.
func (o options) watchStore(ctx context.Context, at string) error {
	rows, closeRows, err := openRows(ctx, replicaConfig{Store: at, Namespace: o.namespace()})
	if err != nil {
		return err
	}
	go func() {
		defer closeRows()
		watchClock(ctx, func(ctx context.Context) {
			_, _ = rows.Read(ctx, store.ID{Kind: recordKind}) // how long it takes is the point
		}, o.still.add)
	}()
	return nil
}

// steadily plays a round of its own until it says something: once, but where the machine stands still.
func (o options) steadily(ctx context.Context, out io.Writer, at string, play func(context.Context, options, string) error) error {
	name := o.namespace()
	for n := 1; ; n++ {
		before, _ := o.still.times()
		err := o.one(ctx, at, func(ctx context.Context, place string) error { return play(ctx, o, place) })
		after, longest := o.still.times()
		switch {
		case err == nil && o.without == "", after == before, ctx.Err() != nil:
			return err
		case n == stillPlays && o.without != "" && errors.Is(err, errFound):
			return err // which is what was to be found, each time
		case n == stillPlays:
			return errors.Join(errStill, err)
		}
		fmt.Fprintf(out, "this machine, or its store, stood still for as long as %.1f s while %s was played: that is played again\n", longest.Seconds(), name)
		o.key = newKey() // what there is of the first is nobody's
		o.again = strings.Repeat("again", n)
	}
}
