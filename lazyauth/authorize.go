package lazyauth

import (
	"context"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// programHost is the host behind Interceptor.Authorize.
type programHost struct {
	show func(context.Context, elicit.Prompt) error
}

// Client implements [asking.Host].
func (p *programHost) Client() asking.Client { return p }

// Tool implements [asking.Host].
func (p *programHost) Tool() string { return "" }

// Request implements [asking.Host].
func (p *programHost) Request() asking.Request { return asking.Request{Silent: p.show == nil} }

// Progress implements [asking.Host].
func (p *programHost) Progress() *asking.Progress { return nil }

// MayBegin implements [asking.Host].
func (p *programHost) MayBegin() error { return nil }

// Show implements [asking.Host].
func (p *programHost) Show(ctx context.Context, d *asking.Delivery, _ asking.Slot, _ elicit.Channel) error {
	if p.show == nil {
		return nil
	}
	d.ShownOtherwise(ctx, "caller")
	return p.show(ctx, *d.Prompt())
}

// Authorize obtains a grant of who that covers need, without a tool call: for
// signing in at a terminal, or ahead of time. If there is none yet, show is
// called with the prompt, and Authorize waits until the person has finished, the
// code has expired, or ctx ends. If a call already waits for an authorization,
// show gets the prompt of that one, and another if that was for less. An error of show ends
// the wait but not the authorization. A nil show asks no person: it waits for one who
// was asked by a call. The errors of the authorization are
// of type [*Error].
//
// In the redirect flow, the prompt's link is a page of this program on loopback, which leads to
// the authorization server: show may open it by [OpenBrowser], or print it for a browser on this
// machine. Nothing says that somebody else cannot read what is printed; they can do nothing with
// it from another machine. With a [Service].ConnectPage, for anybody but the local user, it is a page of that.
//
// A person who was asked in vain a moment ago is asked again. The caller vouches for who:
// [Options.VerifyUser] is asked as for calls.
func (i *Interceptor) Authorize(ctx context.Context, who Principal, need scopes.Requirement, show func(context.Context, elicit.Prompt) error) error {
	if err := i.mayAsk(who); err != nil {
		return err
	}
	if err := checkAccount(who.Account); err != nil {
		return i.fail(ReasonAnonymous, err)
	}
	p := i.personOf(who)
	if show != nil {
		p.Forgive() // a person is there who wants to be asked
	}
	_, err := p.Obtain(ctx, need, &programHost{show: show})
	return i.explain(err, p, need, nil)
}
