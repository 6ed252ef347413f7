package lazyauth

import (
	"crypto/rand"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/state"
)

// suspendedCalls are those that a requestState may name, each until it is kept no longer.
// None is forgotten early: a state that was given out stays good, and
// when there is no room new calls are turned away. Nobody gets more than a
// sixteenth of it, so that one user of many cannot lock the others out.
type suspendedCalls struct {
	max int
	now func() time.Duration // since the epoch, on the monotonic clock: see state.State

	mu     sync.Mutex
	calls  map[string]*suspended
	count  map[grants.Principal]int // by Person.QuotaKey
	closed bool
}

// keep keeps s until the given time, or longer if it is kept longer already.
// It reports false if there is no room.
func (c *suspendedCalls) keep(s *suspended, until time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.keepLocked(s, until)
}

func (c *suspendedCalls) keepLocked(s *suspended, until time.Duration) bool {
	if c.closed {
		return false
	}
	if c.calls == nil {
		c.calls, c.count = make(map[string]*suspended), make(map[grants.Principal]int)
	}
	if c.calls[s.id] != s { // new, or forgotten while its handler ran
		if !c.hasRoomLocked(s) {
			return false
		}
		who := s.person.QuotaKey()
		c.count[who]++
		if s.id == "" {
			s.id = rand.Text()
		}
		c.calls[s.id] = s
		s.keptUntil, s.forget = until, time.AfterFunc(until-c.now(), func() { c.drop(s) })
		return true
	}
	if until > s.keptUntil {
		s.keptUntil = until
		s.forget.Reset(until - c.now())
	}
	return true
}

// hasRoom reports whether s is kept, or could be.
func (c *suspendedCalls) hasRoom(s *suspended) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[s.id] == s || c.hasRoomLocked(s)
}

func (c *suspendedCalls) hasRoomLocked(s *suspended) bool {
	return len(c.calls) < c.max && c.count[s.person.QuotaKey()] < max(1, c.max/16)
}

// round returns the call that was begun with this state of a handler's own round, or makes
// fresh that one; nil if there is no room, which is to be busy, or if the state has ended since
// it was opened: its call may have been forgotten at that moment, and must not begin again.
func (c *suspendedCalls) round(opened state.State, fresh *suspended) (s *suspended, busy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.calls[opened.Call]; s != nil {
		return s, false
	}
	if c.now() >= opened.End {
		return nil, false
	}
	fresh.id = opened.Call
	if c.keepLocked(fresh, opened.End) {
		return fresh, false
	}
	return nil, true
}

func (c *suspendedCalls) get(id string) *suspended {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[id]
}

// keeps reports whether s can still be named by a state.
func (c *suspendedCalls) keeps(s *suspended) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return s.id != "" && c.calls[s.id] == s
}

// drop forgets s, unless it is to be kept longer by now. A handler that runs for nobody is
// given up then, since no state brings a request to its call any more.
func (c *suspendedCalls) drop(s *suspended) {
	if c.forget(s) {
		s.giveUpUnserved()
	}
}

// forget reports whether s was kept, and is not any more.
func (c *suspendedCalls) forget(s *suspended) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls[s.id] != s || c.now() < s.keptUntil {
		return false
	}
	delete(c.calls, s.id)
	who := s.person.QuotaKey()
	if c.count[who]--; c.count[who] == 0 {
		delete(c.count, who)
	}
	return true
}

func (c *suspendedCalls) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.calls {
		s.forget.Stop()
	}
	c.calls, c.count, c.closed = nil, nil, true
}
