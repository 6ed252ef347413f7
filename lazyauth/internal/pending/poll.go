package pending

import (
	"context"
	"errors"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/records"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

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
	taking, broke := false, false
	decide := func(text []byte) records.Decision {
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
	}
	asked, err := p.flights.records.Update(store.WithTerms(ctx, terms), p.asked.Key, func(text []byte) records.Decision {
		broke = true
		d := decide(text)
		broke = false
		return d
	})
	p.flights.heard(err)
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
	case broke && err != nil: // what was sent is not known
		return final(err), false
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
	if r.ID == "" { // it could not be written when it was begun
		next.Place = p.share.Place()
	}
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
	token, event, err := p.client.Poll(ctx, p.auth, p.polls)
	if token != nil || err != nil {
		return sight{final: true, token: token, err: err}, &event
	}
	return sight{at: p.auth.Next()}, &event
}
