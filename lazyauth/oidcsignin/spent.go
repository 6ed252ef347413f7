package oidcsignin

import (
	"sync"
	"time"
)

// mostSpent is how many names are remembered: some megabytes.
const mostSpent = 1 << 16

// A spent remembers names that are good for nothing any more, until they would have ended in any case. Where there are
// more than it can remember some are forgotten: of attempts the issuer still takes a code once alone, and who wants an
// ended session forgotten, of which they have a copy, has to sign in and out that often.
type spent struct {
	mu    sync.Mutex
	names map[string]time.Time
	swept time.Time
}

// spend remembers a name, and reports false if it was known.
func (s *spent) spend(name string, ends time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.names == nil {
		s.names = make(map[string]time.Time)
	}
	if _, known := s.names[name]; known {
		return false
	}
	if now.Sub(s.swept) > time.Minute {
		s.swept = now
		for other, ends := range s.names {
			if !now.Before(ends) {
				delete(s.names, other)
			}
		}
	}
	for other := range s.names {
		if len(s.names) < mostSpent {
			break
		}
		delete(s.names, other)
	}
	s.names[name] = ends
	return true
}

// has reports whether a name is known.
func (s *spent) has(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.names[name]
	return known
}
