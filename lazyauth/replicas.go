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

// replicasOf returns what a store offers for that, or nil, and the name of this process.
func replicasOf(s store.Store) (replicas, string) {
	if r, ok := s.(replicas); ok {
		return r, r.Incarnation()
	}
	return nil, rand.Text()
}

// markLife is how long a mark is kept: for longer than any state of its call is good, each of which
// lasts as long as its prompt.
const markLife = 24 * time.Hour

// errElsewhere is why a call goes no further here: another process has started its handler.
var errElsewhere = errors.New("lazyauth: another process of this server has started the call's handler, and is gone, or cannot be reached")

// marks makes sure, by marking it, that no other process starts a call's handler. An error is
// errElsewhere, or the store's.
func marks(ctx context.Context, r replicas, call string) error {
	holder, err := r.Mark(ctx, state.Mark(call), markLife)
	if err == nil && holder != r.Incarnation() {
		err = errElsewhere
	}
	return err
}

// mark has the call marked, if a state names it, or is about to: once before its handler is started,
// and again, to last longer, while it runs. After an error the handler is not to be started, or may
// have been by another process.
func (s *suspended) mark(ctx context.Context, named bool) error {
	auth := s.gate.auth
	if auth.replicas == nil || !named {
		return nil
	}
	err := marks(ctx, auth.replicas, s.name())
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errElsewhere):
		e := auth.fail(ReasonAbandoned, err)
		s.finish(outcome{err: e})
		return e
	}
	return auth.fail(ReasonUnavailable, err)
}

// startedElsewhere returns why a call that another process knows is not taken up here: it has
// started its handler, as far as can be told, and nobody is asked for it.
func (s *suspended) startedElsewhere(ctx context.Context) error {
	auth := s.gate.auth
	if holder, err := auth.replicas.Holder(ctx, state.Mark(s.name())); err != nil || holder == "" || holder == auth.replicas.Incarnation() {
		return nil // it is looked at again before anything starts
	}
	e := auth.fail(ReasonAbandoned, errElsewhere)
	s.finish(outcome{err: e})
	return e
}

// isNamed reports whether a state names the call.
func (s *suspended) isNamed() bool {
	d, _ := s.lastShown()
	return d != nil || s.moves
}

// shownElsewhere is what an opened state of another process says of the prompt that the host has
// been shown, and what that has said to it.
func shownElsewhere(opened state.State, action string) *asking.ShownElsewhere {
	return &asking.ShownElsewhere{ID: opened.Prompt, Flight: opened.Flight, Mode: elicit.Channel(opened.Mode), Age: opened.Age, Action: action}
}
