package lazyauth

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/bars"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// An Operator acts on other people's grants. Nothing here asks whether they may: it is for programs
// that have made sure of that, such as a command that runs where the store is. A person is a
// [Principal] whose account is not looked at, by the name that their calls have: whoever has several, of which
// [ConnectOptions].Map makes one person, is several here. See docs/operators.md.
type Operator struct {
	i    *Interceptor
	name string
}

// ErrLocalUser means that something is for other persons than the local user, who runs the program
// and could undo it.
var ErrLocalUser = errors.New("lazyauth: the local user runs this program and cannot be barred from it")

// NewOperator returns an operator of the interceptor's service, of this name, which bars and audits
// have: of a bar at most 256 bytes of it.
func NewOperator(i *Interceptor, name string) *Operator { return &Operator{i, name} }

func (o *Operator) by() ender { return ender{by: ByOperator, operator: o.name} }

// Grants is [Interceptor.GrantsOf], by all keys of the store: slow where there are many, and it
// finds what an earlier version of this library has stored, too.
func (o *Operator) Grants(ctx context.Context, person Principal) ([]Status, error) {
	accounts, err := accountsByScan(ctx, o.i, person)
	return statuses(ctx, o.i, person, accounts, err)
}

// End is [Interceptor.Revoke], by the operator.
func (o *Operator) End(ctx context.Context, who Principal) error {
	return endOne(ctx, o.i, who, o.by())
}

// EndAll is [Interceptor.RevokeAll], by the operator. It returns how many grants there were.
func (o *Operator) EndAll(ctx context.Context, person Principal) (int, error) {
	accounts, err := accountsByScan(ctx, o.i, person)
	n, failed := endAll(ctx, o.i, person, accounts, grants.ErrLoggedOut, o.by())
	return n, errors.Join(err, failed)
}

// A Bar says that a person may have no grant.
type Bar struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until,omitzero"` // zero: until it is lifted
	By    string    `json:"by,omitempty"`   // the operator; empty if that was erased
}

// Bar bars a person until then, or, if that is zero, until [Operator.Lift], and then ends all that
// they have, of which it returns how much there was. Calls of theirs that wait fail with
// [ReasonBarred] at once, as do later ones; no sign-in, refresh or stored grant gives them access
// again. Calls under way may go on with a token that they have in hand, if it could not be revoked.
//
// Other processes that share the store follow within half a minute, and at once where they begin
// something. An error for which [IsJustNotRevoked] is false says that they may not: do it again. In this
// process the bar is in force whatever the error.
func (o *Operator) Bar(ctx context.Context, person Principal, until time.Time) (int, error) {
	if person.IsLocal() {
		return 0, ErrLocalUser
	}
	bar := bars.Bar{Since: time.Now(), Until: until, By: o.name}
	err := o.i.persons.book.Bar(ctx, personOfPrincipal(grants.Principal(person)), bar)
	accounts, unlisted := accountsByScan(ctx, o.i, person)
	switch {
	case err != nil:
		err = errors.Join(errNotBarredElsewhere, err)
	case errors.Is(unlisted, store.ErrWrongKey): // the bar is written, for whoever has this key: not for the servers
		err = errNotBarredElsewhere
	default:
		o.i.observer.audit.about(ctx, AuditBarred, person, o.by())
	}
	n, failed := endAll(ctx, o.i, person, accounts, &bars.Barred{Bar: bar}, o.by())
	return n, errors.Join(err, unlisted, failed)
}

var errNotBarredElsewhere = errors.New("lazyauth: the store did not take the bar, which is in force in this process alone: bar the person again")

// Lift ends the bar of a person, and reports whether there was one. What was ended stays ended: the
// person is asked anew.
func (o *Operator) Lift(ctx context.Context, person Principal) (bool, error) {
	was, err := o.i.persons.book.Lift(ctx, personOfPrincipal(grants.Principal(person)))
	if was && err == nil {
		o.i.observer.audit.about(ctx, AuditLifted, person, o.by())
	}
	return was, err
}

