package lazyauth

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/bars"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/state"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/workers"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

// An Interceptor stands between a server's tools and their callers, and keeps
// the grants of one [Service]. Its methods are safe for concurrent use.
type Interceptor struct {
	service  Service
	options  Options
	observer observer
	late     *guard.Late // callbacks that did not return in time
	origins  origins
	argument string // that names the account; see AccountFromArgument
	standIns *standIns
	persons  *persons
	hide     func() // the grants, from the connect page
	sealer   *state.Sealer
	replicas replicas // nil: this process is alone
	seed     maphash.Seed
	epoch    time.Time

	keeper    *grants.Keeper
	people    *asking.People
	local     *asking.Person
	suspended *state.Table[grants.Principal, *suspended] // by Person.QuotaKey
	strangers strangers
	handlers  *workers.Pool // which runs those of suspended calls

	// session is the one that speaks for the local user; see principal.
	session   atomic.Pointer[mcp.ServerSession]
	installed sync.Map               // weak.Pointer[mcp.Server] → struct{}
	tools     sync.Map               // names registered with AddTool → struct{}
	gated     sync.Map               // names of all tools that need a grant → struct{}
	warned    sync.Map               // names of tools that were warned of → struct{}
	signIn    atomic.Pointer[string] // the name of the prompt for the person who changes their mind

	mu    sync.Mutex
	limit scopes.Set // see Options.MaxScopes
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
	service.Flows, service.ClientIDHosts = slices.Clone(service.Flows), slices.Clone(service.ClientIDHosts) // the author's own may change
	allowed, err := parseOrigins(service.APIOrigins)
	if err != nil {
		return nil, err
	}
	observer, late := newObserver(&service, o.Trace, o.Audit), new(guard.Late)
	transport := guardedTransport{o.Transport, callbacks{late, observer}}
	toServer := awaitedTransport{transport}
	var incarnation string
	o.replicas, incarnation = replicasOf(o.Store)
	sealer, err := state.NewSealer(incarnation, o.StateKeys...)
	if err != nil {
		return nil, fmt.Errorf("lazyauth: Options.StateKeys: %w", err)
	}
	if o.InsecureSingleUser && o.Principal != nil {
		return nil, errors.New("lazyauth: Options has both InsecureSingleUser and Principal: set one of them")
	}
	i := &Interceptor{
		service:  service,
		options:  o,
		observer: observer,
		late:     late,
		origins:  allowed,
		argument: argumentOf(o.Account),
		sealer:   sealer,
		replicas: o.replicas,
		seed:     maphash.MakeSeed(),
		epoch:    time.Now(),
		limit:    service.Scopes.Union(o.MaxScopes),
	}
	// Who needs them has them; what is here may be printed by way of reflection.
	i.service.ClientSecret, i.options.StateKeys = "", nil
	i.suspended = state.NewTable[grants.Principal](o.MaxCalls, i.now, (*suspended).unnamed)
	i.options.Transport = transport
	transport.wrap(i, &i.options, &i.service)
	shared := newSharedFlights(&i.service, &i.options, i.observer)
	server, ways, err := service.ways(toServer, &i.options, i.observer, shared)
	if err != nil {
		return nil, err
	}
	unasked, err := unattendedWays(&service, server, &o, callbacks{late, observer}, toServer)
	if err != nil {
		return nil, err
	}
	i.options.Unattended, i.options.Audit = nil, nil // they have secrets
	i.persons = &persons{
		book: bars.New(i.options.Store, service.bookName()), server: server,
		failed: func(ctx context.Context, who grants.Principal, err error) { i.observer.storeFailed(ctx, who, err) },
		ended:  i.observer.audit.endedMeanwhile,
	}
	for _, w := range unasked {
		w.token = i.persons.guard(w.token)
	}
	keeping := i.keeping(server, i.persons.guards(ways), toServer)
	keeping.Forgotten, keeping.Places, keeping.PlacesOf = shared.forgotten, shared.places, shared.placesOf
	i.keeper = grants.New(keeping)
	shared.keeper, shared.server = i.keeper, server
	i.handlers = workers.New(func(f func()) bool { return i.keeper.Spawn(handlerRuns, f) })
	i.people = asking.NewPeople(asking.Config{
		Keeper: i.keeper, Service: service.Name, Epoch: i.epoch,
		MaxWait: i.maxWait, ShowsProgress: i.showsProgress, Wording: i.wording,
		OpensBrowser: o.OpenBrowser != nil, TextAfterDecline: o.InsecureTextAfterDecline, Observer: i.observer,
		MayAsk:   func(who grants.Principal) error { return i.mayAsk(Principal(who)) },
		Declined: shared.declined,
	})
	i.local = i.people.Person(grants.Principal{})
	i.standIns = newStandIns(unasked, i.keeper, i.people)
	i.persons.keeper, i.persons.standIns = i.keeper, i.standIns
	i.hide = showOn(service.ConnectPage, i, o.StateKeys)
	return i, nil
}

