package httplimit

import (
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/quota"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// sessions are those that were opened here and have not ended, as far as it is known: the SDK
// ends some by itself, which is found out when there is no room.
type sessions struct {
	room *quota.Quota[person]

	mu  sync.Mutex
	all map[string]*session
}

type session struct {
	who      person
	requests int       // in progress
	used     time.Time // when the last one began or ended
}

func newSessions(all, each int) *sessions {
	return &sessions{room: quota.New[person](all, each), all: make(map[string]*session)}
}

// use notes that a request of this session begins, and returns what notes its end.
func (s *sessions) use(id string) func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.all[id]
	if one == nil { // another process's, or nobody's
		return func() {}
	}
	one.requests++
	one.used = time.Now()
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		one.requests--
		one.used = time.Now()
	}
}

// An opening is the place of a session that is about to be opened.
type opening struct {
	sessions *sessions
	who      person
	done     func() // once there is a session
}

// open takes a place for another session of who, if need be that of one which has ended, or
// was not used for longest. It reports false if every one is in use.
func (s *sessions) open(server *mcp.Server, who person) (*opening, bool) {
	for !s.room.Take(who) {
		if !s.makeRoom(server, who) {
			return nil, false
		}
	}
	return &opening{sessions: s, who: who}, true
}

// hasShare reports whether who has less than their share of sessions.
func (s *sessions) hasShare(who person) bool { return s.room.HasShare(who) }

// name has the session of this name take the place.
func (o *opening) name(id string) {
	if id == "" || o.done != nil {
		return
	}
	s := o.sessions
	s.mu.Lock()
	s.all[id] = &session{who: o.who, used: time.Now()}
	s.mu.Unlock()
	o.done = s.use(id)
}

// end gives the place back if no session took it.
func (o *opening) end() {
	if o.done == nil {
		o.sessions.room.Give(o.who)
		return
	}
	o.done()
}

// makeRoom forgets the sessions that have ended. If there is none, it closes the one that was
// not used for longest, of who if they have no room, and otherwise of all. It reports false if
// there is none that could be closed.
func (s *sessions) makeRoom(server *mcp.Server, who person) bool {
	alive := make(map[string]*mcp.ServerSession)
	for one := range server.Sessions() {
		alive[one.ID()] = one
	}
	own := !s.room.HasShare(who)
	var least *mcp.ServerSession
	s.mu.Lock()
	ended, oldest := false, ""
	for id, one := range s.all {
		switch {
		case one.requests > 0:
		case alive[id] == nil:
			s.forget(id)
			ended = true
		case own && one.who != who:
		case oldest == "" || one.used.Before(s.all[oldest].used):
			oldest = id
		}
	}
	if !ended && oldest != "" {
		least = alive[oldest]
		s.forget(oldest)
	}
	s.mu.Unlock()
	if least != nil {
		_ = least.Close() // or it has ended by itself meanwhile
	}
	return ended || least != nil
}

// forget gives the place of a session back; s.mu is held.
func (s *sessions) forget(id string) {
	s.room.Give(s.all[id].who)
	delete(s.all, id)
}
