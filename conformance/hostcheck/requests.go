package hostcheck

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"
)

// register counts a request among those in flight, and tells it of the others that
// await an answer: in the same process, or over HTTP from the same host.
// Subscriptions, which are never answered, count. It is one step, so that of two
// requests at the same moment one finds the other.
func (s *session) register(c *call) {
	c.cancelled = make(chan struct{})
	s.guard.Lock()
	defer s.guard.Unlock()
	for _, other := range s.requests {
		if other.sender() == c.sender() && (c.Header == nil || c.sender() != "") {
			c.earlier = append(c.earlier, other)
		}
		if other.answered == 0 && other.stopped == 0 && !other.lost && other.sender() == c.sender() {
			c.others = append(c.others, other)
		}
	}
	if !c.echoes() {
		s.requests = append(s.requests, c)
	}
}

// echoed is how soon after a request its copy comes that is no call of its own.
const echoed = 500 * time.Millisecond

// echoes says whether a request over stdio is one that came just before, to the byte: its
// id was used, which is told, and to take it for another call would tell much more.
func (c *call) echoes() bool {
	return c.Header == nil && slices.ContainsFunc(c.earlier, func(other *call) bool {
		return c.At-other.At < echoed && bytes.Equal(other.Raw, c.Raw)
	})
}

// sender is who sent a request, as far as ids and tokens go: a server process, a
// session of the older era, or else all of the host.
func (c *call) sender() string {
	if c.Header == nil {
		return fmt.Sprint(c.Conn)
	}
	return c.Header.Get("Mcp-Session-Id")
}

// mistake keeps the first thing that a host did with its calls which keeps the scenario
// from going on.
func (s *session) mistake(what string) {
	s.guard.Lock()
	defer s.guard.Unlock()
	s.mistaken = cmp.Or(s.mistaken, what)
}
