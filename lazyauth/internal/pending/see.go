package pending

import (
	"context"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
)

// A sight is what came of looking at the record.
type sight struct {
	final bool // it is the end: these are returned
	token *oauth.Token
	err   error
	at    time.Time // otherwise: when to look again
}

func final(err error) sight { return sight{final: true, err: err} }

// see says what is to be done about a record, and what is known if that is nothing.
func (p *poller) see(ctx context.Context, r *record) (move, sight) {
	now := time.Now()
	p.come = p.come || r.ID == p.id && r.Grant != nil
	switch {
	case r.ID == "" && p.unwritten:
		return poll, sight{}
	case r.ID == "":
		if !now.Before(p.Expires) && !p.brought(ctx, p.issued()) {
			return leave, final(p.auth.Expired())
		}
		return leave, final(ErrElsewhere)
	case r.ID != p.id:
		return leave, final(ErrReplaced)
	case r.Over != nil:
		return leave, final(r.Over.err())
	case r.Grant != nil:
		return p.seeToken(ctx, r, now)
	}
	p.by = r.By
	if p.by != p.flights.me {
		p.late, p.ahead = false, false
	}
	p.gave = p.gave && p.by == ""
	if !p.ahead {
		if auth, err := p.client.Resume(*r.Code); err == nil {
			p.auth = auth
		}
	}
	if !now.Before(p.Expires) {
		return leave, final(p.auth.Expired())
	}
	m, at := r.decide(p.flights.me, now, p.late)
	if m == take && r.By != p.flights.me && now.Before(p.patient) {
		return wait, sight{at: earliest(p.patient, now.Add(leastLook))}
	}
	return m, sight{at: at}
}

func (p *poller) brought(ctx context.Context, since time.Time) bool {
	brought, err := p.asked.brought(ctx, since)
	return err == nil && brought
}

// seeToken is see where the record has the token. What was brought already is not brought again: the grant may
// have been refreshed since, and a refresh token would be used a second time. So while that cannot be told the
// token is left alone, for as long as somebody else may take to bring it.
func (p *poller) seeToken(ctx context.Context, r *record, now time.Time) (move, sight) {
	brought, err := p.asked.brought(ctx, r.Grant.Got)
	switch {
	case err == nil:
		p.untoldSince = time.Time{}
	case p.untoldSince.IsZero():
		p.untoldSince = now
	}
	switch {
	case err == nil && brought:
		return leave, final(ErrElsewhere)
	case r.By != "" && now.Before(r.Grant.Until), err != nil && now.Before(p.untoldSince.Add(bringWithin)):
		return wait, sight{at: now.Add(leastLook)}
	}
	return take, sight{}
}
