package grants

import (
	"context"
	"net/http"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/idle"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/pending"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/quota"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2"
)

// A Config says whose grants a [Keeper] keeps, and how. It is checked by whoever makes
// it; nothing here is optional but what says so. Functions and interfaces return in a bounded
// time, and do not panic; the store returns when it likes.
type Config struct {
	Service   string                    // its name, for prompts
	Scopes    scopes.Set                // are asked for in every authorization, and needed by nobody
	Words     func(scopes.Set) []string // what prompts call scopes; nil if there are no words
	Hierarchy *scopes.Hierarchy         // nil: no scope implies another
	// Declared returns what the program is known to ask for, sooner or later: what its
	// tools declare, and what challenges may add. Nil: Scopes alone.
	Declared func() scopes.Set

	Ways   []Way                // how a flight gets its prompt and its token: those that are allowed, the best first
	Server *AuthorizationServer // which refreshes and revokes

	Store store.Store            // nil: grants are in memory alone
	Key   func(Principal) string // the key of a principal's record
	// Restored returns why a grant that the store has must not be used; nil uses all.
	Restored func(context.Context, Principal) error
	// Forgotten ends what other processes have begun for who logs out; nil if they do not share it.
	Forgotten func(context.Context, Principal) error

	// Verify confirms that a new grant is who's; passed says that who approved is known to be who was asked (see
	// Authorization.Passed). It is not called for the local user. Nil believes everybody, and whoever gets a person
	// to approve a code of theirs has that person's grant (RFC 8628 §5.4): it is for keepers of the local user's alone.
	Verify func(ctx context.Context, who Principal, token *oauth2.Token, passed bool) error
	// Identify learns who signed in; nil asks UserInfo, and nobody if that is empty.
	Identify func(ctx context.Context, token *oauth2.Token) (Identity, error)
	UserInfo string
	// Transport carries requests to UserInfo, as UserAgent; empty means the default of
	// package oauth.
	Transport http.RoundTripper
	UserAgent string
	// Token is the local user's, from the operator; nil if they sign in.
	Token oauth2.TokenSource
	// Places have processes that share the store bound together what one person but the local user has under way; nil: each
	// bounds its own alone. PlacesOf names them, of a person.
	Places   pending.Places
	PlacesOf func(Principal) string

	// MaxSignIns bounds the flights under way here, of which one person gets at most sixteen with all
	// their accounts, and no more than that in all processes by Places. MaxWaiting bounds the calls that wait, of which one person gets a
	// sixteenth; those of the local user are not bounded.
	MaxSignIns, MaxWaiting int
	// RevokeOnClose is how long Close may take to revoke; zero revokes nothing.
	RevokeOnClose time.Duration

	Observer Observer
}

// An Observer is told what happens. Its methods are called from many goroutines, hold up
// what they tell of, and must not panic. The contexts are for their values alone; that of a
// flight or a renewal has the values of the request that caused it.
type Observer interface {
	// Waiting: somebody begins to wait for a flight.
	Waiting(ctx context.Context, o *Owner, tool string, missing scopes.Set)
	// ClientChosen: a flight asks as this client.
	ClientChosen(f *Flight, c ClientChoice)
	// Polled: a flight's authorization server answered a poll, or failed to.
	Polled(f *Flight, e device.PollEvent)
	// Redirected: a browser came back for a flight, or was sent on, or something came of it.
	Redirected(f *Flight, e authcode.Event)
	// Ended: a flight has ended, after its grant was adopted and before anybody who
	// waits for it goes on.
	Ended(f *Flight, took time.Duration)
	// Refreshed: a grant was replaced by a refresh.
	Refreshed(ctx context.Context, o *Owner, g *Grant, took time.Duration)
	// RefreshFailed: old could not be refreshed; ended says that it cannot be any more.
	RefreshFailed(ctx context.Context, o *Owner, old *Grant, took time.Duration, err error, ended bool)
	// TokenFailed: the operator's token could not be had.
	TokenFailed(ctx context.Context, o *Owner, err error)
	// Drawn: a source was asked for these scopes, and gave a grant, or err says why not.
	Drawn(ctx context.Context, who Principal, source string, g *Grant, want scopes.Set, took time.Duration, err error)
	// StoreFailed: a grant could not be read from or written to the store.
	StoreFailed(ctx context.Context, o *Owner, err error)
	// Unidentified: it could not be learnt who signed in.
	Unidentified(ctx context.Context, o *Owner, err error)
	// Changed: o's grant is another one, or none any more, or has ended. It is called with the
	// owner's mutex locked, and returns at once.
	Changed(o *Owner)
	// CallbackFailed: what, of this package, panicked.
	CallbackFailed(ctx context.Context, what string, err error)
}

// A Keeper keeps the grants of one service.
type Keeper struct {
	config Config
	local  *Owner
	owners *idle.Map[Principal, Owner] // everybody else

	signIns, waiting *quota.Quota[Principal] // by Principal.Person

	// ctx ends with Close; every goroutine and every wait here depends on it.
	ctx    context.Context
	cancel context.CancelCauseFunc
	goroutines
}

// New returns a keeper, which must be closed.
func New(config Config) *Keeper {
	if config.Declared == nil {
		config.Declared = func() scopes.Set { return config.Scopes }
	}
	k := &Keeper{config: config}
	k.ctx, k.cancel = context.WithCancelCause(context.Background())
	k.goroutines = goroutines{running: make(map[string]int), failed: func(what string, err error) {
		config.Observer.CallbackFailed(k.ctx, what, err)
	}}
	k.local = newOwner(k, Principal{})
	k.signIns = quota.New[Principal](config.MaxSignIns, maxAccounts)
	k.waiting = quota.New[Principal](config.MaxWaiting, max(1, config.MaxWaiting/16))
	k.owners = idle.NewMap(idleFor, func(who Principal) *Owner { return newOwner(k, who) }, (*Owner).rest)
	return k
}

// maxAccounts is how many flights of one person are under way, each for another account.
const maxAccounts = 16

// idleFor is how long nobody has asked for an owner, at least, that is forgotten. It is more
// than all that is remembered for a while, such as that a person declined.
const idleFor = 5 * time.Minute

// Owner returns who's owner, which there is one of. One of whom nothing is known that the
// store has not is forgotten after a while, and is another one then.
func (k *Keeper) Owner(who Principal) *Owner {
	if who == (Principal{}) {
		return k.local
	}
	return k.owners.Get(who)
}

// Sweep forgets who was idle since the last sweep. It happens by itself, every idleFor.
func (k *Keeper) Sweep() { k.owners.Sweep() }

// Owners yields every owner that is not forgotten.
func (k *Keeper) Owners(yield func(*Owner) bool) {
	if !yield(k.local) {
		return
	}
	k.owners.All()(yield)
}

// Context ends, with [ErrClosed], when the keeper is closed.
func (k *Keeper) Context() context.Context { return k.ctx }

// Close ends every flight, renewal and wait, and forgets all grants, which it returns but
// for the operator's. What the store has it keeps.
func (k *Keeper) Close() []*Grant {
	k.close()
	k.cancel(ErrClosed)
	k.owners.Close()
	var grants []*Grant
	for o := range k.Owners {
		if g := End(o, ErrClosed); g != nil && !g.operators {
			grants = append(grants, g)
		}
	}
	return grants
}

// RevokeAll ends the tokens of these grants side by side, if that is configured.
func (k *Keeper) RevokeAll(grants []*Grant) error {
	return k.config.Server.revokeAll(grants, k.config.RevokeOnClose)
}
