package grants

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/connect"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/redirect"
)

// What the redirect flow can come to; compare with errors.Is.
var (
	// ErrNotHere is an ErrNotPossible: a browser is led back to this machine, and who is
	// asked is known not to sit there.
	ErrNotHere = fmt.Errorf("%w: a redirect leads to this machine, and the caller is on another one", ErrNotPossible)
	errOnPage  = fmt.Errorf("%w: a redirect leads to the connect page, which does not know the local user", ErrNotPossible)
	// ErrNoRedirect is an oauth.ErrUnsupported.
	ErrNoRedirect = fmt.Errorf("%w: the metadata has no authorization_endpoint, or none for codes", oauth.ErrUnsupported)
	// ErrNoFlow is an oauth.ErrUnsupported, of all flows that are allowed, if there are several.
	ErrNoFlow = fmt.Errorf("%w: none of the flows is possible", oauth.ErrUnsupported)
	// ErrNoWayBack: there is nothing on this machine that a browser could come back to.
	ErrNoWayBack = errors.New("lazyauth: a browser cannot come back to this program")
	// ErrNotOpened: the program has not opened the link in a browser, as it was to.
	ErrNotOpened = errors.New("lazyauth: the link was not opened in a browser")
)

// redirectFlow names the flow.
const redirectFlow = "redirect"

// RedirectFlow is the way of RFC 6749 §4.1: a browser is sent to the authorization server, and
// comes back: to this machine, where the local user sits, and to the connect page, if there is one, for everybody
// else. It is used by its address.
type RedirectFlow struct {
	Server *AuthorizationServer
	// Config says all but the client, which is left empty.
	Config redirect.Config
	// Open opens a link in the person's browser, in a bounded time, and not beyond the end of its context,
	// which is the sign-in's; nil if the program does not.
	Open func(ctx context.Context, link string) error
	// NoBrowser says what speaks against there being a browser on this machine; nil, or "",
	// if nothing does.
	NoBrowser func() string
	// Hint says who is to sign in and how, as redirect.Request has it; nil: nothing.
	Hint func(Principal) (loginHint, prompt string)

	// Page is where the browsers of everybody but the local user come back to; nil: they cannot be asked by this flow.
	// With it the local user cannot. Issuer names the server for the page's redirect URI. Mark is connect.Request's.
	Page   *connect.Page
	Issuer string
	Mark   func(ctx context.Context, name string, life time.Duration) error
	Shared *SharedPages // nil: its sign-ins are this process's alone

	mu   sync.Mutex
	of   *oauth.Client // what flow speaks to
	flow *redirect.Flow
}

// Offered says what an authorization server lacks for the redirect flow, by an error that is
// an oauth.ErrUnsupported.
func (w *RedirectFlow) Offered(e oauth.Endpoints) error {
	switch err := authcode.Lacks(e, w.Config.InsecureAssumePKCE); {
	case err == nil:
		return nil
	case errors.Is(err, authcode.ErrNoPKCE):
		return authcode.ErrNoPKCE
	default:
		return ErrNoRedirect
	}
}

// Flow implements [Way].
func (*RedirectFlow) Flow() string { return redirectFlow }

// Suits implements [Way].
func (w *RedirectFlow) Suits(who Principal, link Link) error {
	switch {
	case !who.IsLocal() && w.Page != nil:
		return nil
	case w.Page != nil:
		return errOnPage
	case !who.IsLocal():
		return ErrNotHere
	case link == LinkAsText:
		return errors.New("the host does not open links, and neither does this program")
	case w.NoBrowser != nil:
		if why := w.NoBrowser(); why != "" {
			return errors.New(why)
		}
	}
	return nil
}

// Begin implements [Way].
func (w *RedirectFlow) Begin(ctx context.Context, a Asked) (Authorization, error) {
	return w.Server.begin(ctx, a, true, func(client *oauth.Client) (Authorization, error) {
		if !a.Who.IsLocal() {
			return w.beginOnPage(ctx, a, client)
		}
		return w.begin(ctx, a, client)
	})
}

