package pending

import (
	"context"
	"errors"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/records"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// A poller looks at a record at its times, and polls. It is a job of a schedule, which runs it.
type poller struct {
	*Authorization
	ctx     context.Context
	done    func(*oauth.Token, error)
	auth    *device.Authorization // as it was last seen, or polled for
	by      string                // whose turn it was then
	ahead   bool                  // auth is newer than the record
	late    bool                  // the turn was taken just now
	gave    bool                  // the turn was left to whoever comes, and nobody has been seen to take it
	come    bool                  // the record has the token, or had it: the code is used
	over    bool                  // the record was made to say how the flight has ended
	polls   int
	next    time.Time              // when it looks at the record
	observe func(device.PollEvent) // nil while nobody waits
	untold  []device.PollEvent     // until then

	unwritten   bool      // there is no record yet
	failing     bool      // the store has failed, as was told
	without     time.Time // until then the store is done without
	untoldSince time.Time // since then the grant's record cannot be read
	patient     time.Time // until then nobody's turn is taken: they may poll in front of a store that failed
}

// closingWait is how long a poll and the store may take once ctx has ended: what the server has given away by
// then is written down.
const closingWait = 3 * time.Second

// lingering returns a context that ends some seconds after ctx.
func lingering(ctx context.Context) (context.Context, context.CancelFunc) {
	later, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(closingWait, func() { cancel(context.Cause(ctx)) })
	})
	return later, func() { stop(); cancel(nil) }
}

func newPoller(a *Authorization) *poller {
	p := &poller{Authorization: a, auth: a.Authorization, by: a.by, next: time.Now(), unwritten: a.unwritten}
	if p.isAlone() || p.by == a.flights.me {
		p.next = p.auth.Next()
	}
	return p
}

// isAlone reports whether the store knows nothing of the authorization.
func (p *poller) isAlone() bool { return p.flights == nil }

// start has the poller run by its schedule.
func (p *poller) start(ctx context.Context, observe func(device.PollEvent), done func(*oauth.Token, error)) {
	p.ctx, p.observe, p.done = ctx, observe, done
	if observe == nil {
		p.observe = func(device.PollEvent) {}
	}
	for _, event := range p.untold {
		p.observe(event)
	}
	p.untold = nil
	if p.settled != nil {
		p.next = time.Now()
	}
	p.asked.Schedule.Add(ctx, p.due(), p)
}

// due returns when the poller runs next.
func (p *poller) due() time.Time {
	if p.next.After(p.Expires) && time.Now().Before(p.Expires) {
		p.next = p.Expires
	}
	return p.next
}

// Run implements [schedule.Job].
func (p *poller) Run() time.Time {
	var s sight
	err := guard.Call("a sign-in", func() error {
		s = p.step()
		return nil
	})
	switch {
	case err != nil:
		s = final(err)
	case !s.final:
		p.next = s.at
		return p.due()
	}
	p.mu.Lock()
	p.ended.brings, p.ended.over = s.token != nil && !p.isAlone(), p.over
	p.mu.Unlock()
	go p.done(s.token, s.err) // whose goroutine it is from now on
	return time.Time{}
}

// step is what is done when the poller is due.
func (p *poller) step() sight {
	if p.ctx.Err() != nil {
		p.leave(p.ctx)
		return final(oauth.Ended(p.ctx, "poll"))
	}
	s := p.settled
	if s == nil {
		looked := p.look(p.ctx)
		s = &looked
	}
	if !s.final {
		return *s
	}
	return sight{final: true, token: s.token, err: p.verdict(p.ctx, s.err)}
}

// isWatched reports whether another process is there whose turn it is, as far as can be seen.
func (p *poller) isWatched() bool {
	return p.by != "" && p.by != p.flights.me && time.Now().Before(p.auth.Next().Add(sendWithin))
}

// polledFor tells of a poll.
func (p *poller) polledFor(event device.PollEvent) {
	switch {
	case event.Outcome == "": // nothing was sent
	case p.observe == nil:
		p.untold = append(p.untold, event)
	default:
		p.observe(event)
	}
}

// verdict returns what the flight has come to, of which this process has heard err.
func (p *poller) verdict(ctx context.Context, err error) error {
	switch {
	case p.isAlone():
	case errors.Is(err, device.ErrExpired) && !p.over:
		p.clear(ctx)
	case (errors.Is(err, device.ErrUnknownCode) || errors.Is(err, ErrReplaced)) && p.brought(ctx, p.issued()): // used up, and the grant is there
		return ErrElsewhere
	}
	return err
}

// issued returns when the code was asked for, or some time before.
func (p *poller) issued() time.Time { return p.Expires.Add(-p.auth.Save().Life) }

// look looks at the record, and polls if it is this process's turn.
func (p *poller) look(ctx context.Context) sight {
	if p.isAlone() {
		return p.pollAlone(ctx)
	}
	ctx, cancel := lingering(ctx)
	defer cancel()
	if time.Now().Before(p.without) {
		return p.pollAlone(ctx)
	}
	if p.by != p.flights.me {
		text, err := p.flights.records.Load(ctx, p.asked.Key)
		if err != nil {
			return p.failed(ctx, err)
		}
		r, err := decode(text)
		if err != nil {
			return p.failed(ctx, err)
		}
		if m, s := p.see(ctx, r); m == wait || m == leave {
			p.failing = false
			return s
		}
	}
	return p.act(ctx)
}

// act does what is to be done, while the record is locked. Where machines share the store that is not before the record is
// due by its clock, whatever theirs say, unless this process alone knows when it has polled last.
func (p *poller) act(ctx context.Context) sight {
	if !p.ahead {
		s, never := p.actOn(ctx, &store.Terms{IfDue: true, Interval: p.auth.Save().Interval})
		if !never {
			return s
		}
	}
	s, _ := p.actOn(ctx, new(store.Terms))
	return s
}

