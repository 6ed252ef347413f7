package store

import (
	"bytes"
	"sync"
	"time"
)

const (
	// seenFor is how long at least this process remembers what it saw of a row: a store that has failed
	// over shows less at once. It is less than a tombstone's life, so that a row which has ended
	// and was made again meanwhile is not taken for an older copy (its generations are greater anyway).
	seenFor = 30 * time.Minute
	// seenRows and seenBytes bound what is remembered, twice: see seen.
	seenRows  = 1 << 15
	seenBytes = 8 << 20
)

// seen is what a process remembers of rows: the greatest generation, and the content that had it, still
// sealed. It has two halves: the older one is forgotten as a whole when the younger one is full,
// or has been filled for seenFor.
type seen struct {
	mu           sync.Mutex
	young, old   map[ID]sight
	bytes        int // in the young half
	youngerSince time.Time
}

// A sight is one of a row.
type sight struct {
	generation uint64
	person     Hash
	sealedBy   string
	content    []byte // nil: an end
	lasts      bool   // it has no end of its own, or is a tombstone: it may be written back
}

// note remembers a row, unless a later one is.
func (s *seen) note(id ID, n sight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, ok := s.get(id)
	if n.generation == 0 || ok && n.generation < before.generation {
		return
	}
	if ok && n.generation == before.generation {
		n = before // and it is used, and so stays
	} else {
		n.content = bytes.Clone(n.content)
	}
	now := time.Now()
	if len(s.young) >= seenRows || s.bytes+len(n.content) > seenBytes || now.Sub(s.youngerSince) > seenFor {
		s.old, s.young, s.bytes, s.youngerSince = s.young, nil, 0, now
	}
	if s.young == nil {
		s.young = make(map[ID]sight)
	}
	if was, ok := s.young[id]; ok {
		s.bytes -= len(was.content)
	}
	s.bytes += len(n.content)
	s.young[id] = n
	delete(s.old, id)
}

// of returns what was seen of a row last; of generation 0 if that is not remembered.
func (s *seen) of(id ID) sight {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, _ := s.get(id)
	return n
}

// get is of; s.mu is held.
func (s *seen) get(id ID) (sight, bool) {
	if n, ok := s.young[id]; ok {
		return n, true
	}
	n, ok := s.old[id]
	return n, ok
}
