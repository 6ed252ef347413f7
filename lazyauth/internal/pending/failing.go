package pending

import (
	"context"
	"errors"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/records"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// tell tells of a store that fails, once until it does not.
func (p *poller) tell(err error) {
	if !p.failing {
		p.asked.Failed(err)
	}
	p.failing = true
}

// failed decides what to do in front of a store that fails.
func (p *poller) failed(ctx context.Context, err error) sight {
	now := time.Now()
	p.tell(err)
	if !now.Before(p.Expires) {
		return final(p.auth.Expired())
	}
	if store.IsFleet(p.flights.store) { // another machine may be polling
		return sight{at: now.Add(leastLook)}
	}
	patience := p.auth.Save().Interval + sendWithin + 2*margin
	_, slow := errors.AsType[*records.Slow](err)
	if slow {
		patience += withoutFor
	}
	silent := errors.Is(err, store.ErrUnwritable) && now.After(p.auth.Next().Add(withoutAfter))
	if p.by != p.flights.me && !p.gave && !silent {
		p.patient = now.Add(patience)
		return sight{at: now.Add(leastLook)}
	}
	if slow {
		p.without = now.Add(withoutFor)
	}
	if p.by != p.flights.me && silent { // whoever polled last may have polled on without the store, as this does
		saved := p.auth.Save()
		saved.Doubt = true
		if auth, err := p.client.Resume(saved); err == nil {
			p.auth = auth
		}
	}
	p.unwritten = p.unwritten || errors.Is(err, store.ErrDamaged) // and set aside: the next poll writes it anew
	return p.pollAlone(ctx)
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

const (
	// withoutFor is how long a store is done without that has not answered.
	withoutFor = time.Minute
	// withoutAfter is for how long nobody has polled, as far as can be read in a store that cannot be
	// written, after whom somebody else does.
	withoutAfter = 30 * time.Second
)

// pollAlone polls without the store, if a poll is due.
func (p *poller) pollAlone(ctx context.Context) sight {
	switch now, at := time.Now(), p.auth.Next(); {
	case !now.Before(p.Expires):
		return final(p.auth.Expired())
	case now.Before(at):
		return sight{at: at}
	}
	s, event := p.pollOnce(ctx)
	p.ahead = true
	if s.final && !p.isAlone() { // which the record does not say
		p.flights.spent.Store(&p.id)
	}
	if event.Outcome != device.Fault || ctx.Err() == nil {
		p.polledFor(*event)
	}
	return s
}