// actOn acts on these terms. It reports if the record is never due: there is none, or another release has written it.
func (p *poller) actOn(ctx context.Context, terms *store.Terms) (s sight, never bool) {
	var event *device.PollEvent
	taking := false
	asked, err := p.flights.records.Update(store.WithTerms(ctx, terms), p.asked.Key, func(text []byte) records.Decision {
		r, err := decode(text)
		if err != nil {
			s.err = err
			return records.Decision{}
		}
		if terms.IfDue {
			terms.Next = time.Nanosecond // it stays due, if nothing comes of this
		}
		var m move
		if m, s = p.see(ctx, r); m == wait || m == leave {
			return records.Decision{}
		}
		now := time.Now()
		switch {
		case m == take && r.Grant != nil:
			s = sight{final: true, token: r.Grant.token()}
			next := *r
			next.By, next.Grant = p.flights.me, grantOf(s.token, now)
			next.Grant.Got = r.Grant.Got
			return records.Put(next.encode())
		case m == take:
			taking, s.at = true, now
			next := r.taken(p.flights.me, now)
			terms.Next = next.dueIn()
			return records.Put(next.encode())
		}
		var next *record
		limited, cancel := terms.Bound(ctx)
		defer cancel()
		next, event, s = p.polled(limited, r)
		if s.token != nil {
			terms.Over = p.isOver
		}
		terms.Next = next.dueIn()
		return records.Put(next.encode())
	})
	if event != nil {
		p.polledFor(*event)
		// By the store's clock it is due so long after it was written.
		s.at = latest(s.at, time.Now().Add(terms.Next))
	}
	early, tooEarly := errors.AsType[*store.NotDueError](err)
	switch {
	case tooEarly && early.In < 0:
		return s, true
	case tooEarly: // another machine polls, or has polled; or a clock is ahead
		p.failing, p.by = false, ""
		return sight{at: time.Now().Add(min(max(early.In, leastWait), leastLook))}, false
	case !asked, taking && err != nil:
		return p.failed(ctx, err), false
	case err != nil && s.token != nil && event == nil && store.IsFleet(p.flights.store): // another machine may bring it, too
		return p.failed(ctx, err), false
	case taking:
		p.by, p.late = p.flights.me, true
	case errors.Is(err, store.ErrFenced): // another machine has written meanwhile, and that is to be seen
		p.by = ""
		if s.token == nil {
			p.over, s = false, sight{at: time.Now()}
		}
	case err != nil: // it was not written, or perhaps it was
		p.ahead, p.by = true, p.flights.me
		p.tell(err)
	case s.err != nil && !s.final:
		return p.failed(ctx, s.err), false
	case event != nil:
		p.unwritten = false
		fallthrough
	default:
		p.failing = false
	}
	return s, false
}

// isOver reports whether a token replaces a record that another machine has written meanwhile: it does
// unless that has one, or says how the flight has ended.
func (p *poller) isOver(text []byte) bool {
	found, err := decode(text)
	return err == nil && found.ID == p.id && found.Grant == nil && found.Over == nil
}

// polled polls, and returns what becomes of the record; it is locked.
func (p *poller) polled(ctx context.Context, r *record) (*record, *device.PollEvent, sight) {
	p.late, p.ahead, p.gave, p.by = false, false, false, p.flights.me
	limited, cancel := context.WithTimeout(ctx, records.ExchangeWait)
	defer cancel()
	s, event := p.pollOnce(limited)
	now := time.Now()
	next := *r
	saved := p.auth.Save()
	next.ID, next.Asker, next.Code, next.By = p.id, askerOf(p.asked.Server), &saved, p.flights.me
	switch {
	case s.token != nil:
		next.Grant = grantOf(s.token, now)
	case s.final:
		next.Code, next.By, next.Over = nil, "", overWith(s.err, now)
		p.over = true
	case event.Outcome == device.Fault: // perhaps it is cut off, and another process is not
		next.By, p.by, p.gave = "", "", true
		s.at = s.at.Add(margin)
	}
	return &next, event, s
}

// pollOnce polls, and sets the time of the next poll.
func (p *poller) pollOnce(ctx context.Context) (sight, *device.PollEvent) {
	p.polls++
	token, event, err := p.asked.Client.Poll(ctx, p.auth, p.polls)
	if token != nil || err != nil {
		return sight{final: true, token: token, err: err}, &event
	}
	return sight{at: p.auth.Next()}, &event
}

// leave gives the turn to whoever comes, as the process or its interest ends.
func (p *poller) leave(ctx context.Context) {
	if p.isAlone() {
		return
	}
	p.mu.Lock()
	p.ended.left = true
	p.mu.Unlock()
	if p.by != p.flights.me || time.Now().Before(p.without) {
		return
	}
	p.change(ctx, func(r *record) records.Decision {
		if r.Code == nil || r.Grant != nil || r.By != p.flights.me {
			return records.Decision{}
		}
		r.By = ""
		if p.ahead {
			saved := p.auth.Save()
			r.Code = &saved
		}
		return records.Put(r.encode())
	})
}

// clear deletes the record of a code that has expired, if it was this process's turn, or nobody's.
func (p *poller) clear(ctx context.Context) {
	if p.by == p.flights.me || p.by == "" {
		p.change(ctx, func(r *record) records.Decision {
			if r.Grant != nil || r.Over != nil {
				return records.Decision{}
			}
			return decided(r.without(time.Now()))
		})
	}
}
