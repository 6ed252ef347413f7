package grants

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/shared"
)

// An AuthorizationServer is a service's, whose endpoints are discovered when
// they are first needed.
type AuthorizationServer struct {
	config    oauth.Config // with the endpoints that the author has named
	issuer    string       // empty if there is nothing to be discovered
	wants     []func(oauth.Endpoints) error
	anyIssuer bool
	clients   Clients

	discovery shared.Work[*oauth.Client]

	mu    sync.Mutex // guards what follows; nothing waits under it
	found *oauth.Client
	other *oauth.Client // found, as the client that was last named and is not the configured one
}

// NewAuthorizationServer returns the authorization server that config names; what it does
// not name of endpoints is discovered at config.Endpoints.Issuer, if one of wants misses any. It
// does no I/O. Each of wants says what one of the flows misses, by an oauth.ErrUnsupported: what
// is found must do for one of them. anyIssuer is that of oauth.DiscoverOptions.
func NewAuthorizationServer(config oauth.Config, clients Clients, anyIssuer bool, wants ...func(oauth.Endpoints) error) (*AuthorizationServer, error) {
	as := &AuthorizationServer{config: config, clients: clients, wants: wants, anyIssuer: anyIssuer}
	var malformed error
	if config.Endpoints.Issuer != "" {
		malformed = oauth.CheckIssuer(config.Endpoints.Issuer)
	}
	missing := as.missing(config.Endpoints)
	if config.Endpoints.Token == "" || len(missing) == len(wants) ||
		config.Endpoints.Issuer != "" && (len(missing) > 0 || clients.needMetadata(config.Credentials.ID)) {
		as.issuer = config.Endpoints.Issuer
		return as, errors.Join(malformed, as.config.CheckClient())
	}
	client, err := oauth.New(as.config)
	as.found = client
	return as, errors.Join(malformed, err)
}

// missing returns what each of the flows misses, of those that miss anything.
func (as *AuthorizationServer) missing(e oauth.Endpoints) []error {
	var missing []error
	for _, want := range as.wants {
		if err := want(e); err != nil {
			missing = append(missing, err)
		}
	}
	return missing
}

// Configured returns the client that the program is configured with, for the endpoints that are
// found, whoever else a person may be asked as.
func (as *AuthorizationServer) Configured(ctx context.Context) (*oauth.Client, error) {
	return as.client(ctx)
}

// lacks is the Want of oauth.DiscoverOptions.
func (as *AuthorizationServer) lacks(e oauth.Endpoints) error {
	missing := as.missing(e)
	switch {
	case len(missing) < len(as.wants):
		return nil
	case len(missing) == 1:
		return missing[0]
	}
	var why []string
	for _, err := range missing {
		why = append(why, err.Error())
	}
	return fmt.Errorf("%w: %s", ErrNoFlow, strings.Join(why, "; "))
}

// client returns the client for the service's endpoints. Whoever comes while they are
// discovered waits for that discovery, until ctx ends, and shares its failure. Whoever
// comes later begins another one: a failure is not remembered. Close waits for those who wait
// here, and so for the discovery.
func (as *AuthorizationServer) client(ctx context.Context) (*oauth.Client, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if found := as.known(); found != nil {
		return found, nil
	}
	return as.discovery.Do(ctx, "discovery", func(ctx context.Context) (*oauth.Client, error) {
		if found := as.known(); found != nil { // since a moment ago
			return found, nil
		}
		client, err := as.look(ctx)
		if err != nil {
			return nil, err
		}
		as.mu.Lock()
		defer as.mu.Unlock()
		if as.found == nil {
			as.found = client
		}
		return client, nil
	})
}

// known returns the client for the endpoints, nil if they are not known.
func (as *AuthorizationServer) known() *oauth.Client {
	as.mu.Lock()
	defer as.mu.Unlock()
	return as.found
}

// look asks the issuer, which takes a bounded time.
func (as *AuthorizationServer) look(ctx context.Context) (*oauth.Client, error) {
	config := as.config
	endpoints, err := oauth.Discover(ctx, config.Transport, as.issuer, oauth.DiscoverOptions{
		AnyIssuer: as.anyIssuer,
		Given:     config.Endpoints,
		Want:      as.lacks,
		UserAgent: config.UserAgent,
	})
	if err != nil {
		return nil, err
	}
	config.Endpoints = endpoints
	return oauth.New(config)
}
