package lazyauth

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A person is an owner who can be asked, through the hosts whose calls come for them.
type person struct {
	*owner

	asking   sync.Mutex               // never held over owner.mu's holders' calls but mayAsk
	declined map[client]time.Duration // until when, since the epoch
	board    *board                   // of the flight that was followed last
}

func newPerson(k *keeper, who Principal) *person {
	return &person{owner: newOwner(k, who), declined: make(map[client]time.Duration)}
}

// through is a host as the asker of a grant for a person.
type through struct {
	person *person
	host   host
}

func (t *through) tool() string { return t.host.tool() }

//go:noinline
func (t *through) left() time.Duration { return t.host.at().left(t.person.auth) }

//
//go:noinline
func (t *through) mayAsk() error {
	p, c := t.person, t.host.client()
	p.asking.Lock()
	defer p.asking.Unlock()
	if until, ok := p.declined[c]; ok {
		if p.auth.now() < until {
			return p.auth.fail(Declined, nil)
		}
		delete(p.declined, c)
	}
	return nil
}

// authorize is obtain for a host, whose errors it explains.
func (o *person) authorize(ctx context.Context, need scopes.Requirement, h host) (*grant, error) {
	g, err := o.obtain(ctx, need, &through{o, h})
	if e, ok := errors.AsType[*Error](err); ok {
		return nil, o.explain(e, need, h.at().req)
	}
	return g, err
}

// explain returns e for one call: a follower gets the leader's cause, with its own need.
//
// It and some others here are kept out of line for the sake of the stacks of calls that
// wait, of which there may be very many: see BenchmarkWaiting.
//
//go:noinline
func (o *person) explain(e *Error, need scopes.Requirement, req *mcp.CallToolRequest) *Error {
	mine := *e
	mine.Required = need
	mine.wording = o.auth.wording(req)
	if g := o.grant.Load(); g != nil {
		mine.Held = g.scopes
	}
	return &mine
}

func (o *person) askAgain() {
	o.asking.Lock()
	defer o.asking.Unlock()
	clear(o.declined)
}

// wording returns how prompts are put to the person behind req; nil is good, too.
func (i *keeper) wording(req *mcp.CallToolRequest) elicit.Wording {
	if i.options.Wording == nil || req == nil {
		return nil
	}
	return func(c elicit.Channel, p elicit.Prompt) string { return i.options.Wording(req, c, p) }
}
