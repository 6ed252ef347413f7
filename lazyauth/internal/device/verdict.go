package device

import (
	"errors"
	"fmt"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
)

// What an [oauth.Error] of this package can mean beside the meanings of package oauth;
// compare with errors.Is.
var (
	// ErrExpired: the device code lapsed before the person decided, by the
	// server's word or by our own clock.
	ErrExpired = errors.New("the device code has expired")

	// ErrUnknownCode: the server does not accept the device code, or not any more: a
	// policy refused the person after they had signed in (Entra), the code was used,
	// or the server has forgotten it, over a restart or after it reported a denial or
	// the expiry once. It does not say that the person refused, or was late.
	ErrUnknownCode = errors.New("the device code is no longer accepted")

	// ErrAnswerLost is an ErrUnknownCode: the answer to a poll before was lost on its
	// way, and may have brought the token, which used the code up. What the server
	// says of the code now, be it that the person denied, is what it says of a used
	// one. The caller may begin anew by itself, once, with a new code: the person
	// believes that they have finished.
	ErrAnswerLost = fmt.Errorf("%w: an answer that was lost may have used it up", ErrUnknownCode)

	// ErrInterrupted is an ErrAnswerLost: the process that polled before this one ended without
	// a word, perhaps in the middle of a poll, and the answer to that went with it. See
	// [Saved.Doubt].
	ErrInterrupted = fmt.Errorf("%w: that of a process which has ended", ErrAnswerLost)
)

// ends says which meanings end polling, and by which error. With MeansNothing the answer's
// other members and its status decide.
var ends = [...]error{
	oauth.MeansNothing:  nil,
	oauth.MeansPending:  nil,
	oauth.MeansSlowDown: nil,
	oauth.MeansLater:    nil,
	oauth.MeansTrouble:  oauth.ErrUnavailable,
	oauth.MeansDenied:   oauth.ErrDenied,
	oauth.MeansExpired:  ErrExpired,
	oauth.MeansGone:     ErrUnknownCode,
	oauth.MeansPerson:   oauth.ErrRefused,
	oauth.MeansClient:   oauth.ErrRefused,
	oauth.MeansRefused:  oauth.ErrRefused,
	oauth.MeansUnknown:  oauth.ErrRefused,
}

// heed takes the message of an answer without an error for the verdict that a poll
// goes on with, if it is the very word: Twitch answers
// {"status":400,"message":"authorization_pending"}. Other messages end nothing: they
// are written for people, and say the same thing in many ways.
func heed(a *oauth.Answer) {
	if a.Verdict.Code != "" || a.Has("error") {
		return
	}
	switch v := oauth.Known(a.Text("message")); v.Means {
	case oauth.MeansPending, oauth.MeansSlowDown:
		a.Verdict, a.Fault = v, ""
	}
}
