package grants

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/connect"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/pending"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// beginOnPage begins an authorization of somebody who sits at another machine.
func (w *RedirectFlow) beginOnPage(ctx context.Context, a Asked, client *oauth.Client) (Authorization, error) {
	if w.Page == nil {
		return nil, ErrNotHere
	}
	if err := w.Offered(client.Endpoints()); err != nil {
		return nil, &oauth.Error{Op: "authorization", Kind: err}
	}
	request := connect.Request{
		Client: client, Issuer: w.Issuer, Name: cmp.Or(w.Config.Name, client.ClientID()), AssumePKCE: w.Config.InsecureAssumePKCE,
		Person: connect.Person{Issuer: a.Who.Issuer, Subject: a.Who.Subject}, Mark: w.Mark,
	}
	if w.Hint != nil {
		request.LoginHint, request.Prompt = w.Hint(a.Who)
	}
	open := func(ctx context.Context, again *connect.Again, want func(context.Context) scopes.Set) (pageAuthorization, error) {
		request.Again = again
		authorization, err := w.Page.Begin(ctx, request, want)
		switch {
		case errors.Is(err, connect.ErrBusy):
			err = ErrManySignIns
		case errors.Is(err, connect.ErrUnknown): // the author's mapping does not know who calls
			err = failure{ErrUnverified, err}
		}
		return pageAuthorization{authorization, w.Server, client, a.Program, a.CallersClient}, err
	}
	if w.Shared == nil || !w.Shared.Reached(ctx) {
		mine, err := openShared(ctx, a, open)
		if err != nil {
			return nil, err
		}
		return lonePage{mine, a.Share}, nil
	}
	return w.Shared.begin(ctx, a, client, w.Page, open)
}

// openShared opens a link with a's share.
func openShared(ctx context.Context, a Asked, open opensPage) (mine pageAuthorization, err error) {
	if err := a.Share.Take(ctx, connect.LinkLife); err != nil {
		return mine, err
	}
	began := false
	defer func() {
		if !began {
			a.Share.End(ctx, false)
		}
	}()
	if mine, err = open(ctx, nil, a.Want); err == nil {
		began = true
		a.Share.Lasts(ctx, time.Until(mine.Expires()))()
	}
	return mine, err
}

// A lonePage is one that no other process knows of.
type lonePage struct {
	pageAuthorization
	share *pending.Share
}

// End implements [Authorization].
func (p lonePage) End(ctx context.Context, o Outcome) {
	p.pageAuthorization.End(ctx, o)
	p.share.End(ctx, false)
}

// A pageAuthorization is one by way of the connect page.
type pageAuthorization struct {
	*connect.Authorization
	server  *AuthorizationServer
	as      *oauth.Client // who asked
	program string
	callers string // the client of its bearer token
}

// Prompt implements [Authorization].
func (a pageAuthorization) Prompt() elicit.Prompt {
	return elicit.Prompt{VerificationURI: a.Link(), Expires: a.Expires(), Anywhere: true}
}

// Shows implements [Authorization]: the page says what the prompt does, and what asks.
func (a pageAuthorization) Shows(p elicit.Prompt) {
	s := connect.Shown{Service: p.Service, Account: p.Account, Host: a.program, Client: a.callers}
	asked := inWords(slices.Collect(p.Scopes.All()), p.Access)
	n := 0
	for scope := range p.Scopes.All() {
		if !p.Held.Covers(scopes.Of(scope)) {
			s.New = append(s.New, asked[n])
		}
		n++
	}
	s.Held = inWords(slices.Collect(p.Held.All()), p.HeldAccess)
	a.Show(s)
}

// inWords returns words for scopes, one for each: those that are given, or else the scopes themselves.
func inWords(set, words []string) []string {
	if len(words) == len(set) {
		return words
	}
	return set
}

// Start implements [Authorization].
func (a pageAuthorization) Start(ctx context.Context, heard Heard, done func(*oauth.Token, error)) {
	await(func() (*oauth.Token, error) {
		token, err := a.Wait(ctx, heard.Redirected)
		a.server.judge(a.as, err)
		return token, err
	}, done)
}

// Moves implements [Authorization]: the browser comes back to this process.
func (pageAuthorization) Moves() bool { return false }

// Passed implements [Authorization]: the callback takes no code but from the browser, and the person, that passed
// the page.
func (pageAuthorization) Passed() bool { return true }

// End implements [Authorization].
func (a pageAuthorization) End(_ context.Context, o Outcome) {
	a.Finish(connect.Outcome{
		Account: cmp.Or(o.Who.Name, o.Who.Subject), Failed: o.Err != nil, ByAnother: o.Flow != redirectFlow,
	})
}