// Barred returns the bar of a person that is in force; nil if there is none.
func (o *Operator) Barred(ctx context.Context, person Principal) (*Bar, error) {
	bar, err := o.i.persons.book.Of(ctx, personOfPrincipal(grants.Principal(person)))
	if bar == nil || err != nil {
		return nil, err
	}
	return (*Bar)(bar), nil
}

// A BarredPerson is one of those who are barred. Its issuer and subject are empty if the person was
// erased.
type BarredPerson struct {
	Issuer  string `json:"issuer,omitempty"`
	Subject string `json:"subject,omitempty"`
	Bar
}

// Bars returns who is barred, by all keys of the store. Without a store it returns nobody.
func (o *Operator) Bars(ctx context.Context) ([]BarredPerson, error) {
	all, err := o.i.persons.book.All(ctx)
	list := make([]BarredPerson, 0, len(all))
	for _, one := range all {
		list = append(list, BarredPerson{one.Issuer, one.Subject, Bar(one.Bar)})
	}
	return list, err
}

// Remains says what [Operator.Erase] does not reach.
var Remains = []string{
	"logs and audit entries that name the person, wherever they were written to",
	"backups of the store",
	"what the provider of the service keeps, such as the consent and its own logs",
	"if the person is barred: a hash of who they are, since when and until when",
}

// Erase ends all grants of a person and deletes every record of them from the store. It returns how
// many grants there were. Of a bar a hash of the person is left, which bars them still; lift it
// before, to leave nothing. See [Remains]. An error for which [IsJustNotRevoked] is false says that
// something may be left: do it again.
func (o *Operator) Erase(ctx context.Context, person Principal) (int, error) {
	n, err := o.EndAll(ctx, person)
	err = errors.Join(err, o.i.persons.book.Forget(ctx, personOfPrincipal(grants.Principal(person))))
	if err == nil || IsJustNotRevoked(err) {
		o.i.observer.audit.about(ctx, AuditErased, person, o.by())
	}
	return n, err
}

// An Export is what is kept of a person, as JSON. It has no secret: no token, and no code.
type Export struct {
	Service string          `json:"service"`
	Issuer  string          `json:"issuer,omitempty"`
	Subject string          `json:"subject,omitempty"`
	At      time.Time       `json:"at"`
	Grants  []ExportedGrant `json:"grants"`
	Bar     *Bar            `json:"bar,omitempty"`
	Remains []string        `json:"not_included"`
}

// underway is what an [Export] does not tell, and [Operator.Erase] deletes.
const underway = "sign-ins under way, and what the person has declined of late"

// An ExportedGrant is a [Status] as JSON.
type ExportedGrant struct {
	ID        string    `json:"id,omitempty"`
	Account   string    `json:"account,omitempty"`
	Identity  Identity  `json:"identity,omitzero"`
	Scopes    []string  `json:"scopes"`
	Since     time.Time `json:"since,omitzero"`
	Renewed   time.Time `json:"renewed,omitzero"`
	Expires   time.Time `json:"expires,omitzero"`
	Renewable bool      `json:"renewable"`
	Hosts     []string  `json:"asked_for_by,omitempty"` // what they call themselves
}

// Export returns what is kept of a person. Beside an error it has what could be read.
func (o *Operator) Export(ctx context.Context, person Principal) (*Export, error) {
	all, err := o.Grants(ctx, person)
	bar, failed := o.Barred(ctx, person)
	e := &Export{
		Service: o.i.service.Name, Issuer: person.Issuer, Subject: person.Subject, At: time.Now().UTC(),
		Grants: make([]ExportedGrant, 0, len(all)), Bar: bar, Remains: append(slices.Clone(Remains[:3]), underway),
	}
	for _, s := range all {
		e.Grants = append(e.Grants, ExportedGrant{
			ID: s.ID, Account: s.Principal.Account, Identity: s.Identity, Scopes: slices.AppendSeq([]string{}, s.Scopes.All()),
			Since: s.Since, Renewed: s.Renewed, Expires: s.Expires, Renewable: s.Renewable, Hosts: s.Hosts,
		})
	}
	o.i.observer.audit.about(ctx, AuditExported, person, o.by())
	return e, errors.Join(err, failed)
}
