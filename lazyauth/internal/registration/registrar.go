package registration

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/records"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/shared"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// A Config says what is registered, and where that is kept.
type Config struct {
	// Metadata is what the program says of itself, at a server with these endpoints.
	Metadata func(oauth.Endpoints) oauth.ClientMetadata

	// Store keeps the registration; nil: this process does. What it holds is as secret as a
	// grant.
	Store store.Store
	// Key is that of the record. A program that registers with other metadata has another one.
	Key func(oauth.ClientMetadata) string

	Observer Observer
}

// An Observer is told what happens. Its methods hold up what they tell of, and must not panic.
type Observer interface {
	// Registered: a client was registered, in the place of the former one if that is not
	// empty; or, with an error, it was not.
	Registered(ctx context.Context, id, former string, took time.Duration, err error)
	// RegistrationStoreFailed: the registration could not be read from or written to the
	// store, and is this process's alone.
	RegistrationStoreFailed(ctx context.Context, err error)
}

// A Registrar keeps a program's registration at one authorization server. It is safe for
// concurrent use.
type Registrar struct {
	config  Config
	records *records.Records           // nil: there is no store
	having  shared.Work[*oauth.Client] // a client had

	mu      sync.Mutex  // guards what follows; nothing waits under it
	current *client     // nil: not known, or it was refused
	former  *registered // that was refused, and that another is to take the place of
	failure error       // why no client could be had, until then
	until   time.Time
	tries   int // in a row
}

// refused returns the id that the server does not know any more, empty if there is none; r.mu
// is held.
func (r *Registrar) refused() string {
	if r.former == nil {
		return ""
	}
	return r.former.Credentials.ID
}

// A client is a registered one.
type client struct {
	*registered
	oauth *oauth.Client
	sure  bool // the server is known to know it; guarded by the registrar's mu
}

// New returns a registrar. It does no I/O.
func New(config Config) *Registrar {
	r := &Registrar{config: config}
	if config.Store != nil {
		r.records = records.New(config.Store)
	}
	return r
}

// Client returns the program as the client that it is registered as, having registered it
// first if it is not: one registration for all who wait for it. Server is the authorization server,
// with whatever credentials. It blocks for as long as ctx and a store that does not answer
// let it, and for less than two minutes.
//
// Errors: those of [oauth.Client.Register], which are not tried again at once; ErrRefused with
// the code invalid_client while a client would have to be registered too soon after another.
func (r *Registrar) Client(ctx context.Context, server *oauth.Client) (*oauth.Client, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if as, err := r.known(); as != nil || err != nil {
		return as, err
	}
	return r.having.Do(ctx, "a registration", func(ctx context.Context) (*oauth.Client, error) {
		if as, err := r.known(); as != nil || err != nil { // since a moment ago
			return as, err
		}
		return r.have(ctx, server)
	})
}

// known returns the client if there is one, and why there is none if that stands; nil and nil if
// one is to be had.
func (r *Registrar) known() (*oauth.Client, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.current; c != nil && !c.hasEnded() {
		return c.oauth, nil
	}
	if left := time.Until(r.until); r.failure != nil && left > 0 {
		return nil, after(r.failure, left)
	}
	return nil, nil //nolint:nilnil // it is not known
}

// after returns err, with how long it stands.
func after(err error, left time.Duration) error {
	if e, ok := errors.AsType[*oauth.Error](err); ok {
		copied := *e
		copied.RetryAfter = left
		return &copied
	}
	return err
}