// keeping says how grants are kept.
func (i *Interceptor) keeping(server *grants.AuthorizationServer, ways []grants.Way, transport http.RoundTripper) grants.Config {
	config := grants.Config{
		Service: i.service.Name, Scopes: i.service.Scopes, Words: i.service.inWords, Hierarchy: i.service.Hierarchy, Declared: i.ceiling,
		Ways: ways, Server: server,
		Store:    i.options.Store,
		Key:      func(who grants.Principal) string { return i.service.storeKey(Principal(who)) },
		Restored: i.persons.restored,

		UserInfo: i.service.UserInfo, Transport: transport, UserAgent: i.service.UserAgent,
		Token: i.options.Token, MaxSignIns: i.options.MaxSignIns, MaxWaiting: i.options.MaxCalls,
		RevokeOnClose: i.options.RevokeOnClose, Observer: i.observer,
	}
	verify := i.options.VerifyUser
	config.Verify = func(ctx context.Context, who grants.Principal, token *oauth2.Token, passed bool) error {
		if err := i.persons.restored(ctx, who); err != nil { // once more, since that may have come just now
			return err
		}
		switch {
		case verify != nil: // which may say more than who sat at a browser
			return verify(ctx, Principal(who), token)
		case passed:
			return nil
		}
		return errNoVerifyUser // a flow was taken in which somebody else can have approved
	}
	if identify := i.options.Identify; identify != nil {
		config.Identify = func(ctx context.Context, token *oauth2.Token) (grants.Identity, error) {
			id, err := identify(ctx, token)
			return grants.Identity(id), err
		}
	}
	return config
}

// Format writes what the service's Format does.
func (i *Interceptor) Format(f fmt.State, verb rune) { i.service.Format(f, verb) }

// now is the time since the interceptor was made, on the monotonic clock.
func (i *Interceptor) now() time.Duration { return time.Since(i.epoch) }

// Close ends all flights, waits and suspended calls, and waits at most five seconds
// for handlers to return; its error names those that ignored their context.
// Calls that come later fail. The grants are forgotten, and revoked only if
// [Options.RevokeOnClose] allows time for that; a failure to is an error that wraps
// [ErrNotRevoked]. What a store keeps it keeps. Close may be called more than once.
func (i *Interceptor) Close() error {
	i.hide()
	i.closeHandlers(i.fail(ReasonUnavailable, grants.ErrClosed))
	i.suspended.Close()
	dropped := i.keeper.Close()
	i.standIns.close()
	i.persons.close()
	return errors.Join(i.join(), i.keeper.RevokeAll(dropped), i.observer.audit.close(closeWait))
}

// handlerRuns is what Close does not name by itself: it knows which handler.
const handlerRuns = "a handler"

// join waits for every goroutine, for a while. Its error names what did not end.
func (i *Interceptor) join() error {
	began := time.Now()
	still := slices.DeleteFunc(i.keeper.Join(closeWait), func(what string) bool { return what == handlerRuns })
	var errs []error
	if tools := runningTools(i.handlers); len(tools) > 0 {
		errs = append(errs, fmt.Errorf("lazyauth: handlers ignored that their context ended: %s", strings.Join(tools, ", ")))
	}
	if len(still) > 0 {
		errs = append(errs, fmt.Errorf("lazyauth: did not end when it was cancelled: %s", strings.Join(still, ", ")))
	}
	if late := i.late.Join(closeWait - time.Since(began)); len(late) > 0 {
		errs = append(errs, fmt.Errorf("lazyauth: callbacks ignored that their time was over: %s", strings.Join(late, ", ")))
	}
	return errors.Join(errs...)
}
