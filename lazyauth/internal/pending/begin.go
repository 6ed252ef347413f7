package pending

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/records"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// alone returns an authorization of which the store knows nothing but that there is one.
func (f *Flights) alone(ctx context.Context, a Asked) (*Authorization, error) {
	return f.sharing(ctx, &a, func() (*Authorization, error) { return f.apart(ctx, a) })
}

// apart is alone once a.Share is taken.
func (f *Flights) apart(ctx context.Context, a Asked) (*Authorization, error) {
	auth, err := a.Client.Authorize(ctx, a.Want(ctx))
	if err != nil {
		return nil, err
	}
	f.lasts(ctx, &a, auth)()
	made := newAuthorization(auth, a, nil)
	made.shares = true
	return made, nil
}

// begin begins an authorization, or joins one that has begun meanwhile.
func (f *Flights) begin(ctx context.Context, a Asked) (*Authorization, error) {
	want := a.Want(ctx)
	a.Want = func(context.Context) scopes.Set { return want }
	var found *record
	made, err := f.sharing(ctx, &a, func() (made *Authorization, err error) {
		made, found, err = f.beginOnce(ctx, a, want)
		return made, err
	})
	if found != nil {
		return f.join(ctx, found, a)
	}
	return made, err
}

// beginOnce asks for a code while the record is locked, so that of several processes one does; or it returns what was found
// there. a.Share is taken.
func (f *Flights) beginOnce(ctx context.Context, a Asked, want scopes.Set) (begun *Authorization, joins *record, err error) {
	var found *record
	var made *Authorization
	var failed error
	slow, told := false, func() {}
	terms := new(store.Terms)
	_, err = f.records.Within(f.beginWait()).Update(store.WithTerms(ctx, terms), a.Key, func(text []byte) records.Decision {
		r, unread := decode(text)
		if errors.Is(unread, errForeign) {
			failed = unread
			return records.Decision{}
		}
		if unread != nil {
			r = &record{}
		}
		if f.isLive(ctx, r, a) {
			found = r
			return records.Decision{}
		}
		if a.Arrived != nil && a.Arrived(ctx) {
			failed = ErrElsewhere
			return records.Decision{}
		}
		limited, cancel := context.WithTimeout(ctx, records.ExchangeWait)
		defer cancel()
		var auth *device.Authorization
		if auth, failed = a.Client.Authorize(limited, want); failed != nil {
			slow = limited.Err() != nil && ctx.Err() == nil
			return records.Decision{}
		}
		told = f.lasts(ctx, &a, auth) // beside the writing
		saved := auth.Save()
		fresh := r.without(time.Now())
		fresh.ID, fresh.Asker, fresh.Code, fresh.By, fresh.Place = rand.Text(), askerOf(a.Server), &saved, f.me, a.Share.Place()
		made = newAuthorization(auth, a, &common{flights: f, id: fresh.ID, by: f.me})
		made.shares = true
		terms.Next = fresh.dueIn()
		return records.Put(fresh.encode())
	})
	told()
	switch {
	case ctx.Err() != nil && made == nil:
		return nil, nil, oauth.Ended(ctx, "device authorization")
	case made != nil:
		if err != nil {
			a.Failed(err)
			made.unwritten = true
		}
		return made, nil, nil
	case found != nil:
		return nil, found, nil
	case errors.Is(failed, ErrElsewhere): // whether or not the store could be told that nothing is to be written
		return nil, nil, failed
	case errors.Is(failed, errForeign), err != nil:
		a.Failed(cmpErr(failed, err))
		begun, err = f.apart(ctx, a)
		return begun, nil, err
	case slow: // a server that takes longer than a record may be locked
		begun, err = f.apart(ctx, a)
		return begun, nil, err
	}
	return nil, nil, failed
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
