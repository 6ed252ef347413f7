package grants

import (
	"context"
	"errors"
	"fmt"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/ending"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/pending"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/schedule"
)

// DeviceFlow is the way of RFC 8628.
type DeviceFlow struct {
	Server  *AuthorizationServer
	Options device.Options
	// LocalOnly says that nothing could confirm whose grant it is but the local user's, since anybody can enter a
	// code.
	LocalOnly bool

	// Schedule has flights polled for.
	Schedule *schedule.Schedule

	// Flights are what processes that share a store share of it; nil: each is for itself. Key is the key of a
	// principal's record, and Failed is told of a store that fails.
	Flights *pending.Flights
	Key     func(Principal) string
	Failed  func(context.Context, Principal, error)
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

// Begin implements [Way]: it joins what another process has begun.
func (w DeviceFlow) Begin(ctx context.Context, a Asked) (Authorization, error) {
	now, release := ending.During(ctx)
	defer release()
	return w.Server.begin(now, a, false, func(server *oauth.Client) (Authorization, error) {
		client, err := device.New(server, w.Options)
		if err != nil {
			return nil, err
		}
		asked := pending.Asked{Server: server, Client: client, Schedule: w.Schedule, Want: a.Want, Joins: a.Joins, Settled: a.Settled, Brought: a.Brought, Arrived: a.Arrived, Share: a.Share}
		if w.Flights != nil {
			asked.Key = w.Key(a.Who)
			asked.Failed = func(err error) { w.Failed(context.WithoutCancel(ctx), a.Who, err) }
		}
		authorization, err := w.Flights.Begin(now, asked)
		if err != nil {
			return nil, err
		}
		return &deviceAuthorization{w.Server, server, authorization}, nil
	})
}

type deviceAuthorization struct {
	server *AuthorizationServer
	as     *oauth.Client // who asked
	shared *pending.Authorization
}

// Prompt implements [Authorization].
func (a *deviceAuthorization) Prompt() elicit.Prompt {
	return elicit.Prompt{
		VerificationURI:         a.shared.VerificationURI,
		VerificationURIComplete: a.shared.VerificationURIComplete,
		UserCode:                a.shared.UserCode,
		Expires:                 a.shared.Expires,
	}
}

// Start implements [Authorization]. The error is [pending.ErrElsewhere] if the store has what the flight has come to.
func (a *deviceAuthorization) Start(ctx context.Context, heard Heard, done func(*oauth.Token, error)) {
	a.shared.Start(ctx, heard.Polled, func(token *oauth.Token, err error) {
		a.server.refused(a.as, err)
		done(token, fromOthers(err))
	})
}

// Reached implements [Authorization].
func (*deviceAuthorization) Reached() bool { return true }

// Passed implements [Authorization]: anybody may have entered the code.
func (*deviceAuthorization) Passed() bool { return false }

// Moves implements [Authorization].
func (a *deviceAuthorization) Moves() bool { return a.shared.IsShared() }

// Shows implements [Authorization].
func (*deviceAuthorization) Shows(elicit.Prompt) {}

// End implements [Authorization]: the code lapses by itself, and what others wait for is cleared away.
func (a *deviceAuthorization) End(ctx context.Context, o Outcome) {
	ended := outcomeForOthers(o)
	ended.Closed = ended.Closed || o.Closing // the record has the token, and whoever comes brings it
	a.shared.End(ctx, ended)
}

// outcomeForOthers is what other processes learn of an outcome.
func outcomeForOthers(o Outcome) pending.Outcome {
	ended := pending.Outcome{Kept: !o.Unsaved, Err: o.Err, Closed: errors.Is(o.Err, ErrClosed), Unwanted: errors.Is(o.Err, ErrAbandoned)}
	switch {
	case errors.Is(o.Err, ErrUnverified):
		ended.Err = pending.ErrUnverified
	case errors.Is(o.Err, authcode.ErrExpired):
		ended.Err = pending.ErrLapsed
	}
	return ended
}

// fromOthers is what another process's outcome is here.
func fromOthers(err error) error {
	switch {
	case errors.Is(err, pending.ErrReplaced): // whoever waits looks again
		return ErrAbandoned
	case errors.Is(err, pending.ErrUnverified):
		return failure{ErrUnverified, err}
	case errors.Is(err, pending.ErrLapsed):
		return authcode.Lapsed(nil)
	}
	return err
}
