package lazyauth

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/state"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// replicas is a store in which the processes that serve the same people mark what happens once
// among them all.
type replicas interface {
	// Incarnation names this process, and no other one, before it or after.
	Incarnation() string
	// Mark notes, for so long from now on, that what has this name is this process's, unless it is
	// another's already, and returns whose it is. After an error it may have been noted, or not.
	Mark(ctx context.Context, name string, life time.Duration) (holder string, err error)
	// Holder returns whose what has this name is; empty if nobody has marked it.
	Holder(ctx context.Context, name string) (holder string, err error)
}

// replicasOf returns what a store offers for that, or the one that it wraps, or nil, and the name of
// this process.
func replicasOf(s store.Store) (replicas, string) {
	if r, ok := offered[replicas](s); ok {
		return r, r.Incarnation()
	}
	return nil, rand.Text()
}

// offered returns what a store offers besides being one, or the one that it wraps.
func offered[T any](s store.Store) (what T, ok bool) {
	for {
		if what, ok = s.(T); ok {
			return what, true
		}
		wraps, is := s.(interface{ Unwrap() store.Store })
		if !is {
			return what, false
		}
		s = wraps.Unwrap()
	}
}

// markOf returns what marks that something is under way in this process, for others to have it answer;
// nil if it is alone.
func markOf(r replicas) func(ctx context.Context, name string, life time.Duration) error {
	if r == nil {
		return nil
	}
	return func(ctx context.Context, name string, life time.Duration) error {
		_, err := r.Mark(ctx, name, life)
		return err
	}
}

// markLife is how long a mark is kept: for longer than any state of its call is good, each of which
// lasts as long as its prompt.
const markLife = 24 * time.Hour

// errElsewhere is why a call goes no further here: another process has started its handler.
var errElsewhere = errors.New("lazyauth: another process of this server has started the call's handler, and is gone, or cannot be reached")

// marks are those of one interceptor's calls; nothing is marked where the process is alone.
type marks struct {
	replicas replicas
	fail     func(Reason, error) *Error
}

// make makes a mark. An error that is ReasonAbandoned says that another process has made it, one
// that is ReasonUnavailable that it may have been made or not.
func (m marks) make(ctx context.Context, mark string) *Error {
	if m.replicas == nil {
		return nil
	}
	switch holder, err := m.replicas.Mark(ctx, mark, markLife); {
	case err != nil:
		return m.fail(ReasonUnavailable, err)
	case holder != m.replicas.Incarnation():
		return m.fail(ReasonAbandoned, errElsewhere)
	}
	return nil
}

// waits marks who waits for the sign-in of a call whose handler has not started, before the host has a
// state of it, if no other process can: it ends in a browser that comes back to this one.
func (m marks) waits(ctx context.Context, call string, p *elicit.Prompt) error {
	if p.UserCode != "" {
		return nil
	}
	if err := m.make(ctx, state.WaitMark(call)); err != nil && err.Reason != ReasonAbandoned {
		return err
	}
	return nil
}

// against returns why a call that another process knows is not taken up here: one has started its
// handler, as far as can be told, and nobody is asked for it. It is looked at again before it starts.
func (m marks) against(ctx context.Context, call string) *Error {
	holder, err := m.replicas.Holder(ctx, state.Mark(call))
	if err == nil && holder != "" && holder != m.replicas.Incarnation() {
		return m.fail(ReasonAbandoned, errElsewhere)
	}
	return nil
}

// mark makes sure that no other process starts the call's handler, if one knows it by a state. After
// an error it is not to be started, or may have been by another process.
func (s *suspended) mark(ctx context.Context) error {
	if !s.moves && s.isUnnamed() {
		return nil
	}
	err := s.gate.auth.marks().make(ctx, state.Mark(s.name()))
	if err == nil {
		return nil
	}
	if err.Reason == ReasonAbandoned {
		s.finish(outcome{err: err})
	}
	return err
}

// isUnnamed reports whether no state names the call.
func (s *suspended) isUnnamed() bool {
	d, _ := s.lastShown()
	return d == nil
}

func (i *Interceptor) marks() marks { return marks{i.replicas, i.fail} }

// shownElsewhere is what an opened state of another process says of the prompt that the host has
// been shown, and what that has said to it.
func shownElsewhere(opened state.State, action string) *asking.ShownElsewhere {
	return &asking.ShownElsewhere{ID: opened.Prompt, Flight: opened.Flight, Mode: elicit.Channel(opened.Mode), Age: opened.Age, Action: action}
}
