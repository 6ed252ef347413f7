package grants

import (
	"context"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// A Way is how a flight gets its prompt and then its token. Everything else about a flight
// knows not which it is.
type Way interface {
	// Begin asks the authorization server for what a person can be shown. It calls want,
	// once and when all else is ready, for what it asks for, which may take a moment.
	Begin(ctx context.Context, want func(context.Context) scopes.Set) (Authorization, error)
}

// An Authorization waits for a person's decision.
type Authorization interface {
	// Prompt returns what the person is shown. The way sets its links, its code, if it
	// has one, and its end; the flight sets the rest.
	Prompt() elicit.Prompt
	// Wait returns the token once the person has approved. It ends with ctx, and by
	// itself once the prompt has expired. Each answer of the server is told to polled.
	Wait(ctx context.Context, polled func(device.PollEvent)) (*device.Token, error)
}

// DeviceFlow is the way of RFC 8628.
type DeviceFlow struct{ Server *AuthorizationServer }

// Begin implements [Way].
func (w DeviceFlow) Begin(ctx context.Context, want func(context.Context) scopes.Set) (Authorization, error) {
	client, err := w.Server.client(ctx)
	if err != nil {
		return nil, err
	}
	authorization, err := client.Authorize(ctx, want(ctx))
	if err != nil {
		return nil, err
	}
	return deviceAuthorization{client, authorization}, nil
}

type deviceAuthorization struct {
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
func (a deviceAuthorization) Wait(ctx context.Context, polled func(device.PollEvent)) (*device.Token, error) {
	return a.client.Poll(ctx, a.authorization, polled)
}
