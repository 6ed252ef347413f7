package connect

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/quota"
)

const (
	mostLinks    = 4096 // that are open at a time
	mostOfPerson = 64   // of which are one person's, at all services
	mostBegun    = 50   // attempts of one link
	mostRetired  = 8    // attempts of one link that are remembered, to tell their windows what has become of them
)

// What a table can say; compare with errors.Is.
var (
	// ErrBusy: there is no room for another link.
	ErrBusy = errors.New("connect: too many links are open")
	// ErrEnded: the link is unknown, or has ended.
	ErrEnded = errors.New("connect: the link has ended")
	// ErrOften: the link was used too often.
	ErrOften = errors.New("connect: the link was used too often")
	// ErrRetired: another attempt was begun after this one.
	ErrRetired = errors.New("connect: another attempt was begun after this one")
	// ErrClaimed: an answer was accepted for this attempt.
	ErrClaimed = errors.New("connect: the attempt has been answered")
)

// A Link is what names a flight to its person's browser, until it ends. It is plain data.
type Link struct {
	ID     string // a digest of what stands in the address: who reads a table has no link
	Person Person // by whose identity it is compared; see [Config].Map
	Ends   time.Time
}

// An Attempt is one authorization request of a link. It is plain data, with a secret: the verifier.
type Attempt struct {
	ID       string
	Verifier string
}

// A Table has links and attempts. What one process writes all that share the table see. Its methods are safe for
// concurrent use, and each happens at once or not at all. An error that is none of this package's says that the
// table could not be asked.
type Table interface {
	// Open keeps a link until it is closed or has ended, in the place of one of this name; [ErrBusy].
	Open(context.Context, Link) error
	// Find returns a link that is open; [ErrEnded].
	Find(ctx context.Context, link string) (Link, error)
	// Begin keeps an attempt in place of the one before; [ErrEnded], [ErrOften].
	Begin(ctx context.Context, link string, a Attempt) error
	// Claim returns an attempt to whoever claims it first; [ErrEnded], [ErrRetired], [ErrClaimed].
	Claim(ctx context.Context, link, attempt string) (Attempt, error)
	// Close forgets a link and its attempts.
	Close(ctx context.Context, link string) error
}

// A memory is a table of one process.
type memory struct {
	quota *quota.Quota[Person]

	mu    sync.Mutex
	links map[string]*opened
}

// An opened link is one with its attempts.
type opened struct {
	Link
	begun    int
	current  Attempt
	claimed  bool
	finished []string // the ids of attempts that were retired or claimed before, the last mostRetired
	answered map[string]bool
}

func newMemory(all, each int) *memory {
	return &memory{quota: quota.New[Person](all, each), links: make(map[string]*opened)}
}

// Open implements [Table].
func (m *memory) Open(_ context.Context, l Link) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(l.ID)
	if !m.quota.HasRoom(l.Person, 1) {
		m.sweep()
	}
	if !m.quota.Take(l.Person) {
		return ErrBusy
	}
	m.links[l.ID] = &opened{Link: l, answered: make(map[string]bool)}
	return nil
}

// sweep forgets links that have ended by time; m.mu is held.
func (m *memory) sweep() {
	for id, l := range m.links {
		if !time.Now().Before(l.Ends) {
			m.forget(id)
		}
	}
}

// forget forgets a link; m.mu is held.
func (m *memory) forget(id string) {
	if l := m.links[id]; l != nil {
		delete(m.links, id)
		m.quota.Give(l.Person)
	}
}

// open returns a link that is open, or nil; m.mu is held.
func (m *memory) open(id string) *opened {
	l := m.links[id]
	if l == nil || !time.Now().Before(l.Ends) {
		return nil
	}
	return l
}

// Find implements [Table].
func (m *memory) Find(_ context.Context, id string) (Link, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.open(id)
	if l == nil {
		return Link{}, ErrEnded
	}
	return l.Link, nil
}

// Begin implements [Table].
func (m *memory) Begin(_ context.Context, id string, a Attempt) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.open(id)
	switch {
	case l == nil:
		return ErrEnded
	case l.begun == mostBegun:
		return ErrOften
	}
	if l.begun++; l.current.ID != "" {
		l.finished = append(l.finished, l.current.ID)
		if l.claimed {
			l.answered[l.current.ID] = true
		}
		if len(l.finished) > mostRetired {
			delete(l.answered, l.finished[0])
			l.finished = l.finished[1:]
		}
	}
	l.current, l.claimed = a, false
	return nil
}

// Claim implements [Table].
func (m *memory) Claim(_ context.Context, id, attempt string) (Attempt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.open(id)
	switch {
	case l == nil:
		return Attempt{}, ErrEnded
	case l.answered[attempt], l.current.ID == attempt && l.claimed:
		return Attempt{}, ErrClaimed
	case l.current.ID != attempt:
		return Attempt{}, ErrRetired
	}
	l.claimed = true
	a := l.current
	l.current.Verifier = "" // nobody needs it any more
	return a, nil
}

// Close implements [Table].
func (m *memory) Close(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(id)
	return nil
}
