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
	room     *quota.Quota[person]
	openings *quota.Quota[person] // in progress, whatever comes of them
	most     int64                // bytes

	mu    sync.Mutex
	all   map[string]*session
	bytes int64 // of all
}

type session struct {
	who      person
	bytes    int64     // of what opened it
	requests int       // in progress
	used     time.Time // when the last one began or ended
}

func newSessions(all, each int, bytes int64) *sessions {
	return &sessions{
		room: quota.New[person](all, each), openings: quota.New[person](all, each), most: bytes, all: make(map[string]*session),
	}
}

// use notes that a request of this session begins, and returns what notes its end. It reports
// false of somebody else's session.
func (s *sessions) use(id string, who person) (ended func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.all[id]
	switch {
	case one == nil: // another process's, or nobody's
		return func() {}, true
	case one.who != who:
		return nil, false
	}
	return s.usedBy(one), true
}

// usedBy is use for a session that is known; s.mu is held.
func (s *sessions) usedBy(one *session) (ended func()) {
	one.requests++
	one.used = time.Now()
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		one.requests--
		one.used = time.Now()
	}
}

// An opening is a request that may open a session.
type opening struct {
	sessions *sessions
	server   *mcp.Server
	who      person
	ended    func() // once there is a session
	refused  string // the session that there is no room for
}

// open returns an opening of who's. It reports false if there would be no room for a session,
// also if others made room, or too many are being opened.
func (s *sessions) open(server *mcp.Server, who person) (*opening, bool) {
	if !s.openings.Take(who) {
		return nil, false
	}
	if !s.room.HasRoom(who, 1) && !s.couldMakeRoom(who) {
		s.openings.Give(who)
		return nil, false
	}
	return &opening{sessions: s, server: server, who: who}, true
}

// hasShare reports whether who has less than their share of sessions.
func (s *sessions) hasShare(who person) bool { return s.room.HasShare(who) && s.openings.HasShare(who) }

// name keeps the session of this name, which was opened with so many bytes. To have room for it
// others are closed; it reports false if that is not possible.
func (o *opening) name(id string, bytes int64) bool {
	s := o.sessions
	for !s.room.Take(o.who) {
		if !s.makeRoom(o.server, o.who) {
			o.refused = id
			return false
		}
	}
	for s.hasBytes()+bytes > s.most {
		if !s.makeRoom(o.server, person{}) {
			s.room.Give(o.who)
			o.refused = id
			return false
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one := &session{who: o.who, bytes: bytes}
	s.all[id] = one
	s.bytes += bytes
	o.ended = s.usedBy(one)
	return true
}

// end ends the opening. A session that there was no room for is closed.
func (o *opening) end() {
	o.sessions.openings.Give(o.who)
	if o.ended != nil {
		o.ended()
	}
	if o.refused == "" {
		return
	}
	for one := range o.server.Sessions() {
		if one.ID() == o.refused {
			closeSoon(one)
		}
	}
}

func (s *sessions) hasBytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}

// couldMakeRoom reports whether makeRoom may find a session to close for who.
func (s *sessions) couldMakeRoom(who person) bool {
	own := !s.room.HasShare(who)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.all {
		if one.requests == 0 && (!own || one.who == who) {
			return true
		}
	}
	return false
}

// makeRoom forgets the sessions that have ended. If there is none, it closes the one that was
// not used for longest, of who if they have their share, and otherwise of all. It reports false
// if there is none that could be closed.
func (s *sessions) makeRoom(server *mcp.Server, who person) bool {
	alive := make(map[string]*mcp.ServerSession)
	for one := range server.Sessions() {
		alive[one.ID()] = one
	}
	own := !s.room.HasShare(who)
	s.mu.Lock()
	defer s.mu.Unlock()
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
	if ended || oldest == "" {
		return ended
	}
	closeSoon(alive[oldest])
	s.forget(oldest)
	return true
}

// closeSoon closes a session, or it has ended by itself. That takes as long as a call in it goes
// on whose host has hung up, which nobody waits for.
func closeSoon(one *mcp.ServerSession) { go func() { _ = one.Close() }() }

// forget gives the place of a session back; s.mu is held.
func (s *sessions) forget(id string) {
	one := s.all[id]
	s.room.Give(one.who)
	s.bytes -= one.bytes
	delete(s.all, id)
}
