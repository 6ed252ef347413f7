package pending

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/records"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/schedule"
)

// An Authorization is one that processes may share. What its embedded one shows does not change.
type Authorization struct {
	*device.Authorization
	*common  // nil: it is this process's alone
	client   *device.Client
	schedule *schedule.Schedule
	share    *Share
	shares   bool // it has a use of share

	poller  *poller // of settle, for Start to go on with
	settled *sight  // what the flight has come to before it was waited for

	mu    sync.Mutex
	ended ended
}

// common is what an authorization needs that processes share.
type common struct {
	flights   *Flights
	asked     Asked
	id        string // of the flight
	by        string // whose turn it was when it was begun or joined
	unwritten bool   // the record could not be written when it was begun
}

// newAuthorization returns one of those that wait, of which there may be thousands: what is asked only to begin it is not kept.
func newAuthorization(auth *device.Authorization, a Asked, c *common) *Authorization {
	if c != nil {
		a.Want, a.Joins, a.Settled, a.Arrived = nil, nil, nil, nil
		c.asked = a
	}
	return &Authorization{Authorization: auth, common: c, client: a.Client, schedule: a.Schedule, share: a.Share}
}

// ended is what waiting has come to that has to be cleared away.
type ended struct {
	brings bool // there was a token, which is in the record
	over   bool // the record says why not
	left   bool // nobody waits any more
}

// Start has done called once, on a goroutine of its own: with the token once the person has approved, whichever
// process has polled for it, or with why there is none: at the latest when the code or ctx ends. observe is called after each
// poll of this process's, on a goroutine of [Asked].Schedule's, before done. Start is called at most once.
//
// Errors: those of [device.Client.Poll], that of ctx, and [ErrElsewhere], [ErrReplaced] and [ErrUnverified]. Who gets a
// token calls End once it has done with it.
func (a *Authorization) Start(ctx context.Context, observe func(device.PollEvent), done func(*oauth.Token, error)) {
	p := a.poller
	if p == nil {
		p = newPoller(a)
	}
	p.start(ctx, observe, done)
}

// IsShared reports whether other processes can go on with it.
func (a *Authorization) IsShared() bool { return a.common != nil }

// change changes the record, if it is still of this flight.
func (a *Authorization) change(ctx context.Context, f func(*record) records.Decision) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closingWait)
	defer cancel()
	_, err := a.flights.records.Quickly(ctx, a.asked.Key, func(text []byte) records.Decision {
		if r, err := decode(text); err == nil && r.ID == a.id {
			return f(r)
		}
		return records.Decision{}
	})
	if err != nil {
		a.asked.Failed(err)
	}
}

// settleWithin is for how long who joins finds out first whether the person has decided.
const settleWithin = 8 * time.Second

// settle finds out whether the person has decided by now, and reports whether they have, before they are
// shown again what they have seen: nobody may have polled since the process that showed it has ended. It
// takes no longer than it takes until the next poll can be made. Where another process is there to poll, or
// brings the token, it returns at once.
func (a *Authorization) settle(ctx context.Context) bool {
	p, most := newPoller(a), time.Now().Add(settleWithin)
	a.poller = p
	for {
		s := p.look(ctx)
		if s.final {
			a.settled = &s
			return true
		}
		p.next = s.at
		if p.come {
			return true
		}
		if p.polls > 0 || s.at.After(most) || p.isWatched() || !oauth.Sleep(ctx, time.Until(s.at)) {
			return false
		}
	}
}

// An Outcome is what became of a flight.
type Outcome struct {
	Kept bool  // the grant is in its record, or is not worth being there
	Err  error // why there is none; ErrUnverified says so to others
	// Closed: the process ends, and has not decided. Unwanted: nobody waits for it here. Others go on.
	Closed, Unwanted bool
}

// End clears away what the flight has left: others have its grant, or learn why there is none.
// It takes a minute, in which they do, if ctx lasts so long.
func (a *Authorization) End(ctx context.Context, o Outcome) {
	a.mu.Lock()
	e := a.ended
	a.mu.Unlock()
	a.endShare(ctx, e, o)
	switch {
	case a.common == nil:
	case e.brings && o.Closed:
		a.change(ctx, func(r *record) records.Decision {
			if r.Grant == nil || r.By != a.flights.me {
				return records.Decision{}
			}
			r.By, r.Grant.Until = "", time.Time{}
			return records.Put(r.encode())
		})
	case e.brings && o.Err == nil && !o.Kept: // the record alone has it
	case e.brings && errors.Is(o.Err, ErrUnverified):
		a.change(ctx, func(r *record) records.Decision {
			next := r.without(time.Now())
			next.ID, next.Asker, next.Over = r.ID, r.Asker, overWith(ErrUnverified, time.Now())
			return records.Put(next.encode())
		})
		a.tidyLater(ctx)
	case e.brings, e.left && !o.Closed && !o.Unwanted: // somebody has ended it
		a.change(ctx, func(r *record) records.Decision { return decided(r.without(time.Now())) })
	case e.over:
		a.tidyLater(ctx)
	}
}

func (a *Authorization) tidyLater(ctx context.Context) {
	if oauth.Sleep(ctx, CoolDown) {
		if err := a.flights.tidy(ctx, a.asked.Key); err != nil && ctx.Err() == nil {
			a.asked.Failed(err)
		}
	}
}
