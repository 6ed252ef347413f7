package lazyauth

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"slices"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/bars"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/connect"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
)

// shown is what a connect page shows of an interceptor's grants.
type shown struct {
	i   *Interceptor
	key []byte
}

// showOn has a page, which may be nil, show the grants of i, until hide is called. The keys are
// Options.StateKeys, which processes share.
func showOn(page *ConnectPage, i *Interceptor, keys [][]byte) (hide func()) {
	if page == nil {
		return func() {}
	}
	if page.page.IsMapped() {
		i.persons.identity = func(p bars.Person) (bars.Person, error) {
			identity, err := page.page.Identity(connect.Person(p))
			return bars.Person(identity), err
		}
	}
	s := shown{i: i}
	if len(keys) > 0 {
		var err error
		if s.key, err = hkdf.Key(sha256.New, keys[0], nil, "lazyauth my grants 1", sha256.Size); err != nil {
			panic("lazyauth: " + err.Error()) // the length is right
		}
	}
	return page.page.Show(s)
}

// Key implements [connect.Granting].
func (s shown) Key() []byte { return s.key }

// String keeps the key out of everything.
func (s shown) String() string { return "grants of " + s.i.service.Name }

// GoString keeps the key out of %#v.
func (s shown) GoString() string { return s.String() }

// Service implements [connect.Granting].
func (s shown) Service() string { return s.i.service.Name }

// ID implements [connect.Granting].
func (s shown) ID() string { return s.i.service.bookName() }

// names returns the persons that somebody at a browser is to calls: one, unless the page maps people. Then it is
// those who were noted at their sign-ins, and who have something in this process, as far as the page maps them to
// the same identity now.
func (s shown) names(ctx context.Context, a connect.Asker) ([]Principal, error) {
	if a.Is == nil {
		return []Principal{{Issuer: a.Who.Issuer, Subject: a.Who.Subject}}, nil
	}
	noted, err := s.i.persons.book.Named(ctx, bars.Person(a.Identity))
	candidates := []connect.Person{a.Who, a.Identity}
	for _, p := range noted {
		candidates = append(candidates, connect.Person(p))
	}
	if s.i.options.Store == nil {
		for o := range s.i.keeper.Owners {
			if who := o.Who(); o.Grant() != nil || o.IsBeingAsked() {
				candidates = append(candidates, connect.Person{Issuer: who.Issuer, Subject: who.Subject})
			}
		}
	}
	var all []Principal
	for _, c := range candidates {
		p := Principal{Issuer: c.Issuer, Subject: c.Subject}
		if !p.IsLocal() && !slices.Contains(all, p) && a.Is(c) {
			all = append(all, p)
		}
	}
	return all, err
}

// GrantsOf implements [connect.Granting].
func (s shown) GrantsOf(ctx context.Context, a connect.Asker) (all []connect.Granted, err error) {
	people, err := s.names(ctx, a)
	for _, person := range people {
		accounts, failed := personsAccounts(ctx, s.i, person)
		err = errors.Join(err, failed)
		for _, account := range accounts {
			who := person
			who.Account = account
			g, failed := lookedUp(ctx, s.i, who)
			if failed != nil {
				err = errors.Join(err, failed)
			} else if g != nil {
				all = append(all, s.granted(who, g))
			}
		}
	}
	return all, err
}

func (s shown) granted(who Principal, g *grants.Grant) connect.Granted {
	identity := Identity(g.Identity())
	known := g.Known() // and not all that the server says: its names for what nobody asked for are text of its choice
	access := s.i.service.inWords(known)
	if access == nil {
		access = slices.Collect(known.All())
	}
	signed := identity.Name
	if signed == "" {
		signed = identity.Subject
	}
	return connect.Granted{
		Person: connect.Person{Issuer: who.Issuer, Subject: who.Subject}, Account: who.Account, Signed: signed, Access: access, Hosts: g.Hosts(),
		Since: g.Since(), Renewed: g.Renewed(), Expires: g.Token().Expiry, Renewable: g.Renewable(), Unasked: g.Source() != "",
	}
}

func principalOf(g connect.Granted) Principal {
	return Principal{Issuer: g.Person.Issuer, Subject: g.Person.Subject, Account: g.Account}
}

// End implements [connect.Granting].
func (s shown) End(ctx context.Context, g connect.Granted) error {
	return pageError(s.i.Revoke(ctx, principalOf(g)))
}

// EndAll implements [connect.Granting].
func (s shown) EndAll(ctx context.Context, a connect.Asker) error {
	people, err := s.names(ctx, a)
	for _, person := range people {
		err = errors.Join(err, s.i.RevokeAll(ctx, person))
	}
	return pageError(err)
}

// pageError says of an end what a page can say of it.
func pageError(err error) error {
	switch just, never := grants.IsJustNotRevoked(err); {
	case never:
		return errors.Join(connect.ErrNotRevoked, connect.ErrNoRevocation)
	case just:
		return connect.ErrNotRevoked
	}
	return err
}

// errHanded ends the wait of a page for a sign-in that it has the link of.
var errHanded = errors.New("lazyauth: the page has the link")

// Again implements [connect.Granting].
func (s shown) Again(ctx context.Context, g connect.Granted) (link, code string, err error) {
	who := principalOf(g)
	if err := s.i.mayAsk(who); err != nil {
		return "", "", err
	}
	p := s.i.personOf(who)
	p.Forgive() // a person is there who wants to be asked
	err = asking.SignInAgain(ctx, p, &programHost{show: func(_ context.Context, prompt elicit.Prompt) error {
		link, code = prompt.VerificationURI, prompt.UserCode
		return errHanded
	}})
	switch {
	case errors.Is(err, errHanded):
		return link, code, nil
	case errors.Is(err, grants.ErrNoGrant):
		return "", "", connect.ErrNoGrant
	case isBarred(err):
		return "", "", connect.ErrBarred
	case errors.Is(err, grants.ErrManySignIns):
		return "", "", connect.ErrBusy
	case err == nil: // it was done before it could be shown
		err = errHanded
	}
	return "", "", s.i.explain(err, p, nil, nil)
}
