package lazyauth

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/bars"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// lookEvery is how often a process looks in the store for grants that others have ended, and for
// persons whom they have barred. The documentation says "within half a minute".
const lookEvery = 20 * time.Second

// persons are who may have grants, and what must not be used any more: it lets flights begin and
// end, and follows what other processes do.
type persons struct {
	book     *bars.Book
	keeper   *grants.Keeper // set before any use
	server   *grants.AuthorizationServer
	standIns *standIns
	identity func(bars.Person) (bars.Person, error)         // by which the connect page knows people; nil: by their own names
	failed   func(context.Context, grants.Principal, error) // of the store
	ended    func(context.Context, grants.Principal, *grants.Grant, error)

	mu     sync.Mutex
	timer  *time.Timer // until the next look; nil while there is nobody to look for
	closed bool
}

func personOfPrincipal(who grants.Principal) bars.Person {
	return bars.Person{Issuer: who.Issuer, Subject: who.Subject}
}

// restored returns why a stored grant must not be used.
func (p *persons) restored(ctx context.Context, who grants.Principal) error {
	if who.IsLocal() {
		return nil
	}
	p.wake()
	bar, err := p.book.Of(ctx, personOfPrincipal(who))
	if err == nil && bar != nil {
		err = &bars.Barred{Bar: *bar}
	}
	return err
}

// guards returns ways that let nobody in who is barred: neither before they begin, nor when a token
// has come.
func (p *persons) guards(ways []grants.Way) []grants.Way {
	guarded := make([]grants.Way, len(ways))
	for n, way := range ways {
		guarded[n] = guardedWay{way, p}
	}
	return guarded
}

type guardedWay struct {
	grants.Way
	persons *persons
}

// Begin implements [grants.Way].
func (w guardedWay) Begin(ctx context.Context, a grants.Asked) (grants.Authorization, error) {
	if a.Who.IsLocal() {
		return w.Way.Begin(ctx, a)
	}
	w.persons.wake()
	person := personOfPrincipal(a.Who)
	pass, err := w.persons.book.Admit(ctx, person, a.Who.Account)
	if err != nil {
		return nil, err
	}
	// Of a sign-in that outlives its process, too, whoever ends the person's grants has to know for which account it is.
	if err := w.persons.book.Begin(ctx, person, a.Who.Account); err != nil {
		w.persons.failed(ctx, a.Who, err)
	}
	authorization, err := w.Way.Begin(ctx, a)
	if err != nil {
		return nil, err
	}
	return guardedAuthorization{authorization, w.persons, pass, a.Who}, nil
}

type guardedAuthorization struct {
	grants.Authorization
	persons *persons
	pass    *bars.Pass
	who     grants.Principal
}

// Start implements [grants.Authorization]. A token that nobody may have is ended.
func (a guardedAuthorization) Start(ctx context.Context, heard grants.Heard, done func(*oauth.Token, error)) {
	a.Authorization.Start(ctx, heard, func(token *oauth.Token, err error) {
		if err == nil {
			token, err = a.admit(ctx, token)
		}
		done(token, err)
	})
}

// admit returns a token that the person may still have.
func (a guardedAuthorization) admit(ctx context.Context, token *oauth.Token) (*oauth.Token, error) {
	if err := a.pass.Still(ctx); err != nil {
		p := a.persons
		p.keeper.Spawn("a revocation", func() { _ = p.server.RevokeToken(p.keeper.Context(), token) })
		return nil, err
	}
	// Before the grant is stored, so that there is none that is not found.
	if err := a.persons.note(ctx, a.who); err != nil {
		a.persons.failed(ctx, a.who, err)
	}
	return token, nil
}

// End implements [grants.Authorization]. By now what has come of it is stored: whoever ends the person's grants
// from now on finds it there, and of whoever has done so meanwhile the book tells.
func (a guardedAuthorization) End(ctx context.Context, o grants.Outcome) {
	if o.Err == nil {
		if err := a.pass.Still(ctx); isBarred(err) || errors.Is(err, bars.ErrEnded) {
			owner := a.persons.keeper.Owner(a.who)
			o.Err = err
			had := grants.End(owner, err)
			if had != nil {
				a.persons.ended(ctx, a.who, had, err)
			}
			if err := grants.ForgetEnded(ctx, owner, had); err != nil && !IsJustNotRevoked(err) {
				a.persons.failed(ctx, a.who, err)
			}
		}
	}
	a.Authorization.End(ctx, o)
}

