package pending

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
)

// CoolDown is how long nobody is asked after a decline, or for what they approved in vain.
const CoolDown = time.Minute

// What an error of this package can mean; compare with errors.Is. What the server said is an
// [oauth.Error], whichever process heard it.
var (
	// ErrElsewhere: the flight has ended in another process, or was ended; if it has brought a
	// grant, that is in the grant's record.
	ErrElsewhere = errors.New("lazyauth: the sign-in was brought to its end by another process")
	// ErrReplaced: another flight has begun in its place.
	ErrReplaced = errors.New("lazyauth: another process has begun the sign-in anew")
	// ErrUnverified: another process has had the token, and did not find it to be the person's.
	ErrUnverified = errors.New("lazyauth: another process did not find the grant to be the person's")
)

// A Declined error: the person has declined a while ago, by the same program, in another process.
type Declined struct{ Wait time.Duration }

func (*Declined) Error() string { return "lazyauth: the person has declined, in another process" }

// A Vain error: the person has done what they were asked for a while ago, in another process,
// and it came to this. It would again.
type Vain struct {
	Err  error
	Wait time.Duration
}

func (v *Vain) Error() string { return v.Err.Error() }

func (v *Vain) Unwrap() error { return v.Err }

// An over flight came to nothing.
type over struct {
	Kind   string    `json:"kind"`
	Code   string    `json:"code,omitempty"` // see oauth.Error
	Status int       `json:"status,omitempty"`
	At     time.Time `json:"at"`
}

// A kind is what a flight can come to.
type kind struct {
	name string
	err  error
	vain bool // the next one would come to the same
}

// kinds are what a flight can come to, by what records call it. The first that an error is, is
// its kind.
var kinds = []kind{
	{"denied", oauth.ErrDenied, false},
	{"expired", device.ErrExpired, false},
	{"interrupted", device.ErrInterrupted, false},
	{"answer_lost", device.ErrAnswerLost, false},
	{"unknown_code", device.ErrUnknownCode, true},
	{"token_type", oauth.ErrTokenType, true},
	{"invalid", oauth.ErrInvalid, true},
	{"unavailable", oauth.ErrUnavailable, true},
	{"refused", oauth.ErrRefused, true},
	{"unverified", ErrUnverified, false},
}

// isKind reports whether err is one that others can be told of.
func isKind(err error) bool {
	return slices.ContainsFunc(kinds, func(k kind) bool { return errors.Is(err, k.err) })
}

// overWith returns what is recorded of err.
func overWith(err error, now time.Time) *over {
	o := &over{Kind: "refused", At: now.Round(0)}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			o.Kind = k.name
			break
		}
	}
	if e, ok := errors.AsType[*oauth.Error](err); ok {
		o.Code, o.Status = e.Code, e.Status
	}
	return o
}

// err returns the error that it was; nil if it is none that is known.
func (o *over) err() error { return o.errOf("poll") }

// errOf is err, of what has this name.
func (o *over) errOf(op string) error {
	for _, k := range kinds {
		switch {
		case k.name != o.Kind:
		case k.err == ErrUnverified: //nolint:errorlint // it is that very one
			return fmt.Errorf("%w", ErrUnverified)
		default:
			e := &oauth.Error{Op: op, Kind: k.err, Reason: "heard by another process"}
			if v := oauth.Known(o.Code); v.Code == o.Code {
				e.Code = o.Code
			}
			if o.Status >= 100 && o.Status < 600 {
				e.Status = o.Status
			}
			return e
		}
	}
	return nil
}

// isVain reports whether the next flight would come to the same, and is not begun.
func (o *over) isVain(now time.Time) bool {
	if !o.holds(now) {
		return false
	}
	for _, k := range kinds {
		if k.name == o.Kind {
			return k.vain
		}
	}
	return false
}

func (o *over) holds(now time.Time) bool { return decline{At: o.At}.holds(now) }