func (w *RedirectFlow) begin(ctx context.Context, a Asked, client *oauth.Client) (Authorization, error) {
	flow, err := w.at(client)
	if err != nil {
		return nil, err
	}
	request := redirect.Request{Link: redirect.Opened}
	if a.Link == LinkShown {
		request.Link = redirect.Shown
	}
	if w.Hint != nil {
		request.LoginHint, request.Prompt = w.Hint(a.Who)
	}
	authorization, err := flow.Begin(ctx, request, a.Want)
	if port, ok := errors.AsType[*redirect.PortError](err); ok {
		return nil, failure{ErrNoWayBack, port}
	}
	if err != nil {
		return nil, err
	}
	begun := redirectAuthorization{Authorization: authorization, server: w.Server, as: client}
	if a.Link == LinkOpened && w.Open != nil {
		if begun.opening, err = w.open(ctx, authorization); err != nil {
			authorization.Finish(ctx, redirect.Outcome{Failed: true})
			return nil, failure{ErrNotOpened, err}
		}
	}
	return begun, nil
}

// open has the program open the link, and waits until it has, or a browser has come: whatever is
// said of it then, it was opened, and what the browser brings is not to wait for that. The channel is closed
// once the program has returned, which it does when ctx ends.
func (w *RedirectFlow) open(ctx context.Context, a *redirect.Authorization) (<-chan struct{}, error) {
	returned := make(chan struct{})
	var err error // once returned
	go func() {   // ends with ctx, and is waited for by End
		defer close(returned)
		err = guard.Call("the opening of a browser", func() error { return w.Open(ctx, a.Link()) })
	}()
	select {
	case <-returned:
		if err != nil && !a.Reached() {
			return nil, err
		}
	case <-a.Here():
	}
	return returned, nil
}

// at returns the flow at a server, which is one for all authorizations there, since they share
// a port where one is named.
func (w *RedirectFlow) at(client *oauth.Client) (*redirect.Flow, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of == client {
		return w.flow, nil
	}
	if err := w.Offered(client.Endpoints()); err != nil {
		return nil, &oauth.Error{Op: "authorization", Kind: err}
	}
	as := func(client authcode.Client) (*redirect.Flow, error) {
		config := w.Config
		config.Client = client
		return redirect.New(config)
	}
	if w.flow != nil { // whose port another client's sign-in may have
		as = w.flow.As
	}
	flow, err := as(client)
	if err != nil {
		return nil, err
	}
	w.of, w.flow = client, flow
	return flow, nil
}

type redirectAuthorization struct {
	*redirect.Authorization
	server  *AuthorizationServer
	as      *oauth.Client   // who asked
	opening <-chan struct{} // closed once the program has done with opening the link; nil if it does not
}

// Prompt implements [Authorization].
func (a redirectAuthorization) Prompt() elicit.Prompt {
	return elicit.Prompt{VerificationURI: a.Link(), Expires: a.Expires(), Opened: a.opening != nil}
}

// Start implements [Authorization].
func (a redirectAuthorization) Start(ctx context.Context, heard Heard, done func(*oauth.Token, error)) {
	await(func() (*oauth.Token, error) {
		token, err := a.Wait(ctx, heard.Redirected)
		a.server.judge(a.as, err)
		return token, err
	}, done)
}

// Moves implements [Authorization]: the browser comes back to this process.
func (redirectAuthorization) Moves() bool { return false }

// Passed implements [Authorization]: whoever has seen the link may have sent the code.
func (redirectAuthorization) Passed() bool { return false }

// Shows implements [Authorization]: there is no page before the server's that would show anything.
func (redirectAuthorization) Shows(elicit.Prompt) {}

// judge notes what the end of an authorization by a browser says of the client.
func (as *AuthorizationServer) judge(client *oauth.Client, err error) {
	failed, ok := errors.AsType[*oauth.Error](err)
	brought := ok && failed.Status == 0 // by a browser, which whoever has seen the link can send
	if errors.Is(err, authcode.ErrExpired) || brought && oauth.RefusesClient(err) {
		as.doubts(client)
	} else {
		as.refused(client, err)
	}
}

// End implements [Authorization]: the last page names the account.
func (a redirectAuthorization) End(ctx context.Context, o Outcome) {
	a.Finish(ctx, redirect.Outcome{
		Account: cmp.Or(o.Who.Name, o.Who.Subject), Failed: o.Err != nil, ByAnother: o.Flow != redirectFlow,
	})
	if a.opening != nil {
		<-a.opening // the sign-in's context has ended, or is about to
	}
}
