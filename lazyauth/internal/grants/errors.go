package grants

import (
	"errors"
	"fmt"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// What an error of this package can mean; compare with errors.Is. An error of the
// authorization server is one of package oauth or of the flow, as it is. Errors of an [Asker] are
// handed on.
var (
	// ErrClosed: the keeper is closed.
	ErrClosed = errors.New("lazyauth: the interceptor is closed")
	// ErrNoNeed: what is needed is not told, and so nothing satisfies it.
	ErrNoNeed = errors.New("lazyauth: a nil requirement is satisfied by nothing")
	// ErrNotAnswered: the store or the authorization server has not answered for as
	// long as the asker could wait.
	ErrNotAnswered = errors.New("lazyauth: the store or the authorization server has not answered")
	// ErrStoreNotAnswered is an ErrNotAnswered of the store.
	ErrStoreNotAnswered = fmt.Errorf("%w: it is the store", ErrNotAnswered)
	// ErrUnseen: the store has not said for long whether a grant is still there, which another process may have
	// ended, and so it is not used.
	ErrUnseen = errors.New("lazyauth: the store does not say whether the grant was ended by another process")
	// ErrUnverified: Config.Verify did not confirm that the new grant is the principal's.
	ErrUnverified = errors.New("lazyauth: the grant is not known to be the principal's")
	// ErrLoggedOut: the person logged out while the flight was under way.
	ErrLoggedOut = errors.New("lazyauth: the person logged out before the sign-in was finished")
	// ErrAbandoned: the person declined, and nobody waited. It is the result of a flight,
	// and no caller's error.
	ErrAbandoned = errors.New("lazyauth: the person declined, and nobody waited for the sign-in")
	// ErrBusy: as much is under way as may be, of one person or in all.
	ErrBusy = errors.New("lazyauth: too much is under way")
	// ErrManySignIns is an ErrBusy of sign-ins.
	ErrManySignIns = fmt.Errorf("%w: sign-ins that are not finished", ErrBusy)
	// errManyElsewhere is an ErrManySignIns of one person's in all processes, by whatever way.
	errManyElsewhere = fmt.Errorf("%w, in all processes that share the store", ErrManySignIns)
	// ErrRefresh: a grant has ended and could not be refreshed, which may pass.
	ErrRefresh = errors.New("lazyauth: the grant could not be refreshed")
	// ErrOperatorToken: the operator's token cannot be had, or is refused.
	ErrOperatorToken = errors.New("lazyauth: the operator's token cannot be used")
	// ErrUnattended: a [Source] gave no grant, and nobody is asked. It wraps what the source
	// said, in a [Setback] if another try would be of no use for a while.
	ErrUnattended = errors.New("lazyauth: no grant could be had without a person")
	// ErrSourceEnded: the time of a [Source] is over.
	ErrSourceEnded = errors.New("lazyauth: the token that the caller came with has ended")
	// ErrEndedElsewhere is an oauth.ErrRevoked: another process has logged the owner out.
	ErrEndedElsewhere = fmt.Errorf("lazyauth: the grant was taken out of the store, by a logout elsewhere: %w", oauth.ErrRevoked)
	// ErrNotRevoked: tokens were forgotten here and may still be good elsewhere, until
	// they expire: the authorization server did not say that it ended them. It may not
	// have known them any more, which some servers answer in the same way.
	ErrNotRevoked = errors.New("lazyauth: the tokens were not revoked, or the authorization server did not know them")
)

// A Narrowed error: the person or the server granted less than what was needed and asked
// for. It comes in a [Setback], but for the operator's token.
type Narrowed struct {
	Missing   scopes.Set
	Operators bool // it is the operator's token, and nobody was asked
	Drawn     bool // nobody was asked: it is what a [Source] gives
}

func (n *Narrowed) Error() string { return "lazyauth: granted without " + n.Missing.String() }

// A failure is one of the errors above, with the error behind it.
type failure struct{ kind, cause error }

func (f failure) Error() string { return f.cause.Error() }

func (f failure) Unwrap() []error { return []error{f.kind, f.cause} }

type notRevoked struct{ cause error }

func (e notRevoked) Error() string { return ErrNotRevoked.Error() + ": " + e.cause.Error() }

func (e notRevoked) Unwrap() []error { return []error{ErrNotRevoked, e.cause} }

// Cause returns the error behind one of the errors above; err itself if there is none.
func Cause(err error) error {
	if f, ok := errors.AsType[failure](err); ok {
		return f.cause
	}
	return err
}

// IsJustNotRevoked reports whether all that err says is [ErrNotRevoked]: what was to end has ended here, and
// in the store. Never says that the server has no way to end tokens.
func IsJustNotRevoked(err error) (just, never bool) {
	switch e := err.(type) { //nolint:errorlint // it is taken apart
	case nil:
		return false, false
	case notRevoked:
		refused, ok := errors.AsType[*oauth.Error](e.cause)
		return true, ok && refused.Reason == oauth.NoRevocation
	case interface{ Unwrap() []error }:
		just, never = true, true
		for _, part := range e.Unwrap() {
			j, n := IsJustNotRevoked(part)
			just, never = just && j, never && n
		}
		return just, just && never
	}
	return false, false
}
