package connect

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What a [Granting] can say; compare with errors.Is. Any other error says that it is not known what came of it.
var (
	// ErrNoGrant: there is no such grant.
	ErrNoGrant = errors.New("connect: there is no such grant")
	// ErrNotRevoked: the grant has ended here, and the server has not said that it ended the tokens.
	ErrNotRevoked = errors.New("connect: the tokens were not revoked")
	// ErrNoRevocation is an ErrNotRevoked of a server that revokes nothing.
	ErrNoRevocation = errors.New("connect: the server revokes no tokens")
	// ErrBarred: the person may have no grant.
	ErrBarred = errors.New("connect: the person may have no grant")
)

// An Asker is who asks for what they have granted.
type Asker struct {
	Who, Identity Person // the same without a [Config].Map
	// Is reports whether a person has this identity; nil: whoever Who is, exactly.
	Is func(Person) bool
}

// A Granted is a grant, as its person is shown it. It has no secret.
type Granted struct {
	Person  Person // whose it is, by the name that their calls have
	Account string // which of theirs; empty: the one without a name

	Signed  string   // who signed in at the service: what that says; empty if it is not known
	Access  []string // in words
	Hosts   []string // what the programs call themselves through which it was asked for: anybody's text
	Since   time.Time
	Renewed time.Time
	Expires time.Time // of what is in hand; zero if it does not end
	// Renewable is whether it is renewed at that end, without the person.
	Renewable bool
	// Unasked: nobody was asked, and it is got again.
	Unasked bool
}

// A Granting is a service with people's grants. Its methods are safe for concurrent use, and return in a bounded
// time after the end of their context.
type Granting interface {
	// Service is what people call it, and ID what tells it from others of the page, the same each time.
	Service() string
	ID() string
	// Key is shared by all processes that the page's requests may come to; nil: there is one. Names and forms of one are
	// good in the others.
	Key() []byte
	// GrantsOf returns a person's grants. Beside an error it has those that could be read.
	GrantsOf(context.Context, Asker) ([]Granted, error)
	// End ends a grant; [ErrNotRevoked].
	End(context.Context, Granted) error
	// EndAll ends all that a person has, and the sign-ins that are under way; [ErrNotRevoked].
	EndAll(context.Context, Asker) error
	// Again begins a sign-in that takes the place of a grant. It returns a link of the page's, or, with a code, where
	// that is to be entered; [ErrNoGrant], [ErrBarred], [ErrBusy].
	Again(context.Context, Granted) (link, code string, err error)
}

// Show has the page show the grants of a service, until the function that it returns is called.
func (p *Page) Show(g Granting) (stop func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := &granting{g}
	p.grantings = append(p.grantings, one)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.grantings = slices.DeleteFunc(p.grantings, func(other *granting) bool { return other == one })
	}
}

// all returns what the page shows the grants of.
func (p *Page) all() []*granting {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.grantings)
}

// A granting is one that is shown: what is compared is the address.
type granting struct{ Granting }

// Identity returns what a person is compared by.
func (p *Page) Identity(who Person) (Person, error) { return p.identity(who) }

// IsMapped reports whether people are compared by something else than their issuers and subjects.
func (p *Page) IsMapped() bool { return p.config.Map != nil }

func (p *Page) asker(who, identity Person) Asker {
	a := Asker{Who: who, Identity: identity}
	if p.config.Map != nil {
		a.Is = func(other Person) bool {
			found, err := p.identity(other)
			return err == nil && found == identity
		}
	}
	return a
}

// A mine is a grant of the person who sits at the browser.
type mine struct {
	Granted
	at      Granting
	Service string
	Name    string // which stands in addresses

	Label, As string   // Account and Signed, as they are shown
	Asked     []string // Hosts, likewise
}

// mineOf returns what a person has granted, by service and account. Beside an error it has what could be read.
func (p *Page) mineOf(ctx context.Context, a Asker) (all []mine, err error) {
	sealer := p.sealerOfMine()
	for _, g := range p.all() {
		found, failed := g.GrantsOf(ctx, a)
		err = errors.Join(err, failed)
		for _, one := range found {
			m := mine{
				Granted: one, at: g.Granting, Service: g.Service(), Name: sealer.name(g.ID(), one.Person.Issuer, one.Person.Subject, one.Account),
				Label: showable(one.Account, mostName), As: one.Signed,
			}
			if m.As != "" {
				m.As = showable(m.As, mostName)
			}
			for _, host := range one.Hosts {
				m.Asked = append(m.Asked, showable(host, mostHost))
			}
			all = append(all, m)
		}
	}
	slices.SortStableFunc(all, func(a, b mine) int {
		if a.Service != b.Service {
			return strings.Compare(a.Service, b.Service)
		}
		return strings.Compare(a.Account, b.Account)
	})
	return all, err
}

// sealerOfMine returns what makes the names of grants, and the tokens of their forms: one of all processes, if all
// services say that there are several.
func (p *Page) sealerOfMine() sealer {
	grantings := p.all()
	slices.SortFunc(grantings, func(a, b *granting) int { return strings.Compare(a.ID(), b.ID()) })
	var keys []byte
	for _, g := range grantings {
		key := g.Key()
		if len(key) == 0 {
			return p.sealer
		}
		keys = append(strconv.AppendQuote(keys, g.ID()), key...)
	}
	if keys == nil {
		return p.sealer
	}
	return sealerWith(p.config.PublicURL, keys)
}

// name returns what stands for these texts in an address, which tells nobody what they are.
func (s sealer) name(texts ...string) string {
	mac := hmac.New(sha256.New, s.names)
	for _, text := range texts {
		mac.Write(strconv.AppendQuote(nil, text))
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))[:codeLength]
}
