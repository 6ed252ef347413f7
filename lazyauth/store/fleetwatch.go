package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// hints are for those who wait for what others write.
type hints struct {
	mu      sync.Mutex
	waiting map[ID]map[chan struct{}]struct{}
	follows map[ID]map[*follower]struct{}
}

type follower struct{ changed func() }

// wait returns a channel that gets a value when the row may have been written.
func (h *hints) wait(id ID) (heard <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting == nil {
		h.waiting = make(map[ID]map[chan struct{}]struct{})
	}
	if h.waiting[id] == nil {
		h.waiting[id] = make(map[chan struct{}]struct{})
	}
	h.waiting[id][c] = struct{}{}
	return c, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if delete(h.waiting[id], c); len(h.waiting[id]) == 0 {
			delete(h.waiting, id)
		}
	}
}

// Follow calls changed when the record of key may have been written by another machine, until stop
// is called; it needs [Fleet.Run]. These are hints: read again, and now and then without one.
// changed is called by one goroutine, for all keys, and has to return at once.
func (f *Fleet) Follow(key string, changed func()) (stop func(), err error) {
	p, err := f.place(key)
	if err != nil {
		return nil, err
	}
	h, one := &f.hints, &follower{changed}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.follows == nil {
		h.follows = make(map[ID]map[*follower]struct{})
	}
	if h.follows[p.id] == nil {
		h.follows[p.id] = make(map[*follower]struct{})
	}
	h.follows[p.id][one] = struct{}{}
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if delete(h.follows[p.id], one); len(h.follows[p.id]) == 0 {
			delete(h.follows, p.id)
		}
	}, nil
}

// hint passes on that a row was written; a zero id stands for all rows.
func (h *hints) hint(id ID) {
	h.mu.Lock()
	var told []*follower
	for at, channels := range h.waiting {
		if at != id && id != (ID{}) {
			continue
		}
		for c := range channels {
			select {
			case c <- struct{}{}:
			default:
			}
		}
	}
	if id == (ID{}) {
		for _, all := range h.follows {
			for one := range all {
				told = append(told, one)
			}
		}
	} else {
		for one := range h.follows[id] {
			told = append(told, one)
		}
	}
	h.mu.Unlock()
	for _, one := range told {
		one.changed()
	}
}

// Run has hints of what other machines write come in, until ctx ends, and begins again whenever
// the store ends them; writes what could not be written when it was to be; and has the settings remembered that were compared
// ([Fleet.CheckSettings]). Without it all works:
// waits are longer, and what was not written is when its record is next updated here.
func (f *Fleet) Run(ctx context.Context) error {
	var writing sync.WaitGroup
	defer writing.Wait()
	writing.Go(func() { f.writeKept(ctx) })
	writing.Go(func() { f.keepSettings(ctx) })
	for pause := time.Second; ctx.Err() == nil; {
		began := time.Now()
		_ = f.shared.Watch(ctx, f.hints.hint) // why it ended is said by what reads and writes
		if time.Since(began) > time.Minute {
			pause = time.Second
		}
		select {
		case <-time.After(pause/2 + rand.N(pause)): //nolint:gosec // so that machines do not come in step
		case <-ctx.Done():
		}
		pause = min(2*pause, 30*time.Second)
		f.hints.hint(ID{}) // some were lost
	}
	return context.Cause(ctx)
}

// writeKept writes what could not be written, until ctx ends.
func (f *Fleet) writeKept(ctx context.Context) {
	ticker := time.NewTicker(keptPause)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		for _, key := range f.kept.keys() {
			// Whoever has written meanwhile has a later one, and what was kept is dropped.
			err := f.Update(WithTerms(ctx, &Terms{Quick: true}), key, func(old []byte) ([]byte, error) {
				if old == nil {
					return nil, errNothingKept
				}
				return old, nil
			})
			if errors.Is(err, ErrNoAnswer) || ctx.Err() != nil {
				break // nor will it answer for the others
			}
		}
	}
}

// keptPause is how long Run waits before it tries again.
const keptPause = 5 * time.Second

var errNothingKept = errors.New("store: there is nothing to write")
