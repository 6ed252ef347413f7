package asking

import (
	"errors"

	"github.com/lazyauth/mcp-lazyauth/elicit"
)

// ErrHandedOver ends a wait whose caller is answered with the prompt: see [Host.Show].
var ErrHandedOver = errors.New("lazyauth: the prompt was handed over")

// Pending is why a call does not wait any longer: the flight is not done.
type Pending struct {
	// NoPrompt: the authorization server has not been heard of yet.
	NoPrompt bool
	// Prompt is for the call's result, where its host can show it in no other way.
	Prompt *elicit.Prompt
}

func (*Pending) Error() string { return "lazyauth: the sign-in is not finished" }

// Declined is why a call goes on without a grant: its host, or the person behind it,
// refused the prompt. Nobody is asked for a while, unless it says otherwise.
type Declined struct {
	Dismissed bool // and not refused, so that the next call may ask
	Automatic bool // sooner than a person could have
	HostOnly  bool // by one of several hosts, which speaks for itself
	// Prompt is for the call's result, where the author asked for that.
	Prompt *elicit.Prompt
}

func (*Declined) Error() string { return "lazyauth: the prompt was declined" }
