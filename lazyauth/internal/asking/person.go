package asking

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// declineCoolDown is how long a person who declined is left alone. The errors and docs of
// package lazyauth call it a minute.
const declineCoolDown = time.Minute

// A Config says how people are asked.
type Config struct {
	Keeper  *grants.Keeper
	Service string // its name
	// Epoch is what Request.Arrived counts from.
	Epoch time.Time
	// MaxWait is how long after its arrival a request of its host may wait.
	MaxWait func(*mcp.CallToolRequest) time.Duration
	// ShowsProgress is whether the request's host is known to show progress messages.
	ShowsProgress func(*mcp.CallToolRequest) bool
	// Wording returns how prompts are put to the person behind a request; nil is good.
	Wording func(*mcp.CallToolRequest) elicit.Wording
	// OpensBrowser: the program opens links by itself, where a host does not.
	OpensBrowser bool
	// TextAfterDecline hands the prompt to the model of a host that declined it.
	TextAfterDecline bool
	Observer         Observer
	// MayAsk returns why a principal must not be asked, whatever asks; nil lets all be asked. It
	// is called with mutexes locked, and returns at once.
	MayAsk func(grants.Principal) error
	// Declined is told that a person has declined, through a program that calls itself so; nil tells
	// nobody. It returns at once.
	Declined func(who grants.Principal, program string)
}

// An Observer hears what people are asked. The contexts are for their values alone.
type Observer interface {
	// Prompted: the prompt goes out now, by a channel, or to a "caller".
	Prompted(ctx context.Context, f *grants.Flight, channel string)
	// Declined: a host declined the prompt that it was shown by a channel.
	Declined(ctx context.Context, f *grants.Flight, channel string)
}

// People are those whose grants a keeper keeps.
type People struct {
	config Config
	local  *Person
}

// NewPeople returns the people of config.Keeper.
func NewPeople(config Config) *People {
	p := &People{config: config}
	p.local = newPerson(p, config.Keeper.Owner(grants.Principal{}))
	return p
}

// Person returns the person of that name, which there is one of.
func (p *People) Person(who grants.Principal) *Person {
	if who == (grants.Principal{}) {
		return p.local
	}
	return p.of(p.config.Keeper.Owner(who))
}

// of returns the person who o is; it is kept beside it.
func (p *People) of(o *grants.Owner) *Person {
	if o.Who() == (grants.Principal{}) {
		return p.local
	}
	return o.Beside(func() grants.Beside { return newPerson(p, o) }).(*Person) //nolint:forcetypeassert // nobody else keeps anything there
}

// Unattended returns a person who is never asked, since the owner's grants come from a source.
func (p *People) Unattended(o *grants.Owner) *Person { return newPerson(p, o) }

// ForgetDecline forgets that this person declined, with this account alone.
func (p *People) ForgetDecline(who grants.Principal) { p.Person(who).forgetDeclines() }

// ForgetDeclines forgets what a person declined, for all of their accounts: a person who wants
// to be asked after all names none.
func (p *People) ForgetDeclines(who grants.Principal) {
	p.Person(who).forgetDeclines()
	for o := range p.config.Keeper.Owners {
		if w := o.Who(); w.Issuer == who.Issuer && w.Subject == who.Subject {
			p.of(o).forgetDeclines()
		}
	}
}

func (p *People) now() time.Duration { return time.Since(p.config.Epoch) }

// A Person is an owner who can be asked.
type Person struct {
	*grants.Owner
	people  *People
	refusal error // of a caller who may use no grant: see Nobody

	mu       sync.Mutex
	declined map[Client]decline
	board    *board // of the flight that was followed last
}

// Rest implements [grants.Beside]: it forgets the declines that count no more, and the last
// flight, and reports whether nothing is left. No flight is under way.
func (p *Person) Rest() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.people.now()
	maps.DeleteFunc(p.declined, func(_ Client, d decline) bool { return now >= d.until })
	p.board = nil
	return len(p.declined) == 0
}

// A decline is one that is remembered.
type decline struct {
	until     time.Duration // since the epoch
	automatic bool          // it was the host's, and not the person's
}

func newPerson(p *People, o *grants.Owner) *Person {
	return &Person{Owner: o, people: p, declined: make(map[Client]decline)}
}

// Nobody returns a person who has no grant and gets none, for this reason.
func Nobody(refusal error) *Person { return &Person{Owner: new(grants.Owner), refusal: refusal} }

// QuotaKey is whose share of what is limited this person's calls count against: one for
// all accounts of a person, and one for all unknown callers.
func (p *Person) QuotaKey() grants.Principal {
	if p.refusal != nil {
		return grants.Principal{Issuer: "nobody"} // no principal has an issuer alone
	}
	return p.Who().Person()
}

// Obtain is [grants.Owner.Obtain] through a host. Besides the errors of that, it returns
// [*Pending], [*Declined], and what h.Show returned.
func (p *Person) Obtain(ctx context.Context, need scopes.Requirement, h Host) (*grants.Grant, error) {
	if p.refusal != nil {
		return nil, p.refusal
	}
	return p.Owner.Obtain(ctx, need, &asker{person: p, host: h})
}

// An asker is a host through which a person is asked, as package grants sees it.
type asker struct {
	person *Person
	host   Host
	weight int // once it was asked for
}

// Tool implements [grants.Asker].
func (a *asker) Tool() string { return a.host.Tool() }

// Weight implements [grants.Asker].
//
//go:noinline
func (a *asker) Weight() int {
	if a.weight == 0 {
		a.weight = WeightOf(a.host.Request().Call)
	}
	return a.weight
}

// Left implements [grants.Asker].
//
//go:noinline
func (a *asker) Left() time.Duration { return a.person.people.left(a.host.Request()) }

// Link implements [grants.Asker].
//
//go:noinline
func (a *asker) Link() grants.Link {
	switch r := a.host.Request(); {
	case r.Silent: // hosts will be shown it
		return grants.LinkShown
	case r.Call == nil:
		return grants.LinkHanded
	case r.Reach().Has(elicit.URL):
		return grants.LinkShown
	case a.person.people.config.OpensBrowser && a.person.Who().IsLocal():
		return grants.LinkOpened
	}
	return grants.LinkAsText
}

// MayAsk implements [grants.Asker]: a person who declined is not asked for a while, and no
// flight begins whose prompt could not be shown.
//
//go:noinline
func (a *asker) MayAsk(begins bool) error {
	p, c := a.person, a.host.Client()
	if may := p.people.config.MayAsk; may != nil {
		if err := may(p.Who()); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if earlier, ok := p.declined[c]; ok {
		if p.people.now() < earlier.until {
			return &Declined{Automatic: earlier.automatic}
		}
		delete(p.declined, c)
	}
	if begins {
		return a.host.MayBegin()
	}
	return nil
}

// Left is how much longer a call on this host can wait.
func (p *Person) Left(h Host) time.Duration { return p.people.left(h.Request()) }

// forgetDeclines forgets what the person declined, and what they were asked for in vain.
func (p *Person) forgetDeclines() {
	p.Forgive()
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.declined)
}
