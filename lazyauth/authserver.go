package lazyauth

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
)

// An authorizationServer is the service's, whose endpoints are discovered when
// they are first needed.
type authorizationServer struct {
	config    device.Config // with the endpoints that the author has named
	issuer    string        // empty if there is nothing to be discovered
	anyIssuer bool

	mu      sync.Mutex // guards what follows; nothing waits under it
	found   *device.Client
	running *discovery
}

// A discovery is one look for the endpoints, for everybody who waits for it. A
// goroutine of its own runs it, since it is nobody's in particular: it ends with its
// result, or with the last who waits.
type discovery struct {
	ended  chan struct{}
	client *device.Client // once ended, unless err is set
	err    error          // once ended

	waiting int // guarded by the server's mu
	cancel  context.CancelFunc
}

func newAuthorizationServer(s *Service, transport http.RoundTripper) (*authorizationServer, error) {
	as := &authorizationServer{
		config: device.Config{
			Endpoints: device.Endpoints{
				Issuer:              s.Issuer,
				DeviceAuthorization: s.Endpoint.DeviceAuthURL,
				Token:               s.Endpoint.TokenURL,
				Revocation:          s.RevocationURL,
			},
			ClientID:     s.ClientID,
			ClientSecret: s.ClientSecret,
			AuthStyle:    s.Endpoint.AuthStyle,
			Params:       s.Params,
			UseComplete:  s.CompleteURI,
			UserAgent:    s.UserAgent,
			Transport:    transport,
		},
		anyIssuer: s.AnyIssuer,
	}
	var malformed error
	if s.Issuer != "" {
		malformed = device.CheckIssuer(s.Issuer)
	}
	if s.Endpoint.DeviceAuthURL == "" || s.Endpoint.TokenURL == "" {
		as.issuer = s.Issuer
		return as, errors.Join(malformed, as.config.CheckClient())
	}
	client, err := device.New(as.config)
	as.found = client
	return as, errors.Join(malformed, err)
}

// client returns the client for the service's endpoints. Whoever comes while they are
// discovered waits for that discovery, until ctx ends, and shares its failure. Whoever
// comes later begins another one: a failure is not remembered.
func (as *authorizationServer) client(ctx context.Context) (*device.Client, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	as.mu.Lock()
	if found := as.found; found != nil {
		as.mu.Unlock()
		return found, nil
	}
	d := as.running
	if d == nil {
		d = as.discover(ctx)
	}
	d.waiting++
	as.mu.Unlock()

	select {
	case <-d.ended:
		return d.client, d.err
	case <-ctx.Done():
	}
	as.mu.Lock()
	d.waiting--
	last := d.waiting == 0
	if last && as.running == d {
		as.running = nil // who comes now begins another
	}
	as.mu.Unlock()
	if last {
		// Close waits for those who wait here, and so for the discovery.
		d.cancel()
		<-d.ended
	}
	return nil, context.Cause(ctx)
}

// discover begins a discovery; as.mu is held.
func (as *authorizationServer) discover(ctx context.Context) *discovery {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	d := &discovery{ended: make(chan struct{}), cancel: cancel}
	as.running = d
	go func() {
		defer close(d.ended)
		defer cancel()
		d.client, d.err = as.look(ctx)
		as.mu.Lock()
		defer as.mu.Unlock()
		if d.err == nil && as.found == nil {
			as.found = d.client
		}
		if as.running == d {
			as.running = nil
		}
	}()
	return d
}

// look asks the issuer, which takes a bounded time.
func (as *authorizationServer) look(ctx context.Context) (*device.Client, error) {
	config := as.config
	endpoints, err := device.Discover(ctx, config.Transport, as.issuer, device.DiscoverOptions{
		AnyIssuer: as.anyIssuer,
		Given:     config.Endpoints,
		UserAgent: config.UserAgent,
	})
	if err != nil {
		return nil, err
	}
	config.Endpoints = endpoints
	return device.New(config)
}

func unsupported(err error) bool {
	if errors.Is(err, device.ErrUnsupported) {
		return true
	}
	e, ok := errors.AsType[*device.Error](err)
	if !ok {
		return false
	}
	switch e.Code {
	case "unsupported_grant_type", "device_flow_disabled":
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

// pollFault is what a trace is told of a poll that brought no answer, or an odd one.
func pollFault(e device.PollEvent) error {
	switch {
	case e.Detail == "" && e.Fault == "":
		return nil
	case e.Detail == "":
		return errors.New(e.Fault)
	case e.Fault == "":
		return errors.New(e.Detail)
	}
	return errors.New(e.Fault + " (" + e.Detail + ")")
}
