package grants

import (
	"context"
	"errors"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/pending"
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

	Client  string // the client id that the host offers; empty if it offers none
	Program string // what the program calls itself through which the person is asked: anybody's text
	// CallersClient is the client that the caller's bearer token was issued to, as its verifier has it: an id that an
	// issuer knows. It is empty if that is not known.
	CallersClient string
	Chosen        func(ClientChoice) // is told as which client the person is asked; may be nil

	// Joins is told that what is under way already, in another process, is for these scopes, and
	// reports whether that will do. It is called before Want, or in its place. Brought reports whether the store has
	// a grant that was given then or later, or why that cannot be told; Arrived, whether it has come to have one that will
	// do since the flight began, which is asked before anything is: then Begin fails with a pending.ErrElsewhere. All may be nil.
	Joins   func(scopes.Set) bool
	Brought func(ctx context.Context, since time.Time) (bool, error)
	Arrived func(context.Context) bool
	// Settled is told that the authorization that is joined has come to its end, as Start says, so that nobody need
	// be shown its prompt; may be nil.
	Settled func()
	// Forgiven is when what the person declined, or approved in vain, ceased to count.
	Forgiven time.Time
	// Share is the flight's share of what its person may have under way in all processes: a way takes it before it begins
	// anything that no other process has. Nil: this process alone bounds that.
	Share *pending.Share
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
	// Start has done called once, on a goroutine of its own: with the token once the person has approved, or with why
	// there is none, when ctx has ended or the prompt has expired at the latest. It is called at most once.
	Start(ctx context.Context, heard Heard, done func(*oauth.Token, error))
	// Reached reports whether a browser has come to this program, as it does in the end by
	// a way that leads back to it; true if the way does not, and there is no telling.
	Reached() bool
	// Moves reports whether another process can go on with it, as it is now, if this one ends.
	Moves() bool
	// Shows says what the person is shown, before they can see any of it.
	Shows(elicit.Prompt)
	// Passed reports, of one that has come to a token, whether who approved is known to be
	// who was asked: before and after, they were seen to sit at the browser.
	Passed() bool
	// End says what became of the flight, for as long as a browser may look at that or until ctx
	// ends, and then ends what Begin has begun, in a bounded time. It is called once, after
	// done if Start was called.
	End(context.Context, Outcome)
}

// A Heard hears what happens while an authorization is waited for: of each way what there is, one thing
// after the other.
type Heard struct {
	Polled     func(device.PollEvent) // an answer of the server to a poll
	Redirected func(authcode.Event)   // a browser came back, or is sent on
}

// await is [Authorization].Start for one by which something waits: until wait returns, which ends with its context.
func await(wait func() (*oauth.Token, error), done func(*oauth.Token, error)) {
	go func() {
		var token *oauth.Token
		guard.Then("a sign-in", func() (err error) {
			token, err = wait()
			return err
		}, func(err error) { done(token, err) })
	}()
}

// An Outcome is what a flight came to, as the person in the browser is told.
type Outcome struct {
	Flow string   // names the way by which the flight came to its end
	Who  Identity // who has signed in, as far as that is known
	Err  error    // why there is no grant; nil if there is
	// Unsaved says that there is a grant, and the store should have it and has not; Closing, that this process ends besides.
	Unsaved, Closing bool
}

// ErrNotPossible is what speaks against a way that cannot be gone at all.
var ErrNotPossible = errors.New("lazyauth: this flow is not possible here")
