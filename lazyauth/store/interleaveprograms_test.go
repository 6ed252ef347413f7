package store_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// A server rotates refresh tokens, which are numbers: the use of one gives the next one, and that of any
// but the last is taken for theft, and ends them all; unless it has a grace, as many have, in which
// the last but one gives a token, too.
type server struct {
	grace   bool
	last    int
	revoked bool
	uses    []use
	polls   []time.Time
	gaveTo  *machine // the token of a sign-in
	unheard bool     // and the answer was lost
}

// A use is one of a refresh token.
type use struct {
	by    *machine
	token int
	at    time.Time
	over  bool // it was answered
}

func (s *server) state() string {
	text := fmt.Sprint(s.last, s.revoked, len(s.polls), s.unheard)
	if s.gaveTo != nil {
		text += " to " + s.gaveTo.name
	}
	for _, u := range s.uses {
		text += fmt.Sprintf(" %s %d %t %v", u.by.name, u.token, u.over, time.Since(u.at))
	}
	return text
}

// present is a refresh token's arrival at the server.
func (x *execution) present(m *machine, token int, inDoubt bool) (n int, next int) {
	x.say("%s: presents token %d%s", m.name, token, map[bool]string{true: ", which is in doubt"}[inDoubt])
	for _, u := range x.server.uses {
		if u.by == m || u.token != token {
			continue
		}
		if !u.by.dead && !u.over && time.Since(u.at) < modelBound {
			x.violate("G1: %s and %s present token %d at the same time", u.by.name, m.name, token)
		}
		if !inDoubt {
			x.violate("G1: %s has presented token %d, and %s does so again and is not told", u.by.name, token, m.name)
		}
	}
	if inDoubt {
		x.doubts++
	}
	x.server.uses = append(x.server.uses, use{by: m, token: token, at: time.Now()})
	switch {
	case x.server.revoked, token != x.server.last && (!x.server.grace || token != x.server.last-1):
		x.server.revoked = true
	default:
		x.server.last++
		next = x.server.last
	}
	return len(x.server.uses) - 1, next
}

const grantKey = "grant"

func number(record []byte) int {
	n, err := strconv.Atoi(string(record))
	if err != nil {
		return 0
	}
	return n
}

// stored is the token in the store; 0 if there is none.
func (x *execution) stored() int {
	record, err := x.watcher.Load(context.Background(), grantKey)
	if err != nil {
		x.violate("the record cannot be read: %v", err)
	}
	return number(record)
}

var errNothing = errors.New("there is nothing to refresh")

// refresh refreshes what is stored, as package grants does. looks is whether it looks at the time. If it knows a token,
// another one will do.
func refresh(m *machine, looks bool, known int) {
	x := m.x
	issued := 0
	terms := &store.Terms{Over: func(found []byte) bool { return number(found) < issued }}
	if known != 0 {
		terms.Found = func(found []byte) bool { return number(found) > known }
	}
	err := m.fleet.Update(store.WithTerms(m.ctx, terms), grantKey, func(old []byte) ([]byte, error) {
		if number(old) == 0 || known != 0 && number(old) > known {
			return nil, errNothing
		}
		if _, err := m.step("asks"); err != nil {
			return nil, err
		}
		if looks {
			ctx, cancel := terms.Bound(m.ctx)
			defer cancel()
			if ctx.Err() != nil {
				m.notes("too late")
				x.say("%s: does not ask, since it is too late", m.name)
				return nil, context.Cause(ctx)
			}
		}
		n, next := x.present(m, number(old), terms.InDoubt)
		lost, err := m.step("hears")
		if err != nil {
			return nil, err
		}
		x.server.uses[n].over = true
		m.notes("heard %d %t in doubt %t", next, lost, terms.InDoubt)
		switch {
		case lost:
			x.say("%s: the server's answer is lost", m.name)
			terms.Unsettled = true
			return nil, errAnswerLost
		case next == 0 && terms.InDoubt:
			return []byte("spent"), nil // and not ended: who has died may still wake up with a token
		case next == 0:
			return nil, nil // it is no good any more
		}
		issued = next
		return []byte(strconv.Itoa(next)), nil
	})
	m.notes("came to %t %t %t", err == nil, errors.Is(err, store.ErrEnded), errors.Is(err, store.ErrFound))
	if err == nil && issued != 0 {
		x.mu.Lock()
		x.acked = max(x.acked, issued)
		x.mu.Unlock()
	}
}

// A trial is of two machines that refresh one grant.
type trial struct {
	times int  // each of them
	known bool // each knows the first token, and what the other one brings will do
	grace bool // of the server
	blind bool // they do not look at the time before they ask
}

func refreshes(c trial) *program {
	one := func(m *machine) {
		known := 0
		if c.known {
			known = 1
		}
		for range c.times {
			refresh(m, !c.blind, known)
		}
	}
	return &program{
		begin: func(x *execution) {
			x.server.grace = c.grace
			signedIn(x)
		},
		machines: []func(*machine){one, one},
		holds: func(x *execution) {
			stored := x.stored()
			switch {
			case x.server.revoked && x.doubts == 0:
				x.violate("G5: the grant is lost, and nothing was in doubt")
			case !x.server.revoked && stored < x.acked:
				x.violate("G2: token %d was acknowledged, and %d is stored", x.acked, stored)
			case c.known && len(x.server.uses) > 1+x.doubts:
				x.violate("one token would have done, and %d were presented", len(x.server.uses))
			}
		},
		state: func(x *execution) string { return fmt.Sprint(x.stored()) + rowState(x) },
	}
}

