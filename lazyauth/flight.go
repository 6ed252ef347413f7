package lazyauth

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// verifyWait bounds one call of Options.VerifyUser.
const verifyWait = 30 * time.Second

// A flight is one device authorization in progress. The goroutine that runs it
// owns it, and how far that has come is the flight's state: it has a prompt
// once ready is closed, and an end once over is done. It lives as long as its
// device code, whoever waits for it, and no answer of a host is needed for it
// to succeed: only the authorization server's word counts.
type flight struct {
	owner *owner
	want  scopes.Set
	tool  string // the one whose call started it

	ready  chan struct{}
	prompt elicit.Prompt // once ready

	over  context.Context // for its end; nobody uses its values
	end   context.CancelFunc
	grant *grant // once over, if err is nil
	err   error  // once over
	kept  bool   // once over: whether the grant is the owner's now

	logouts int          // of the owner, when the token came
	polls   int          // of the goroutine that runs it
	tickets atomic.Int64 // drawn by all who wait, in their order
	calls   atomic.Int64 // that waited
	prompts atomic.Int64 // how often the prompt was shown
	ended   atomic.Bool  // whether it has come to its end; set under owner.mu
	hooks   []func()     // to be called before who waits goes on; guarded by owner.mu
}

func newFlight(o *owner, want scopes.Set, tool string) *flight {
	f := &flight{owner: o, want: want, tool: tool, ready: make(chan struct{})}
	f.over, f.end = context.WithCancel(context.Background())
	return f
}

// run is the flight.
func (f *flight) run() {
	auth, began := f.owner.auth, time.Now()
	defer f.end()
	g, err := f.fly(auth.ctx)

	f.owner.mu.Lock()
	if err == nil && auth.ctx.Err() != nil {
		g.retire()
		g, err = nil, auth.fail(Unavailable, errClosed)
	}
	if err == nil && f.owner.logouts != f.logouts {
		late := g
		auth.spawn(func() { _ = f.owner.discard(auth.ctx, late); _ = auth.revoke(auth.ctx, late) })
		g.retire()
		g, err = nil, auth.fail(Denied, errLoggedOut)
	}
	f.grant, f.err = g, err
	f.kept = err == nil && f.owner.take(g, f.want)
	f.owner.flight = nil
	f.ended.Store(true)
	hooks := f.hooks
	f.owner.mu.Unlock()

	event := Event{
		Principal: f.owner.principal, Tool: f.tool, Scopes: f.want, Took: time.Since(began),
		Attempt: f.polls, Prompts: int(f.prompts.Load()), Calls: int(f.calls.Load()),
	}
	switch {
	case err != nil:
		event.Reason, event.Err = causeOf(err)
		auth.emit(onFailed, event)
	case !f.kept:
		event.Reason, event.Scopes = Narrowed, g.scopes
		auth.emit(onFailed, event)
	default:
		event.Scopes = g.scopes
		if !g.token.Expiry.IsZero() {
			event.Wait = time.Until(g.token.Expiry)
		}
		auth.emit(onGranted, event)
	}
	for _, hook := range hooks {
		hook()
	}
}

func (f *flight) fly(ctx context.Context) (*grant, error) {
	auth := f.owner.auth
	client, err := auth.server.client(ctx)
	if err != nil {
		return nil, auth.deviceError(err)
	}
	authorization, err := client.Authorize(ctx, f.want)
	if err != nil {
		return nil, auth.deviceError(err)
	}
	f.prompt = elicit.Prompt{
		Service:  auth.service.Name,
		Account:  f.owner.principal.Account,
		URL:      authorization.VerificationURI,
		UserCode: authorization.UserCode,
		Complete: authorization.VerificationURIComplete,
		Scopes:   f.want,
		Access:   auth.service.inWords(f.want),
		Expires:  authorization.Expires,
	}
	close(f.ready)
	token, err := client.Poll(ctx, authorization, func(e device.PollEvent) {
		f.polls = e.Attempt
		auth.emit(onPolled, Event{Principal: f.owner.principal, Tool: f.tool,
			Attempt: e.Attempt, Outcome: string(e.Outcome), Status: e.Status, Wait: e.Wait, Err: pollFault(e)})
	})
	if err != nil {
		return nil, auth.deviceError(err)
	}
	g := auth.newGrant(token, false)
	f.owner.mu.Lock()
	logouts := f.owner.logouts
	f.owner.mu.Unlock()
	f.logouts = logouts
	if verify := auth.options.VerifyUser; verify != nil && !f.owner.principal.IsLocal() {
		ctx, cancel := context.WithTimeout(ctx, verifyWait)
		defer cancel()
		if err := verify(ctx, f.owner.principal, g.token); err != nil {
			g.retire()
			return nil, auth.fail(Unverified, err)
		}
	}
	auth.identify(ctx, f.owner, g)
	if f.owner.wants(g, f.want, logouts) {
		f.owner.keep(ctx, g)
	}
	return g, nil
}

var errLoggedOut = errors.New("lazyauth: the person logged out before the sign-in was finished")

// covers reports whether what the flight asks for satisfies need.
func (f *flight) covers(need scopes.Requirement) bool {
	order := f.owner.auth.service.Hierarchy
	return order.Covers(order.Expand(f.want), need)
}

// landed reports whether the flight has come to its end.
func (f *flight) landed() bool { return f.ended.Load() }

// before has hook called when the flight has come to its end, before who waits for that
// goes on. It reports false, and calls nothing, if the end has come.
func (f *flight) before(hook func()) bool {
	f.owner.mu.Lock()
	defer f.owner.mu.Unlock()
	if f.ended.Load() {
		return false
	}
	f.hooks = append(f.hooks, hook)
	return true
}
