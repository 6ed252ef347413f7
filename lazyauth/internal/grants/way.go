package grants

import (
	"context"
	"errors"
	"fmt"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// A Way is how a flight gets a prompt and then a token: one of OAuth's flows in which a
// person takes part. Everything else about a flight knows not which it is.
type Way interface {
	// Flow names it, for traces.
	Flow() string
	// Suits returns nil, or what speaks against this way for who, whom a link gets to in
	// this manner; an error that is ErrNotPossible says that it cannot be gone at all. It does no
	// I/O that takes time, and is called on the flight's goroutine.
	Suits(who Principal, link Link) error
	// Begin asks the authorization server for what a person can be shown.
	Begin(ctx context.Context, a Asked) (Authorization, error)
}

// An Asked says what an authorization is begun for.
type Asked struct {
	// Want returns the scopes that are asked for, which may take a moment the first time:
	// it is called when all else is ready.
	Want func(context.Context) scopes.Set
	Who  Principal
	Link Link // how the prompt's link gets to the person

	Client  string             // the client id that the host offers; empty if it offers none
	Program string             // what the program calls itself through which the person is asked: anybody's text
	Chosen  func(ClientChoice) // is told as which client the person is asked; may be nil
}

// A Link says how a prompt's link gets to a person's browser.
type Link uint8

// The ways of a link.
const (
	// LinkAsText: as text, which the person has to copy or click on.
	LinkAsText Link = iota
	// LinkShown: a host shows it, and opens it.
	LinkShown
	// LinkOpened: this program opens it by itself.
	LinkOpened
	// LinkHanded: it is handed to a program, which does with it what it likes.
	LinkHanded
)

// An Authorization waits for a person's decision.
type Authorization interface {
	// Prompt returns what the person is shown. The way sets its links, its code, if it
	// has one, and its end; the flight sets the rest.
	Prompt() elicit.Prompt
	// Wait returns the token once the person has approved. It ends with ctx, and by
	// itself once the prompt has expired. It is called at most once.
	Wait(ctx context.Context, heard Heard) (*oauth.Token, error)
	// Reached reports whether a browser has come to this program, as it does in the end by
	// a way that leads back to it; true if the way does not, and there is no telling.
	Reached() bool
	// Shows says what the person is shown, before they can see any of it.
	Shows(elicit.Prompt)
	// Passed reports, of one whose Wait has returned a token, whether who approved is known to be
	// who was asked: before and after, they were seen to sit at the browser.
	Passed() bool
	// End says what became of the flight, for as long as a browser may look at that or until ctx
	// ends, and then ends what Begin has begun, in a bounded time. It is called once, after
	// Wait if that was called.
	End(context.Context, Outcome)
}

// A Heard hears what happens while an authorization is waited for: of each way what there is, on
// one goroutine.
type Heard struct {
	Polled     func(device.PollEvent) // an answer of the server to a poll
	Redirected func(authcode.Event)   // a browser came back, or is sent on
}

// An Outcome is what a flight came to, as the person in the browser is told.
type Outcome struct {
	Flow string   // names the way by which the flight came to its end
	Who  Identity // who has signed in, as far as that is known
	Err  error    // why there is no grant; nil if there is
}

// ErrNotPossible is what speaks against a way that cannot be gone at all.
var ErrNotPossible = errors.New("lazyauth: this flow is not possible here")

// DeviceFlow is the way of RFC 8628.
type DeviceFlow struct {
	Server  *AuthorizationServer
	Options device.Options
	// LocalOnly says that nothing could confirm whose grant it is but the local user's, since anybody can enter a
	// code.
	LocalOnly bool
}

// ErrUnconfirmed is an ErrNotPossible: nothing can confirm that a grant is the caller's.
var ErrUnconfirmed = fmt.Errorf("%w: a code can be entered by anybody, and nothing confirms whose grant it is", ErrNotPossible)

// Flow implements [Way].
func (DeviceFlow) Flow() string { return "device" }

// Suits implements [Way]: a code can be entered in any browser, by anybody.
func (w DeviceFlow) Suits(who Principal, _ Link) error {
	if w.LocalOnly && !who.IsLocal() {
		return ErrUnconfirmed
	}
	return nil
}

// Begin implements [Way].
func (w DeviceFlow) Begin(ctx context.Context, a Asked) (Authorization, error) {
	return w.Server.begin(ctx, a, false, func(server *oauth.Client) (Authorization, error) {
		client, err := device.New(server, w.Options)
		if err != nil {
			return nil, err
		}
		authorization, err := client.Authorize(ctx, a.Want(ctx))
		if err != nil {
			return nil, err
		}
		return deviceAuthorization{w.Server, server, client, authorization}, nil
	})
}

type deviceAuthorization struct {
	server        *AuthorizationServer
	as            *oauth.Client // who asked
	client        *device.Client
	authorization *device.Authorization
}

// Prompt implements [Authorization].
func (a deviceAuthorization) Prompt() elicit.Prompt {
	return elicit.Prompt{
		VerificationURI:         a.authorization.VerificationURI,
		VerificationURIComplete: a.authorization.VerificationURIComplete,
		UserCode:                a.authorization.UserCode,
		Expires:                 a.authorization.Expires,
	}
}

// Wait implements [Authorization].
func (a deviceAuthorization) Wait(ctx context.Context, heard Heard) (*oauth.Token, error) {
	token, err := a.client.Poll(ctx, a.authorization, heard.Polled)
	a.server.refused(a.as, err)
	return token, err
}

// Reached implements [Authorization].
func (deviceAuthorization) Reached() bool { return true }

// Passed implements [Authorization]: anybody may have entered the code.
func (deviceAuthorization) Passed() bool { return false }

// Shows implements [Authorization].
func (deviceAuthorization) Shows(elicit.Prompt) {}

// End implements [Authorization]: the code lapses by itself.
func (deviceAuthorization) End(context.Context, Outcome) {}
