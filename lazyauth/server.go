package lazyauth

import (
	"context"
	"errors"
	"net/http"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
)

// An authorizationServer is the service's, whose endpoints are discovered when
// they are first needed. A failed discovery is not remembered.
type authorizationServer struct {
	config    device.Config
	issuer    string // empty if the endpoints are configured
	anyIssuer bool
	transport http.RoundTripper

	// found holds the client, once there is one. Who takes it out owns the
	// discovery until it puts it back.
	found chan *device.Client
}

func newAuthorizationServer(s *Service, transport http.RoundTripper) (*authorizationServer, error) {
	as := &authorizationServer{
		config: device.Config{
			Endpoints: device.Endpoints{
				DeviceAuthorization: s.Endpoint.DeviceAuthURL,
				Token:               s.Endpoint.TokenURL,
				Revocation:          s.RevocationURL,
			},
			ClientID:     s.ClientID,
			ClientSecret: s.ClientSecret,
			AuthStyle:    s.Endpoint.AuthStyle,
			Params:       s.Params,
			UseComplete:  s.CompleteURI,
			Transport:    transport,
		},
		issuer:    s.Issuer,
		anyIssuer: s.AnyIssuer,
		transport: transport,
		found:     make(chan *device.Client, 1),
	}
	if s.Issuer != "" {
		as.found <- nil
		return as, errors.Join(device.CheckIssuer(s.Issuer), as.config.CheckClient())
	}
	client, err := device.New(as.config)
	as.found <- client
	return as, err
}

// client returns the client for the service's endpoints.
func (as *authorizationServer) client(ctx context.Context) (client *device.Client, err error) {
	select {
	case client = <-as.found:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { as.found <- client }()
	if client != nil {
		return client, nil
	}
	endpoints, err := device.Discover(ctx, as.transport, as.issuer, device.DiscoverOptions{AnyIssuer: as.anyIssuer})
	if err != nil {
		return nil, err
	}
	config := as.config
	config.Endpoints = endpoints
	return device.New(config)
}

func unsupported(err error) bool {
	e, ok := errors.AsType[*device.Error](err)
	if !ok {
		return false
	}
	switch e.Code {
	case "unsupported_grant_type", "unauthorized_client", "device_flow_disabled":
		return true
	}
	return false
}

// causeOf returns what a trace is told of a failure.
func causeOf(err error) (Reason, error) {
	var reason Reason
	if e, ok := errors.AsType[*Error](err); ok {
		reason, err = e.Reason, e.Cause
	}
	if e, ok := errors.AsType[*device.Error](err); ok && e.Detail != "" {
		err = operatorError{e}
	}
	return reason, err
}

// An operatorError adds to a device error what is for logs only.
type operatorError struct{ err *device.Error }

func (e operatorError) Error() string { return e.err.Error() + " (" + e.err.Detail + ")" }
func (e operatorError) Unwrap() error { return e.err }
