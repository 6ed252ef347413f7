package lazyauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/bars"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/unattended"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A standIn is whose grant one call uses before its person is asked: one that is got without
// them. It is over, in this call, once the person is asked instead.
type standIn struct {
	person  *asking.Person // whose grants come from a source; of all calls with the same bearer token
	thenAsk bool
	over    atomic.Bool
}

// or returns whose grant a call of p's uses now.
func (s *standIn) or(p *asking.Person) *asking.Person {
	if s == nil || s.over.Load() {
		return p
	}
	return s.person
}

// obtain is p.Obtain, after the stand-in's.
//
//go:noinline
func (s *standIn) obtain(ctx context.Context, p *asking.Person, need scopes.Requirement, h asking.Host) (*grants.Grant, error) {
	if !s.over.Load() {
		g, err := s.person.Obtain(ctx, need, h)
		if err == nil || !isRefused(err) || !s.giveUp() {
			return g, err
		}
	}
	return p.Obtain(ctx, need, h)
}

// giveUp has the person asked from now on, if the author wants that, and reports whether.
func (s *standIn) giveUp() bool {
	if s != nil && s.thenAsk {
		s.over.Store(true)
	}
	return s != nil && s.thenAsk
}

// isRefused reports whether err is a word against the grant, and not one that it cannot be had
// at the moment.
func isRefused(err error) bool {
	if n, ok := errors.AsType[*grants.Narrowed](err); ok {
		return n.Drawn
	}
	return errors.Is(err, grants.ErrUnattended) &&
		(errors.Is(err, ErrNoGrant) || errors.Is(err, oauth.ErrRefused) || errors.Is(err, oauth.ErrInvalid) || errors.Is(err, oauth.ErrUnsupported))
}

const (
	// maxStandIns bounds how many are remembered at a time: those of the latest callers. One that is
	// forgotten costs another request to the authorization server.
	maxStandIns = 4096
)

// A standInKey is whose grants are kept apart: those of two principals, and those of two bearer
// tokens of one, of which one may be good for less.
type standInKey struct {
	who    grants.Principal
	way    *way
	bearer [sha256.Size]byte // a hash; zero where the grant is not the bearer token's
}

// The standIns of an interceptor's latest callers.
type standIns struct {
	ways   []*way // nil: there are none
	keeper *grants.Keeper
	people *asking.People
	table  *unattended.Table[standInKey, *asking.Person]
}

func newStandIns(ways []*way, keeper *grants.Keeper, people *asking.People) *standIns {
	return &standIns{ways, keeper, people, unattended.NewTable[standInKey, *asking.Person](maxStandIns)}
}

// callerOf returns who makes a call.
func callerOf(who Principal, req *mcp.CallToolRequest) Caller {
	caller := Caller{Principal: who}
	if req.Extra == nil || req.Extra.TokenInfo == nil {
		return caller // and what a header says then was verified by nobody
	}
	info := req.Extra.TokenInfo
	caller.Info, caller.Expires = info, info.Expiration
	caller.Issuer, _ = info.Extra["iss"].(string)
	// As the SDK's auth.RequireBearerToken reads it, without which there is no info.
	if fields := strings.Fields(req.Extra.Header.Get("Authorization")); len(fields) == 2 && strings.EqualFold(fields[0], "bearer") {
		caller.Bearer = fields[1]
	}
	return caller
}

// of returns who stands in for who in a call, nil if nobody does.
func (s *standIns) of(who Principal, req *mcp.CallToolRequest) *standIn {
	if len(s.ways) == 0 {
		return nil
	}
	caller := callerOf(who, req)
	for _, w := range s.ways {
		if !w.callers(caller) {
			continue
		}
		key := standInKey{who: grants.Principal(who), way: w}
		if w.personal && caller.Bearer != "" {
			key.bearer = sha256.Sum256([]byte(caller.Bearer))
		}
		until := w.until(caller)
		person := s.table.Get(key, until, func() *asking.Person {
			return s.people.Unattended(s.keeper.Unattended(key.who, grants.Source{
				Name: w.name, Until: until,
				Token: func(ctx context.Context, want scopes.Set) (*oauth.Token, error) { return w.token(ctx, caller, want) },
			}))
		})
		return &standIn{person: person, thenAsk: w.thenAsk}
	}
	return nil
}

// grant returns what there is for a principal, that of the latest caller; nil if nothing.
func (s *standIns) grant(who Principal) *grants.Grant {
	for _, p := range s.table.All(func(key standInKey) bool { return key.who == grants.Principal(who) }) {
		if g := p.Grant(); g.Alive() {
			return g
		}
	}
	return nil
}

// forget forgets what was got without a person for a principal. Calls that have it go on with
// what they hold.
func (s *standIns) forget(who Principal) {
	drop(s.table.Take(func(key standInKey) bool { return key.who == grants.Principal(who) }))
}

// forgetPerson is forget for all accounts of a person.
func (s *standIns) forgetPerson(person grants.Principal) {
	drop(s.table.Take(func(key standInKey) bool { return key.who.Person() == person }))
}

// recheck forgets what those have of whom refused says so now, and reports whether anybody else has
// anything. concerns says whom to ask about; nil: nobody.
func (s *standIns) recheck(ctx context.Context, concerns func(bars.Person, string) bool, refused func(context.Context, grants.Principal) error) (left bool) {
	of := make(map[grants.Principal]struct{})
	s.table.All(func(key standInKey) bool {
		if !key.who.IsLocal() {
			of[key.who.Person()] = struct{}{}
		}
		return false
	})
	for person := range of {
		left = true
		if concerns != nil && concerns(personOfPrincipal(person), "") && isBarred(refused(ctx, person)) {
			s.forgetPerson(person)
		}
	}
	return left
}

// close forgets everything.
func (s *standIns) close() { drop(s.table.Close()) }

func drop(people []*asking.Person) {
	for _, p := range people {
		p.Drop()
	}
}

// errUnattended is the cause of a failure to get a grant without the person.
type errUnattended struct{ err error }

func (e errUnattended) Error() string { return e.err.Error() }

func (e errUnattended) Unwrap() error { return e.err }

// unattended is the text of an error whose cause is an errUnattended.
func (e *Error) unattended() string {
	switch {
	case errors.Is(e.Cause, grants.ErrSourceEnded):
		return fmt.Sprintf("The token that this call came with has ended, and with it this server's access to %s on the caller's behalf. Call again with a new one.", e.service)
	case errors.Is(e.Cause, errNoBearer), errors.Is(e.Cause, errOtherIssuer):
		return fmt.Sprintf("This server gets its access to %s from the token that its callers come with, and this call came with none that can be used for that. Calling again will not change that; the server's log says more.", e.service)
	case isRefused(fmt.Errorf("%w: %w", grants.ErrUnattended, e.Cause)):
		return fmt.Sprintf("This server was refused access to %s on the caller's behalf, which calling again will not change. Who manages that access there must grant it; the server's log says more.", e.service)
	}
	return fmt.Sprintf("This server could not get its access to %s on the caller's behalf at the moment. Call again in a minute; if that does not help, the server's log says more.", e.service)
}
