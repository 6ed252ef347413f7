package pending

import (
	"context"
	"errors"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/ending"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/records"
)

// A poller looks at a record at its times, and polls. It is a job of a schedule, which runs it.
type poller struct {
	*Authorization
	*turns  // nil: the store knows nothing of the authorization
	ctx     context.Context
	done    func(*oauth.Token, error)
	auth    *device.Authorization // as it was last seen, or polled for
	ahead   bool                  // auth is newer than the record
	polls   int
	next    time.Time              // when it looks at the record
	observe func(device.PollEvent) // nil while nobody waits
}

// turns are what a poller knows of those who may poll as well.
type turns struct {
	by     string             // whose turn it was when auth was seen
	late   bool               // the turn was taken just now
	gave   bool               // the turn was left to whoever comes, and nobody has been seen to take it
	come   bool               // the record has the token, or had it: the code is used
	over   bool               // the record was made to say how the flight has ended
	untold []device.PollEvent // while nobody waits

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
	p := &poller{Authorization: a, auth: a.Authorization, next: time.Now()}
	if !p.isAlone() {
		p.turns = &turns{by: a.by, unwritten: a.unwritten}
	}
	if p.isAlone() || p.by == a.flights.me {
		p.next = p.auth.Next()
	}
	return p
}

// isAlone reports whether the store knows nothing of the authorization.
func (p *poller) isAlone() bool { return p.common == nil }

// start has the poller run by its schedule.
func (p *poller) start(ctx context.Context, observe func(device.PollEvent), done func(*oauth.Token, error)) {
	p.ctx, p.observe, p.done = ctx, observe, done
	if observe == nil {
		p.observe = func(device.PollEvent) {}
	}
	if !p.isAlone() {
		for _, event := range p.untold {
			p.observe(event)
		}
		p.untold = nil
	}
	if p.settled != nil {
		p.next = time.Now()
	}
	p.schedule.Add(ctx, p.due(), p)
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
	s := final(guard.ErrExited)
	defer func() {
		if s.final { // also if what was asked has ended the goroutine
			p.end(s)
		}
	}()
	err := guard.Call("a sign-in", func() error {
		s = p.step()
		return nil
	})
	if err != nil {
		s = final(err)
	}
	if s.final {
		return time.Time{}
	}
	p.next = s.at
	return p.due()
}

// end tells what the waiting has come to.
func (p *poller) end(s sight) {
	if !p.isAlone() {
		p.mu.Lock()
		p.ended.brings, p.ended.over = s.token != nil, p.over
		p.mu.Unlock()
	}
	go p.done(s.token, s.err) // whose goroutine it is from now on
}

// step is what is done when the poller is due.
func (p *poller) step() sight {
	if p.ctx.Err() != nil {
		p.leave(p.ctx)
		return final(oauth.Ended(p.ctx, "poll"))
	}
	ctx, release := ending.During(p.ctx)
	defer release()
	s := p.settled
	if s == nil {
		looked := p.look(ctx)
		s = &looked
	}
	if !s.final {
		return *s
	}
	return sight{final: true, token: s.token, err: p.verdict(ctx, s.err)}
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
	if err := p.flights.silent(); err != nil {
		return p.failed(ctx, err)
	}
	if p.by != p.flights.me {
		text, err := p.flights.records.Load(ctx, p.asked.Key)
		p.flights.heard(err)
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

// clear deletes the record of a code that has expired, if it was this process's turn, or nobody's. In front of a store that
// does not answer it is left, which is no harm.
func (p *poller) clear(ctx context.Context) {
	if p.flights.silent() == nil && (p.by == p.flights.me || p.by == "") {
		p.change(ctx, func(r *record) records.Decision {
			if r.Grant != nil || r.Over != nil {
				return records.Decision{}
			}
			return decided(r.without(time.Now()))
		})
	}
}
