package pending

import (
	"context"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
)

// sharing calls begin, which begins an authorization that uses a.Share. Where it has begun none, but perhaps found one to join, that
// is given back.
func (f *Flights) sharing(ctx context.Context, a *Asked, begin func() (*Authorization, error)) (made *Authorization, err error) {
	if err := a.Share.Take(ctx, f.codeLife()); err != nil {
		return nil, err
	}
	defer func() {
		if made == nil {
			a.Share.End(ctx, false)
		}
	}()
	return begin()
}

// codeLife is how long the code lives that is about to be asked for: as long as the last one did, of a server that
// gives each the same life.
func (f *Flights) codeLife() time.Duration {
	if f != nil {
		if last := f.lives.Load(); last > 0 {
			return time.Duration(last)
		}
	}
	return longestCode
}

// lasts has a.Share last as long as a code does; wait returns when the store knows.
func (f *Flights) lasts(ctx context.Context, a *Asked, auth *device.Authorization) (wait func()) {
	life := auth.Save().Life
	if f != nil {
		f.lives.Store(int64(life))
	}
	return a.Share.Lasts(ctx, life)
}

// endShare gives back what the authorization has of the share, or what another process had taken for it. Others can go on
// if this process ends, or wants it no more; so can they with a token that it has not brought.
func (a *Authorization) endShare(ctx context.Context, e ended, o Outcome) {
	others := a.common != nil && (o.Closed || o.Unwanted)
	switch {
	case a.shares:
		a.share.End(ctx, others)
	case !others && (e.brings || e.over || e.left):
		a.share.giveJoined(ctx)
	}
}

// places are what the record says was taken for what is under way.
func (r *record) places() (all []string) {
	if r.Place != "" {
		all = append(all, r.Place)
	}
	if r.Page != nil && r.Page.Place != "" && r.Page.Place != r.Place {
		all = append(all, r.Page.Place)
	}
	return all
}
