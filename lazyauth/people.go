package lazyauth

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
)

// GrantsOf returns what a person has granted, with all of their accounts, in the order of the
// accounts' names; Account of person is not looked at. It is what a page "my grants" shows, for the
// person who is signed in there. It asks nobody and refreshes nothing, and, but for the local user,
// does not look at the grants of others: it finds the accounts by a record of the person's.
//
// Beside an error it returns those that could be read. What was got without the person
// ([Options].Unattended) is there as long as it is in memory.
func (i *Interceptor) GrantsOf(ctx context.Context, person Principal) ([]Status, error) {
	accounts, err := personsAccounts(ctx, i, person)
	return statuses(ctx, i, person, accounts, err)
}

func statuses(ctx context.Context, i *Interceptor, person Principal, accounts []string, err error) ([]Status, error) {
	var all []Status
	for _, account := range accounts {
		person.Account = account
		s, failed := i.Status(ctx, person)
		switch {
		case failed == nil:
			all = append(all, *s)
		case !errors.Is(failed, ErrNoGrant):
			err = errors.Join(err, failed)
		}
	}
	return all, err
}

// personsAccounts returns the accounts of a person that may have grants, in order.
func personsAccounts(ctx context.Context, i *Interceptor, person Principal) ([]string, error) {
	if person.IsLocal() {
		return accountsByScan(ctx, i, person)
	}
	noted, more, err := i.persons.book.Accounts(ctx, personOfPrincipal(grants.Principal(person)))
	if more {
		return accountsByScan(ctx, i, person)
	}
	accounts := append([]string{""}, noted...)
	for o := range i.keeper.Owners {
		if who := o.Who(); who.Issuer == person.Issuer && who.Subject == person.Subject {
			accounts = append(accounts, who.Account)
		}
	}
	slices.Sort(accounts)
	return slices.Compact(accounts), err
}

// accountsByScan is personsAccounts by the keys of the store, by all of them if it does not tell persons
// apart; it finds records of programs that noted no accounts, too. The keys of sign-ins do not say whose they are, so
// that the accounts that were noted are among these, too.
func accountsByScan(ctx context.Context, i *Interceptor, person Principal) ([]string, error) {
	all, err := accountsBy(ctx, i, keysOf(person))
	accounts := []string{""}
	if !person.IsLocal() {
		noted, _, failed := i.persons.book.Accounts(ctx, personOfPrincipal(grants.Principal(person)))
		accounts, err = append(accounts, noted...), errors.Join(err, failed)
	}
	for _, who := range all {
		if who.Issuer == person.Issuer && who.Subject == person.Subject {
			accounts = append(accounts, who.Account)
		}
	}
	slices.Sort(accounts)
	return slices.Compact(accounts), err
}

// RevokeAll is [Interceptor.Revoke] for all accounts of a person, and ends the sign-ins that are
// under way for them. Account of person is not looked at.
func (i *Interceptor) RevokeAll(ctx context.Context, person Principal) error {
	accounts, err := personsAccounts(ctx, i, person)
	_, failed := endAll(ctx, i, person, accounts, grants.ErrLoggedOut, ender{by: ByPerson})
	return errors.Join(err, failed)
}

// endAll ends these accounts of a person, and whatever else of theirs is in this process, whose
// waiting callers get this error. It returns how many grants there were.
func endAll(ctx context.Context, i *Interceptor, person Principal, accounts []string, why error, by ender) (n int, err error) {
	person.Account = ""
	p := grants.Principal(person)
	had, looked := statuses(ctx, i, person, accounts, nil) // before they are gone
	here := i.persons.endHere(p, why)
	if !person.IsLocal() { // for what ends with a grant just now
		err = i.persons.book.Ended(ctx, personOfPrincipal(p), "", true)
	}
	accounts = slices.AppendSeq(accounts, maps.Keys(here))
	slices.Sort(accounts)
	for _, account := range slices.Compact(accounts) {
		who := person
		who.Account = account
		err = errors.Join(err, grants.ForgetEnded(ctx, i.keeper.Owner(grants.Principal(who)), here[account]))
		i.observer.changes.note(grants.Principal(who))
	}
	if !person.IsLocal() {
		err = errors.Join(err, i.persons.book.Ended(ctx, personOfPrincipal(p), "", true))
	}
	for _, s := range had {
		i.observer.audit.ended(ctx, s, by)
	}
	_ = looked // what could not be read was told by Forget
	return len(had), err
}