// note notes what it takes to find the grant that who has from now on.
func (p *persons) note(ctx context.Context, who grants.Principal) error {
	person := personOfPrincipal(who)
	err := p.book.Note(ctx, person, who.Account)
	if p.identity == nil {
		return err
	}
	identity, unknown := p.identity(person)
	if unknown != nil { // the page knows nobody by that name, to whom it could show anything
		return err
	}
	return errors.Join(err, p.book.Name(ctx, identity, person))
}

// guard returns a way to a token without a person that gives nobody one who is barred.
func (p *persons) guard(token tokenOf) tokenOf {
	return func(ctx context.Context, caller Caller, want scopes.Set) (*oauth.Token, error) {
		if err := p.restored(ctx, grants.Principal(caller.Principal)); err != nil {
			return nil, err
		}
		return token(ctx, caller, want)
	}
}

// wake has the store looked at from time to time, as long as somebody has something here.
func (p *persons) wake() { p.wakeIn(lookEvery) }

func (p *persons) wakeIn(wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer == nil && !p.closed {
		p.timer = time.AfterFunc(wait, func() { p.keeper.Spawn("looking for grants that were ended elsewhere", p.look) })
	}
}

// look gives up what others have ended.
func (p *persons) look() {
	ctx, began := p.keeper.Context(), time.Now()
	p.mu.Lock()
	p.timer = nil
	p.mu.Unlock()
	concerns, err := p.book.News(ctx)
	if err != nil && ctx.Err() == nil {
		p.failed(ctx, grants.Principal{}, err)
	}
	left := err != nil
	for o := range p.keeper.Owners {
		who := o.Who()
		if who.IsLocal() || o.Grant() == nil && !o.IsBeingAsked() {
			continue
		}
		left = true
		if concerns == nil || !concerns(personOfPrincipal(who), who.Account) {
			continue
		}
		p.recheck(ctx, o)
	}
	if p.standIns.recheck(ctx, concerns, p.restored) || left {
		p.wakeIn(max(time.Second, lookEvery-time.Since(began))) // however long this one took
	}
}

// recheck gives up o's grant if its person is barred by now, or the store has it no more.
func (p *persons) recheck(ctx context.Context, o *grants.Owner) {
	err := p.restored(ctx, o.Who())
	if barred, ok := errors.AsType[*bars.Barred](err); ok {
		grants.End(o, barred)
		return
	}
	if err == nil {
		err = grants.Recheck(ctx, o)
	}
	if err != nil && ctx.Err() == nil {
		p.failed(ctx, o.Who(), err)
	}
}

// close ends the looks.
func (p *persons) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
}

// endHere ends what a person has and begins in this process, for the reason err. What they had, by
// account, is not revoked.
func (p *persons) endHere(person grants.Principal, err error) (had map[string]*grants.Grant) {
	had = make(map[string]*grants.Grant)
	for o := range p.keeper.Owners {
		if o.Who().Person() == person {
			had[o.Who().Account] = grants.End(o, err)
		}
	}
	p.standIns.forgetPerson(person)
	return had
}

func isBarred(err error) bool {
	_, ok := errors.AsType[*bars.Barred](err)
	return ok
}

// barred is the text of an error of somebody who is barred.
func (e *Error) barred() string {
	until := ""
	if b, ok := errors.AsType[*bars.Barred](e.Cause); ok && !b.Until.IsZero() {
		until = fmt.Sprintf(" until %s", b.Until.UTC().Format("2006-01-02 15:04 MST"))
	}
	return fmt.Sprintf("This server's operator has ended the user's access to %s through it, and nobody can sign in for them%s. Nothing was done, and calling again will not change that; the user can ask the operator.", e.service, until)
}