// signedIn is the first token, in the store.
func signedIn(x *execution) {
	x.server.last = 1
	if err := x.watcher.Update(context.Background(), grantKey, to("1")); err != nil {
		x.violate("%v", err)
	}
	x.acked = 1
}

// rowState is that of the row of all that a program has.
func rowState(x *execution) (text string) {
	ids, err := x.engine.OfPerson(context.Background(), store.Hash{}, store.ID{}, 10)
	if err != nil {
		x.violate("%v", err)
	}
	for _, id := range ids {
		row, err := x.engine.Read(context.Background(), id)
		if err != nil {
			x.violate("%v", err)
		}
		text += " " + x.show(row)
	}
	return text
}

// ends is a machine that refreshes, and one that ends the grant.
func ends() *program {
	return &program{
		begin: signedIn,
		machines: []func(*machine){
			func(m *machine) { refresh(m, true, 0) },
			func(m *machine) {
				err := m.fleet.Update(store.WithTerms(m.ctx, &store.Terms{Quick: true, Over: func([]byte) bool { return true }}), grantKey, remove)
				m.x.mu.Lock()
				defer m.x.mu.Unlock()
				m.x.ended = err == nil
			},
		},
		holds: func(x *execution) {
			if stored := x.stored(); x.ended && stored != 0 {
				x.violate("G6: the grant was ended, and token %d is stored", stored)
			}
		},
		state: func(x *execution) string { return fmt.Sprint(x.stored()) + rowState(x) },
	}
}

// pollInterval is between two polls.
const pollInterval = 5 * time.Second

// What the record of a flight is.
const (
	flightWaits = 1
	flightToken = 2
)

// polls is two machines that poll for one flight, twice each. So many polls come to nothing before the person has approved; the
// next one gives the token.
func polls(approvedAfter int) *program {
	one := func(m *machine) {
		for range 2 {
			poll(m, approvedAfter)
		}
	}
	return &program{
		begin: func(x *execution) {
			err := x.watcher.Update(store.WithTerms(context.Background(), &store.Terms{Next: time.Nanosecond}), grantKey, to(strconv.Itoa(flightWaits)))
			if err != nil {
				x.violate("%v", err)
			}
			time.Sleep(time.Microsecond)
		},
		machines: []func(*machine){one, one},
		holds: func(x *execution) {
			giver := x.server.gaveTo
			switch stored := x.stored(); {
			case stored < x.acked:
				x.violate("G2: the token was acknowledged, and is not stored")
			case stored < flightWaits:
				x.violate("G5: the sign-in is lost")
			case giver != nil && stored < flightToken && !giver.dead && !x.server.unheard:
				x.violate("G5: %s lives and has got the token, and it is not stored", giver.name)
			}
		},
		state: func(x *execution) string { return fmt.Sprint(x.stored()) + rowState(x) },
	}
}

// poll polls once, when that is due, as package pending does.
func poll(m *machine, approvedAfter int) {
	x := m.x
	token := false
	terms := &store.Terms{IfDue: true, Interval: pollInterval, Next: pollInterval, Over: func(found []byte) bool { return token && number(found) < flightToken }}
	err := m.fleet.Update(store.WithTerms(m.ctx, terms), grantKey, func(old []byte) ([]byte, error) {
		if number(old) == flightToken {
			return nil, errNothing
		}
		if _, err := m.step("asks"); err != nil {
			return nil, err
		}
		ctx, cancel := terms.Bound(m.ctx)
		defer cancel()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		m.x.say("%s: polls", m.name)
		// A clock that steps makes a poll early by as much.
		if n := len(x.server.polls); n > 0 && time.Since(x.server.polls[n-1]) < pollInterval-max(x.stepped, 0) {
			x.violate("G3: a poll comes %v after the last one", time.Since(x.server.polls[n-1]))
		}
		x.server.polls = append(x.server.polls, time.Now())
		gives := len(x.server.polls) > approvedAfter && x.server.gaveTo == nil
		if gives {
			x.server.gaveTo = m
			x.say("%s: is given the token", m.name)
		}
		lost, err := m.step("hears")
		switch {
		case err != nil:
			return nil, err
		case lost && gives:
			x.server.unheard = true
			fallthrough
		case lost:
			return nil, errAnswerLost
		case gives:
			token = true
			return []byte(strconv.Itoa(flightToken)), nil
		}
		return old, nil
	})
	m.notes("came to %t", err == nil)
	if err == nil && token {
		x.mu.Lock()
		x.acked = flightToken
		x.mu.Unlock()
	}
	if early, ok := errors.AsType[*store.NotDueError](err); ok {
		m.notes("early by %v", early.In)
		select {
		case <-time.After(max(early.In, 0)):
		case <-m.ctx.Done():
		}
	}
}

// starts is two machines that are about to start one handler.
func starts() *program {
	one := func(m *machine) {
		holder, err := m.fleet.Mark(m.ctx, "call", time.Hour)
		first := holder == m.fleet.Incarnation()
		m.notes("first %t", first)
		if _, died := m.step("starts"); died != nil || err != nil || !first {
			return
		}
		m.x.say("%s: starts the handler", m.name)
		if m.x.starts++; m.x.starts > 1 {
			m.x.violate("G4: the handler starts twice")
		}
	}
	return &program{
		begin:    func(*execution) {},
		machines: []func(*machine){one, one},
		holds: func(x *execution) {
			dead := false
			for _, m := range x.machines {
				dead = dead || m.dead
			}
			if x.starts == 0 && !dead {
				x.violate("G4: the handler does not start, though nobody has died")
			}
		},
		state: rowState,
	}
}
