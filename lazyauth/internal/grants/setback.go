package grants

import (
	"context"
	"errors"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

const (
	// coolDown is how long nobody is asked for what they were asked for in vain, as after
	// a decline.
	coolDown = time.Minute
	// leastPause and mostPause bound how long no flight is begun after the second one in a
	// row that did not come to its prompt: it is doubled with each. The first may be tried
	// again at once.
	leastPause = 5 * time.Second
	mostPause  = time.Minute
)

// A Setback is why no flight is begun for a while: the last one came to this, and another
// would come to the same.
type Setback struct {
	Err  error
	Wait time.Duration // how much longer
	// Asked: a person was asked, and did what they were asked for, in vain. A person can
	// ask to be asked again sooner: see [Owner.Forgive].
	Asked bool
}

func (s *Setback) Error() string { return s.Err.Error() }

func (s *Setback) Unwrap() error { return s.Err }

// setbacks are an owner's. Owner.mu guards them.
type setbacks struct {
	// In vain is why nobody is asked for anything until then.
	vain      error
	vainUntil time.Time
	// refused has the scopes that were asked for and not granted, and until when they are
	// not asked for.
	refused map[string]time.Time
	// forgiven is when that ceased to count which was noted before.
	forgiven time.Time
	// lost: the answer to a poll of the last flight was lost, and with it what the person
	// had approved. It is begun anew without being asked for, once.
	lost bool

	// unbegun is why no prompt can be had until then, and tries how many flights in a
	// row had none.
	unbegun      error
	unbegunUntil time.Time
	tries        int
}

// ended notes what a flight came to, whose prompt was out or not, and returns the error for
// those who wait for it. asked says that somebody was asked before its link was opened, and can
// say no there.
func (s *setbacks) ended(prompted, asked bool, err error) error {
	if prompted {
		s.tries = 0
	}
	if _, is := errors.AsType[*Setback](err); is { // from another process
		return err
	}
	failed, ok := errors.AsType[*oauth.Error](err)
	switch now := time.Now(); {
	case !ok && !errors.Is(err, ErrNotOpened) && !errors.Is(err, ErrUnattended) || errors.Is(err, context.Canceled):
		return err // neither the server's word nor a browser's, of which each try may open a window
	case !prompted:
		s.tries++
		var pause time.Duration
		if ok {
			pause = failed.RetryAfter
		}
		if s.tries > 1 {
			pause = max(pause, min(leastPause<<min(s.tries-2, 8), mostPause))
		}
		if pause == 0 {
			return err
		}
		s.unbegun, s.unbegunUntil = err, now.Add(pause)
		return &Setback{Err: err, Wait: pause}
	case asked && errors.Is(err, oauth.ErrDenied), errors.Is(err, device.ErrExpired), errors.Is(err, authcode.ErrExpired):
		s.lost = false
		return err
	case errors.Is(err, device.ErrAnswerLost) && !s.lost:
		s.lost = true
		return err
	default:
		s.lost = false
		s.vain, s.vainUntil = err, now.Add(coolDown)
		return &Setback{Err: err, Wait: coolDown, Asked: true}
	}
}

// granted notes that a flight brought a grant, without these scopes of those that it
// asked for.
func (s *setbacks) granted(without scopes.Set) {
	s.tries, s.lost = 0, false
	s.refuse(without, time.Now())
}

// refuse notes that the person was asked for these scopes in vain, at that time.
func (s *setbacks) refuse(names scopes.Set, at time.Time) {
	now := time.Now()
	for name, until := range s.refused {
		if !now.Before(until) {
			delete(s.refused, name)
		}
	}
	for name := range names.All() {
		if s.refused == nil {
			s.refused = make(map[string]time.Time)
		}
		s.refused[name] = at.Add(coolDown)
	}
}

// against returns why there is no use in asking for these scopes now.
func (s *setbacks) against(missing scopes.Set) error {
	now := time.Now()
	for name := range missing.All() {
		if until := s.refused[name]; now.Before(until) {
			return &Setback{Err: &Narrowed{Missing: missing}, Wait: until.Sub(now), Asked: true}
		}
	}
	return nil
}

// againstAny returns why there is no use in beginning a flight now, whatever for.
func (s *setbacks) againstAny() error {
	now := time.Now()
	switch {
	case s.vain != nil && now.Before(s.vainUntil):
		return &Setback{Err: s.vain, Wait: s.vainUntil.Sub(now), Asked: true}
	case s.unbegun != nil && now.Before(s.unbegunUntil):
		return &Setback{Err: s.unbegun, Wait: s.unbegunUntil.Sub(now)}
	}
	return nil
}

// past reports whether nothing is against a flight any more.
func (s *setbacks) past() bool {
	now := time.Now()
	for _, until := range s.refused {
		if now.Before(until) {
			return false
		}
	}
	return s.againstAny() == nil
}

// begunAnew reports whether a flight that ended with err did so in such a way that who
// waits for it joins or begins another one without a word: the person has approved, and is
// not told that it failed.
func begunAnew(err error) bool {
	_, setback := errors.AsType[*Setback](err)
	return !setback && errors.Is(err, device.ErrAnswerLost)
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// Forgive has the owner be asked again for what they were asked for in vain, and forgets
// what the API refused. It is for when they say so, and not a model. It does not hurry an
// authorization server that cannot be reached.
func (o *Owner) Forgive() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.setbacks.vain, o.setbacks.refused, o.setbacks.forgiven = nil, nil, time.Now()
	o.refusals.forget()
}
