package lazyauth

import (
	"context"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// eager is the host behind Interceptor.Authorize.
type eager struct {
	show func(context.Context, elicit.Prompt) error
}

func (e *eager) client() client { return e }

func (e *eager) tool() string { return "" }

func (e *eager) at() attendance { return attendance{} }

func (e *eager) ledger() *ledger { return nil } // it has no progress to report

func (e *eager) ask(ctx context.Context, p *part, _ elicit.Channel) error {
	if e.show == nil {
		return nil
	}
	p.prompted("caller")
	return e.show(ctx, p.flight.prompt)
}

// Authorize obtains a grant of who that covers need, without a tool call: for
// signing in at a terminal, or ahead of time. If there is none yet, show is
// called with the prompt, and Authorize waits until the person has finished, the
// code has expired, or ctx ends. If a call already waits for an authorization,
// show gets the prompt of that one, and another if that was for less. An error of show ends
// the wait but not the authorization. A nil show asks nobody: it waits for somebody who
// was asked by a call. The errors of the authorization are
// of type [*Error].
//
// The caller vouches for who: [Options.VerifyUser] is asked as for calls.
func (i *Interceptor) Authorize(ctx context.Context, who Principal, need scopes.Requirement, show func(context.Context, elicit.Prompt) error) error {
	if !who.IsLocal() && i.options.VerifyUser == nil {
		return i.fail(Unverified, errNoVerifyUser)
	}
	if err := checkAccount(who.Account); err != nil {
		return i.fail(Anonymous, err)
	}
	_, err := i.ownerOf(who).authorize(ctx, need, &eager{show: show})
	return err
}