// have gets the program a client, and notes it, or why there is none.
func (r *Registrar) have(ctx context.Context, server *oauth.Client) (*oauth.Client, error) {
	r.mu.Lock()
	former, refused := r.former, r.refused()
	if r.current != nil { // whose secret has ended
		former = r.current.registered
	}
	r.mu.Unlock()
	var found *client
	err := guard.Call("a registration", func() (err error) {
		found, err = r.obtain(ctx, server, former, refused)
		return err
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil {
			r.fails(err)
		}
		return nil, err
	}
	r.current, r.failure, r.tries = found, nil, 0
	return found.oauth, nil
}

const (
	// leastRetry and mostRetry bound how long no client is registered after a failure: it is
	// doubled with each.
	leastRetry = 5 * time.Second
	mostRetry  = 5 * time.Minute
)

// fails notes why no client could be had; r.mu is held.
func (r *Registrar) fails(err error) {
	pause := min(leastRetry<<min(r.tries, 8), mostRetry)
	if e, ok := errors.AsType[*oauth.Error](err); ok {
		pause = min(max(pause, e.RetryAfter), mostRetry)
	}
	r.tries++
	r.failure, r.until = err, time.Now().Add(pause)
}

// obtain returns the client that another process has registered, or else a new one. It is not
// one with the id that was refused.
func (r *Registrar) obtain(ctx context.Context, server *oauth.Client, former *registered, refused string) (*client, error) {
	metadata := r.config.Metadata(server.Endpoints())
	if r.config.Store == nil {
		return r.register(ctx, server, metadata, former)
	}
	key := r.config.Key(metadata)
	if found := r.read(ctx, server, key); found.serves(refused) {
		return found, nil
	}
	var got *client
	var failed error
	asked, err := r.records.Update(ctx, key, func(old []byte) records.Decision {
		found, err := r.decode(server, old)
		switch {
		case found.serves(refused):
			got = found
			return records.Decision{}
		case found != nil:
			got, failed = r.register(ctx, server, metadata, found.registered)
		default:
			got, failed = r.register(ctx, server, metadata, nil)
		}
		if failed != nil || errors.Is(err, errForeign) {
			return records.Decision{}
		}
		return records.Put(got.encode())
	})
	if err != nil && ctx.Err() == nil {
		r.config.Observer.RegistrationStoreFailed(ctx, err)
		if !asked { // the store could not even be read: do without
			return r.register(ctx, server, metadata, former)
		}
	}
	switch {
	case failed != nil:
		return nil, failed
	case got == nil:
		return nil, err
	}
	return got, nil
}

// serves reports whether a client can be used, of which this id is not known any more.
func (c *client) serves(refused string) bool {
	return c != nil && c.Credentials.ID != refused && !c.hasEnded()
}

// decode returns the client of a record, nil if there is none, or none that can be read.
func (r *Registrar) decode(server *oauth.Client, text []byte) (*client, error) {
	if text == nil {
		return nil, nil //nolint:nilnil // there is none
	}
	found, as, err := decode(server, text)
	if err != nil {
		return nil, err
	}
	return &client{registered: found, oauth: as}, nil
}

// read returns the client that the store has, nil if there is none to be had.
func (r *Registrar) read(ctx context.Context, server *oauth.Client, key string) *client {
	text, err := r.records.Load(ctx, key)
	if err == nil {
		var found *client
		if found, err = r.decode(server, text); found != nil {
			return found
		}
	}
	if err != nil && ctx.Err() == nil {
		r.config.Observer.RegistrationStoreFailed(ctx, err)
	}
	return nil
}

// ErrTooSoon is an oauth.ErrRefused: there is no client until the error's RetryAfter has passed.
var ErrTooSoon = fmt.Errorf("%w: a client that was registered a short while ago is not good any more, and no other one is registered yet", oauth.ErrRefused)

// register registers a client in the place of former, which may be nil.
func (r *Registrar) register(ctx context.Context, server *oauth.Client, metadata oauth.ClientMetadata, former *registered) (*client, error) {
	replaced := ""
	if former != nil {
		replaced = former.Credentials.ID
		if left := former.pause(); left > 0 {
			return nil, &oauth.Error{
				Op: "registration", Kind: ErrTooSoon, Code: "invalid_client", RetryAfter: left,
			}
		}
	}
	limited, cancel := context.WithTimeout(ctx, records.ExchangeWait)
	defer cancel()
	began := time.Now()
	made, err := server.Register(limited, metadata)
	var as *oauth.Client
	if err == nil {
		as, err = server.WithCredentials(made.Credentials)
	}
	if err != nil {
		if ctx.Err() == nil {
			r.config.Observer.Registered(ctx, "", replaced, time.Since(began), err)
		}
		return nil, err
	}
	r.config.Observer.Registered(ctx, made.Credentials.ID, replaced, time.Since(began), nil)
	return &client{registered: &registered{Registration: *made, at: time.Now(), row: former.next()}, oauth: as, sure: true}, nil
}

// Of returns the program as the registered client of this id; nil if that is not known here,
// or not any more. It registers nothing, and looks into the store once.
func (r *Registrar) Of(ctx context.Context, server *oauth.Client, id string) *oauth.Client {
	r.mu.Lock()
	now, refused := r.current, r.refused()
	r.mu.Unlock()
	if now == nil && r.config.Store != nil && id != refused {
		found := r.read(ctx, server, r.config.Key(r.config.Metadata(server.Endpoints())))
		if found.serves(refused) {
			r.mu.Lock()
			if r.current == nil {
				r.current = found
			}
			now = r.current
			r.mu.Unlock()
		}
	}
	if now == nil || now.Credentials.ID != id {
		return nil
	}
	return now.oauth
}

// Refused notes that the server does not know the client of this id, and reports whether that
// was the registered one: another will be registered when it is needed.
func (r *Registrar) Refused(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current != nil && r.current.Credentials.ID == id {
		r.former, r.current = r.current.registered, nil
	}
	return id != "" && r.refused() == id
}

// IsSure reports whether the server is known to know the client of this id, if it is the
// registered one.
func (r *Registrar) IsSure(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current == nil || r.current.Credentials.ID != id || r.current.sure
}

// Sure notes whether the server is known to know the client of this id.
func (r *Registrar) Sure(id string, sure bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.current; c != nil && c.Credentials.ID == id {
		c.sure = sure
	}
}
