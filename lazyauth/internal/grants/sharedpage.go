package grants

import (
	"context"
	"errors"
	"sync"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/connect"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/pending"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/schedule"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// SharedPages are the sign-ins by the connect page of processes that forward browsers' requests to each other. A link is one
// process's at a time: others whose calls need the same sign-in show the same link, and one of them has it once that
// process answers no more.
type SharedPages struct {
	Flights  *pending.Flights
	Key      func(Principal) string
	Schedule *schedule.Schedule
	Failed   func(context.Context, Principal, error) // of the store

	Me      string                                                  // names this process
	Reached func(context.Context) bool                              // whether others can forward to this one
	Answers func(ctx context.Context, process string) (bool, error) // whether another one can be forwarded to
}

// opensPage opens a link, again if that is not nil.
type opensPage func(ctx context.Context, again *connect.Again, want func(context.Context) scopes.Set) (pageAuthorization, error)

// begin joins the sign-in of another process, goes on with one that had been, or begins one.
func (s *SharedPages) begin(ctx context.Context, a Asked, client *oauth.Client, page *connect.Page, open opensPage) (Authorization, error) {
	asked := pending.AskedPage{
		Key: s.Key(a.Who), Server: client, Me: s.Me, Turns: connect.MostTurns, Answers: s.Answers, Joins: a.Joins,
		Brought: a.Brought, Schedule: s.Schedule,
		Failed: func(err error) { s.Failed(context.WithoutCancel(ctx), a.Who, err) },
	}
	if asked.Joins == nil {
		asked.Joins = func(scopes.Set) bool { return true }
	}
	shared := &sharedPage{at: page, open: open, share: a.Share}
	if found := s.Flights.FindPage(ctx, asked); found != nil {
		shared.shared = found
		if !found.IsMine() {
			return shared, nil
		}
		if err := shared.take(ctx); !errors.Is(err, connect.ErrEnded) {
			return shared, err
		}
	}
	if a.Arrived != nil && a.Arrived(ctx) {
		return nil, pending.ErrElsewhere
	}
	var want scopes.Set
	wants := a.Want
	a.Want = func(ctx context.Context) scopes.Set {
		want = wants(ctx)
		return want
	}
	mine, err := openShared(ctx, a, open)
	if err != nil {
		return nil, err
	}
	shared.shared = s.Flights.KeepPage(ctx, asked, mine.Code(), want, mine.Expires(), a.Share.Place())
	if shared.shared.IsMine() {
		shared.mine, shared.shares = &mine, true
	} else { // another process was first
		mine.Finish(connect.Outcome{Failed: true})
		a.Share.End(ctx, false)
	}
	return shared, nil
}

// A sharedPage is a sign-in by the page of one process at a time.
type sharedPage struct {
	at     *connect.Page
	shared *pending.Page
	open   opensPage
	share  *pending.Share
	shares bool // it uses that; or else another process has a place for the link

	mu    sync.Mutex
	mine  *pageAuthorization // while it is this process's page
	shown elicit.Prompt
}

// take opens the link, which is this process's now. If it cannot be opened it is left to the next process: nobody answers
// for it here.
func (p *sharedPage) take(ctx context.Context) error {
	link := p.shared.Link()
	var mine pageAuthorization
	err := guard.ErrExited
	defer func() {
		if err != nil { // also if what was asked has ended the goroutine
			p.shared.Leave(ctx)
		}
	}()
	err = guard.Call("a sign-in", func() (err error) {
		mine, err = p.open(ctx, &connect.Again{Code: link.Code, Expires: link.Expires, Turn: link.Turn}, func(context.Context) scopes.Set { return link.Scopes })
		return err
	})
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	mine.Shows(p.shown)
	p.mine = &mine
	return nil
}

// Prompt implements [Authorization].
func (p *sharedPage) Prompt() elicit.Prompt {
	link := p.shared.Link()
	return elicit.Prompt{VerificationURI: p.at.Link(link.Code), Expires: link.Expires, Anywhere: true}
}

// Start implements [Authorization].
func (p *sharedPage) Start(ctx context.Context, heard Heard, done func(*oauth.Token, error)) {
	mine := p.own()
	if mine == nil {
		p.shared.Watch(ctx, func(err error) {
			guard.Then("a sign-in", func() error {
				if err != nil {
					return err
				}
				return p.take(ctx)
			}, func(err error) {
				if err != nil {
					done(nil, fromOthers(err))
					return
				}
				p.Start(ctx, heard, done)
			})
		})
		return
	}
	held, lose := context.WithCancelCause(ctx)
	p.shared.Hold(held, mine.HasCode, lose)
	mine.Start(held, heard, func(token *oauth.Token, err error) {
		lose(nil)
		if errors.Is(err, pending.ErrTaken) {
			p.mu.Lock()
			p.mine = nil
			p.mu.Unlock()
			mine.Finish(connect.Outcome{Failed: true})
			p.Start(ctx, heard, done)
			return
		}
		done(token, fromOthers(err))
	})
}

func (p *sharedPage) own() *pageAuthorization {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mine
}

// Shows implements [Authorization].
func (p *sharedPage) Shows(shown elicit.Prompt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown = shown; p.mine != nil {
		p.mine.Shows(shown)
	}
}

// Reached implements [Authorization]: what comes to another process there is no telling.
func (p *sharedPage) Reached() bool {
	mine := p.own()
	return mine == nil || mine.Reached()
}

// Moves implements [Authorization]: where the person goes, and comes back with, this process alone can read, until the next
// call has another one answer.
func (p *sharedPage) Moves() bool { return p.own() == nil }

// Passed implements [Authorization].
func (p *sharedPage) Passed() bool { return p.own() != nil }

// End implements [Authorization].
func (p *sharedPage) End(ctx context.Context, o Outcome) {
	mine, ended := p.own(), outcomeForOthers(o)
	if mine != nil {
		mine.End(ctx, o)
	}
	othersGoOn := p.shared.IsKept() && (ended.Closed || ended.Unwanted || mine == nil)
	switch {
	case p.shares:
		p.share.End(ctx, othersGoOn)
	case mine != nil && !othersGoOn:
		p.share.Give(ctx, p.shared.Link().Place)
	}
	if mine != nil {
		p.shared.End(ctx, ended)
	}
}
