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

	mu     sync.Mutex
	calls  map[string]*suspended
	count  map[grants.Principal]int // by Person.QuotaKey
	closed bool
}

// keep keeps s until the given time, or longer if it is kept longer already.
// It reports false if there is no room.
func (c *suspendedCalls) keep(s *suspended, until time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.keepLocked(s, until)
}

func (c *suspendedCalls) keepLocked(s *suspended, until time.Time) bool {
	if c.closed {
		return false
	}
	if c.calls == nil {
		c.calls, c.count = make(map[string]*suspended), make(map[grants.Principal]int)
	}
	if c.calls[s.id] != s { // new, or forgotten while its handler ran
		who := s.person.QuotaKey()
		if len(c.calls) >= c.max || c.count[who] >= max(1, c.max/16) {
			return false
		}
		c.count[who]++
		if s.id == "" {
			s.id = rand.Text()
		}
		c.calls[s.id] = s
		s.keptUntil, s.forget = until, time.AfterFunc(time.Until(until), func() { c.drop(s) })
		return true
	}
	if until.After(s.keptUntil) {
		s.keptUntil = until
		s.forget.Reset(time.Until(until))
	}
	return true
}

// round returns the call that was begun with this state of a handler's own round, or makes
// fresh that one; nil if there is no room.
func (c *suspendedCalls) round(opened state.State, fresh *suspended) *suspended {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.calls[opened.Call]; s != nil {
		return s
	}
	fresh.id = opened.Call
	if c.keepLocked(fresh, opened.Expires) {
		return fresh
	}
	return nil
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

// drop forgets s, unless it is to be kept longer by now.
func (c *suspendedCalls) drop(s *suspended) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls[s.id] == s && !time.Now().Before(s.keptUntil) {
		delete(c.calls, s.id)
		who := s.person.QuotaKey()
		if c.count[who]--; c.count[who] == 0 {
			delete(c.count, who)
		}
	}
}

func (c *suspendedCalls) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.calls {
		s.forget.Stop()
	}
	c.calls, c.count, c.closed = nil, nil, true
}
