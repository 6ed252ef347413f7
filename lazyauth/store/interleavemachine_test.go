package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// A request is one to the store that has been given up, and may get there still.
type request struct {
	what string
	make func()
}

// A machine runs its program on a goroutine.
type machine struct {
	x     *execution
	name  string
	do    func(*machine)
	fleet *store.Fleet
	ctx   context.Context //nolint:containedctx // it is the machine's life
	kill  context.CancelFunc

	// Guarded by x.mu.
	at      string // the step that it stands before; empty: none
	since   time.Duration
	goes    chan outcome
	dead    bool
	done    bool
	history []string
}

func newMachine(t *testing.T, x *execution, name string, do func(*machine)) *machine {
	ctx, kill := context.WithCancel(t.Context())
	return &machine{x: x, name: name, do: do, ctx: ctx, kill: kill}
}

type outcome uint8

const (
	goesOn outcome = iota
	loses          // the step is made, and its answer is lost
	never          // the step is not made, which the machine cannot tell from that
	delays         // nor from that it is made later, when nobody waits for it
	dies
)

var errDied, errAnswerLost = errors.New("the machine has died"), errors.New("the answer was lost")
var errNeverMade, errDelayed = errors.New("the request was lost"), errors.New("the request is on its way")

// step stands still until it is this machine's turn.
func (m *machine) step(what string) (lost bool, err error) {
	m.x.mu.Lock()
	if m.dead {
		m.x.mu.Unlock()
		return false, errDied
	}
	goes := make(chan outcome)
	m.at, m.goes, m.since = what, goes, time.Since(m.x.began)
	m.x.mu.Unlock()
	switch o := <-goes; o {
	case dies:
		return false, errDied
	case never:
		return false, errNeverMade
	case delays:
		return false, errDelayed
	default:
		return o == loses, nil
	}
}

// notes remembers what the machine has seen: it goes on from that.
func (m *machine) notes(format string, args ...any) {
	m.x.mu.Lock()
	defer m.x.mu.Unlock()
	m.history = append(m.history, time.Since(m.x.began).String()+" "+fmt.Sprintf(format, args...))
}

// A link is what a machine has of the store.
type link struct {
	store.Shared
	m *machine
}

// through makes a step of the store.
func through[T any](l link, what string, f func() (T, error)) (v T, err error) {
	lost, err := l.m.step(what)
	if errors.Is(err, errNeverMade) {
		l.m.notes("%s never", what)
		l.m.x.say("%s: %s, which never gets there", l.m.name, what)
		return v, errAnswerLost
	}
	if errors.Is(err, errDelayed) {
		l.m.notes("%s late", what)
		l.m.x.say("%s: %s, which gets there late", l.m.name, what)
		l.m.x.mu.Lock()
		defer l.m.x.mu.Unlock()
		l.m.x.late = append(l.m.x.late, request{fmt.Sprintf("%s %s %d", l.m.name, what, len(l.m.history)), func() { _, _ = f() }})
		return v, errAnswerLost
	}
	if err != nil {
		return v, err
	}
	if v, err = f(); lost && err == nil {
		l.m.notes("%s lost", what)
		l.m.x.say("%s: %s, and the answer is lost", l.m.name, what)
		var none T
		return none, errAnswerLost
	}
	return v, err
}

func (l link) Read(ctx context.Context, id store.ID) (*store.Row, error) {
	return through(l, "reads", func() (*store.Row, error) {
		row, err := l.Shared.Read(context.WithoutCancel(ctx), id)
		l.m.notes("read %s", l.m.x.show(row))
		return row, err
	})
}

func (l link) Begin(ctx context.Context, id store.ID, a store.Attempt) (*store.Row, uint64, error) {
	type begun struct {
		row   *store.Row
		fence uint64
	}
	b, err := through(l, "begins", func() (begun, error) {
		row, fence, err := l.Shared.Begin(context.WithoutCancel(ctx), id, a)
		l.m.notes("began %t %s", fence != 0, l.m.x.show(row))
		if fence != 0 {
			l.m.x.say("%s: begins an attempt", l.m.name)
		}
		return begun{row, fence}, err
	})
	return b.row, b.fence, err
}

func (l link) Write(ctx context.Context, id store.ID, fence, generation uint64, c store.Change) (bool, error) {
	return through(l, "writes", func() (bool, error) {
		ok, err := l.Shared.Write(context.WithoutCancel(ctx), id, fence, generation, c)
		what := "writes"
		if c.Keep {
			what = "gives up the lease"
		} else if c.Content == nil {
			what = "ends the record"
		}
		l.m.notes("%s %t", what, ok)
		if ok {
			l.m.x.say("%s: %s", l.m.name, what)
		} else {
			l.m.x.say("%s: %s, which is refused", l.m.name, what)
		}
		return ok, err
	})
}

func (l link) Insert(ctx context.Context, id store.ID, c store.Change) (bool, error) {
	return through(l, "inserts", func() (bool, error) {
		ok, err := l.Shared.Insert(context.WithoutCancel(ctx), id, c)
		l.m.notes("inserted %t", ok)
		l.m.x.say("%s: inserts: %t", l.m.name, ok)
		return ok, err
	})
}
