package pending

import (
	"context"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
)

// Places are what processes that share a store have for how many sign-ins a person may have under way in all of them:
// see store.Fleet, whose methods these are.
type Places interface {
	Take(ctx context.Context, name string, places int, life time.Duration) (place string, err error)
	Keep(ctx context.Context, name, place string, life time.Duration) error
	Give(ctx context.Context, name, place string) error
}

const (
	// longestCode is for how long a place is taken while it is not known how long the codes of a server live.
	longestCode = time.Hour
	// afterLife is how long a place lasts beyond what it was taken for: a token that came with the last poll is brought by
	// then.
	afterLife = bringWithin
	// shareSlack is by how much that may be less, and needlessly by how much it may be more, before it is told to the store.
	shareSlack, needlessly = 10 * time.Second, time.Minute
)

// A Share is a flight's share of what its person may have under way in all processes: one place, which all ways of the flight
// have together, and which is given back with the last. Where others can go on with what it has begun, the place stays taken: the
// record says which it is, and whoever ends the sign-in gives it back. If nobody does, it ends by itself, soon after the
// sign-in. Nil takes nothing. Take is called by one goroutine at a time, and before End.
type Share struct {
	places Places
	name   string // stands for the person at this service
	most   int
	full   error
	failed func(error) // is told of a store that fails

	mu    sync.Mutex
	uses  int       // authorizations that have it
	place string    // empty: none was taken
	ends  time.Time // what it was taken for, by then
	left  bool      // others can go on

	joined string // the place that another process has taken for what was joined
}

// NewShare returns a share that has no place yet, of so many; full is why it gets none. It returns nil if places is nil: then
// each process bounds what is its own.
func NewShare(places Places, name string, most int, full error, failed func(error)) *Share {
	if places == nil {
		return nil
	}
	return &Share{places: places, name: name, most: most, full: full, failed: failed}
}

// Take has an authorization use the share, which is about to begin and may be under way for so long. If that is the
// first one, it waits for the store, for 5 s at the most. A store that fails is told, and refuses nobody, as none
// refuses a sign-in: without a place it is bounded by its process.
//
// Errors: that of [NewShare]; then it is not used.
func (s *Share) Take(ctx context.Context, life time.Duration) error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	s.uses++
	isFirst := s.uses == 1
	s.mu.Unlock()
	if !isFirst {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, beginWait)
	defer cancel()
	place, ends := "", time.Now().Add(life)
	err := guard.Call("the store", func() (err error) {
		place, err = s.places.Take(limited, s.name, s.most, life+afterLife)
		return err
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.place, s.ends, s.left = place, ends, false
	switch {
	case err == nil && place == "":
		s.uses--
		return s.full
	case err != nil && ctx.Err() == nil:
		s.failed(err)
	}
	return nil
}

// Lasts has the place last for what has begun, which may be under way for so long. It returns at once; wait returns once the
// store knows, which mostly knew it before.
func (s *Share) Lasts(ctx context.Context, life time.Duration) (wait func()) {
	wait = func() {}
	if s == nil {
		return wait
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ends := time.Now().Add(life)
	more := ends.Sub(s.ends)
	if s.place == "" || more <= shareSlack && (more >= -needlessly || s.uses > 1) {
		return wait
	}
	s.ends = ends
	place, kept := s.place, make(chan struct{})
	go func() { // ends when the store answers, or has not for a while
		defer close(kept)
		s.tell(ctx, func(ctx context.Context) error { return s.places.Keep(ctx, s.name, place, life+afterLife) })
	}()
	return func() { <-kept }
}

// Place is what the record says of what was begun, if others can go on with it.
func (s *Share) Place() string {
	if s == nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.place
}

// End has one authorization use the share no more; left says that other processes can go on with it.
func (s *Share) End(ctx context.Context, left bool) {
	if s == nil {
		return
	}
	s.mu.Lock()
	s.uses--
	s.left = s.left || left
	place := ""
	if s.uses == 0 && !s.left {
		place, s.place = s.place, ""
	}
	s.mu.Unlock()
	s.Give(ctx, place)
}

// joins notes what another process has taken for what is joined, which giveJoined gives back.
func (s *Share) joins(place string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.joined = place
}

func (s *Share) giveJoined(ctx context.Context) {
	if s == nil {
		return
	}
	s.mu.Lock()
	place := s.joined
	s.mu.Unlock()
	s.Give(ctx, place)
}

// Give gives back what another process has taken for a sign-in that has ended here.
func (s *Share) Give(ctx context.Context, place string) {
	if s == nil || place == "" {
		return
	}
	s.tell(ctx, func(ctx context.Context) error { return s.places.Give(ctx, s.name, place) })
}

// tell tells the store something that is so even when ctx has ended. That it could not be told is no harm: places end by
// themselves.
func (s *Share) tell(ctx context.Context, f func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closingWait)
	defer cancel()
	if err := guard.Call("the store", func() error { return f(ctx) }); err != nil {
		s.failed(err)
	}
}
