package lazyauth

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// An Interceptor stands between a server's tools and their callers, and keeps
// the grants of one [Service]. Its methods are safe for concurrent use.
type Interceptor struct {
	*keeper
	origins origins
	sealer  *elicit.Sealer
	calls   table
	seed    maphash.Seed

	// session is the one that speaks for the local user; see principal.
	session atomic.Pointer[mcp.ServerSession]
	local   *person
	owners  sync.Map // Principal → *person, for everybody else

	installed sync.Map // weak.Pointer[mcp.Server] → struct{}
	tools     sync.Map // names registered with AddTool → struct{}

	gates   sync.Mutex
	bits    map[scopes.Requirement]uint64 // see grant.open
	limit   scopes.Set                    // see Options.MaxScopes
	running map[*held]struct{}            // guarded by keeper.mu
}

// New returns an interceptor for service; nil options mean the defaults. It
// validates what it is given and does no I/O: nothing is contacted before a
// call needs it. The caller must [Interceptor.Close] it.
func New(service Service, options *Options) (*Interceptor, error) {
	if err := service.validate(); err != nil {
		return nil, err
	}
	o, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	if service.Dialect == nil {
		service.Dialect = scopes.BearerDemand
	}
	allowed, err := parseOrigins(service.API)
	if err != nil {
		return nil, err
	}
	server, err := newAuthorizationServer(&service, o.Transport)
	if err != nil {
		return nil, fmt.Errorf("lazyauth: Service: %w", err)
	}
	sealer, err := elicit.NewSealer(o.StateKeys...)
	if err != nil {
		return nil, fmt.Errorf("lazyauth: Options.StateKeys: %w", err)
	}
	if o.SingleUser && o.Principal != nil {
		return nil, errors.New("lazyauth: Options has both SingleUser and Principal: set one of them")
	}
	i := &Interceptor{
		keeper:  &keeper{service: service, options: o, server: server, epoch: time.Now()},
		origins: allowed,
		sealer:  sealer,
		calls:   table{max: o.MaxCalls},
		seed:    maphash.MakeSeed(),
		bits:    make(map[scopes.Requirement]uint64),
		limit:   service.Scopes.Union(o.MaxScopes),
		running: make(map[*held]struct{}),
	}
	i.ctx, i.cancel = context.WithCancelCause(context.Background())
	i.local = newPerson(i.keeper, Principal{})
	return i, nil
}

// Format writes what the service's Format does.
func (i *Interceptor) Format(f fmt.State, verb rune) { i.service.Format(f, verb) }

// Close ends all flights, waits and held calls, and waits at most five seconds
// for handlers to return; its error names those that ignored their context.
// Calls that come later fail. The grants are forgotten, and revoked only if
// [Options.RevokeOnClose] allows time for that; a failure to is an error that wraps
// [ErrNotRevoked]. What a store keeps it keeps. Close may be called more than once.
func (i *Interceptor) Close() error {
	i.mu.Lock()
	i.closed = true
	running := slices.Collect(maps.Keys(i.running)) // of which there will be no more
	i.mu.Unlock()
	for _, h := range running { // a call that starts has its own mutex locked, and then ours
		h.giveUp(i.fail(Unavailable, errClosed))
	}
	i.cancel(errClosed)
	i.calls.clear()
	var grants []*grant // no flight stores one from now on
	drop := func(o *person) {
		if g := o.drop(); g != nil && !g.configured {
			grants = append(grants, g)
		}
	}
	drop(i.local)
	i.owners.Range(func(_, o any) bool {
		drop(o.(*person))
		return true
	})
	return errors.Join(i.join(), i.revokeAll(grants))
}

// join waits for every goroutine, for a while.
func (i *Interceptor) join() error {
	ended := make(chan struct{})
	go func() {
		i.wg.Wait()
		close(ended)
	}()
	timer := time.NewTimer(closeWait)
	defer timer.Stop()
	select {
	case <-ended:
		return nil
	case <-timer.C:
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	var tools []string
	for h := range i.running {
		tools = append(tools, h.gate.tool)
	}
	if len(tools) == 0 {
		return errors.New("lazyauth: a request to the authorization server did not end when it was cancelled")
	}
	slices.Sort(tools)
	return fmt.Errorf("lazyauth: handlers ignored that their context ended: %s", strings.Join(slices.Compact(tools), ", "))
}

// spawnHeld is spawn for the handler of a held call, which Close cancels and
// can name.
func (i *Interceptor) spawnHeld(h *held, f func()) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return false
	}
	i.running[h] = struct{}{}
	i.wg.Go(func() {
		defer func() {
			i.mu.Lock()
			defer i.mu.Unlock()
			delete(i.running, h)
		}()
		f()
	})
	return true
}
