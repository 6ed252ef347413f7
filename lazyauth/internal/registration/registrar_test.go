package registration_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/registration"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// events are what the observer was told.
type events struct {
	mu         sync.Mutex
	registered []string // the ids, and the former ones
	failed     []error
	stores     []error
}

func (e *events) Registered(_ context.Context, id, former string, _ time.Duration, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		e.failed = append(e.failed, err)
		return
	}
	e.registered = append(e.registered, id, former)
}

func (e *events) RegistrationStoreFailed(_ context.Context, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stores = append(e.stores, err)
}

// A process registers itself, at a server that it shares with others.
type process struct {
	t      *testing.T
	as     *fakeas.Server
	server *oauth.Client
	*registration.Registrar
	events
}

func newServer(t *testing.T, o fakeas.Options) *fakeas.Server {
	t.Helper()
	o.Registration = true
	as := fakeas.New(&o)
	t.Cleanup(func() {
		for _, v := range as.Violations() {
			t.Errorf("violation: %v", v)
		}
	})
	return as
}

func newProcess(t *testing.T, as *fakeas.Server, s store.Store) *process {
	t.Helper()
	endpoints, err := oauth.Discover(t.Context(), as.Transport(), as.Issuer(), oauth.DiscoverOptions{})
	if err != nil {
		t.Fatal(err)
	}
	server, err := oauth.New(oauth.Config{Endpoints: endpoints, Transport: as.Transport()})
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, as: as, server: server}
	p.Registrar = registration.New(registration.Config{
		Metadata: func(e oauth.Endpoints) oauth.ClientMetadata {
			if e != endpoints {
				t.Errorf("registered for %+v", e)
			}
			return oauth.ClientMetadata{ClientName: "Notes", GrantTypes: []string{"urn:ietf:params:oauth:grant-type:device_code"}}
		},
		Store: s, Key: func(m oauth.ClientMetadata) string { return m.ClientName + " client" }, Observer: &p.events,
	})
	return p
}

// is returns the id of the client that the process is.
func (p *process) is() string {
	p.t.Helper()
	c, err := p.Client(p.t.Context(), p.server)
	if err != nil {
		p.t.Fatal(err)
	}
	return c.ClientID()
}

// isNot checks that the process gets no client, for so long.
func (p *process) isNot(kind error, for_ time.Duration) {
	p.t.Helper()
	c, err := p.Client(p.t.Context(), p.server)
	e, ok := errors.AsType[*oauth.Error](err)
	if !ok || !errors.Is(err, kind) || e.RetryAfter != for_ {
		p.t.Errorf("%v, %v (%+v); want %v for %v", c, err, e, kind, for_)
	}
}

func (p *process) forgets(id string) {
	p.t.Helper()
	p.as.ForgetClient(id)
	if !p.Refused(id) {
		p.t.Errorf("%s was not the registered one", id)
	}
}

func wants(t *testing.T, as *fakeas.Server, n int) {
	t.Helper()
	if got := as.Count(fakeas.Registration, ""); got != n {
		t.Errorf("%d registrations; want %d", got, n)
	}
}

// Many calls in two processes that share a store are one client, as is a process that is
// started later. Without a store each process is one.
func TestRegistrar_Once(t *testing.T) {
	for name, kept := range map[string]store.Store{"a store": store.Memory(), "none": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := newServer(t, fakeas.Options{Latency: time.Second})
				one, two := newProcess(t, as, kept), newProcess(t, as, kept)
				var mu sync.Mutex
				ids := make(map[string]bool)
				var calls sync.WaitGroup
				for _, p := range []*process{one, two} {
					for range 50 {
						calls.Go(func() {
							id := p.is()
							mu.Lock()
							defer mu.Unlock()
							ids[id] = true
						})
					}
				}
				calls.Wait()
				ids[one.is()] = true
				clients := 1
				if kept == nil {
					clients = 2
				} else {
					ids[newProcess(t, as, kept).is()] = true
				}
				if len(ids) != clients {
					t.Errorf("they are %v", ids)
				}
				wants(t, as, clients)
			})
		})
	}
}

// A server that has forgotten the client gets another one, a minute after the last, and
// later each time; and one that has kept it for a day is not of that row.
func TestRegistrar_Forgotten(t *testing.T) {
	for name, kept := range map[string]store.Store{"a store": store.Memory(), "none": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := newServer(t, fakeas.Options{})
				p := newProcess(t, as, kept)
				first := p.is()
				time.Sleep(20 * time.Second)
				p.forgets(first)
				if p.Refused("another") {
					t.Error("another client was the registered one")
				}
				p.isNot(registration.ErrTooSoon, 40*time.Second)
				time.Sleep(time.Second)
				p.isNot(registration.ErrTooSoon, 39*time.Second)
				time.Sleep(39 * time.Second)
				second := p.is()
				wants(t, as, 2)
				if first == second || p.registered[3] != first {
					t.Errorf("%q", p.registered)
				}
				time.Sleep(time.Minute)
				p.forgets(second)
				p.isNot(oauth.ErrRefused, time.Minute)
				time.Sleep(time.Minute)
				third := p.is()
				time.Sleep(25 * time.Hour)
				p.forgets(third)
				fourth := p.is()
				p.forgets(fourth)
				p.isNot(oauth.ErrRefused, time.Minute)
				wants(t, as, 4)
			})
		})
	}
}

// However often it forgets them, a server gets no more than so many clients.
func TestRegistrar_NoStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := newServer(t, fakeas.Options{})
		kept := store.Memory()
		p := newProcess(t, as, kept)
		for n := range 24 * 60 {
			if n%10 == 0 {
				p = newProcess(t, as, kept) // a server that is started again and again
			}
			if c, err := p.Client(t.Context(), p.server); err == nil {
				p.Refused(c.ClientID())
			}
			time.Sleep(time.Minute)
		}
		if n := as.Count(fakeas.Registration, ""); n < 8 || n > 12 {
			t.Errorf("%d registrations in a day", n)
		}
	})
}

// A process whose client was forgotten takes the one that another has registered since.
func TestRegistrar_AnotherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as, kept := newServer(t, fakeas.Options{}), store.Memory()
		one, two := newProcess(t, as, kept), newProcess(t, as, kept)
		first := one.is()
		if two.is() != first {
			t.Error("they differ")
		}
		time.Sleep(time.Hour)
		one.forgets(first)
		second := one.is()
		if c := two.Of(t.Context(), two.server, second); c != nil {
			t.Error("it is another one already") // it has not heard of it
		}
		two.forgets(first)
		if c := two.Of(t.Context(), two.server, second); c == nil || c.ClientID() != second {
			t.Error("it is not found")
		}
		if got := two.is(); got != second {
			t.Errorf("%s; want %s", got, second)
		}
		if c := two.Of(t.Context(), two.server, first); c != nil {
			t.Error("the forgotten one is found")
		}
		wants(t, as, 2)
	})
}

// withSecret has the server give a secret, asked or not, which ends.
func withSecret(life time.Duration) fakeas.Behaviour {
	return fakeas.Edit(func(_ *http.Request, a *fakeas.Answer) {
		a.Members["client_secret"] = "cs_secret"
		a.Members["token_endpoint_auth_method"] = "client_secret_post"
		a.Members["client_secret_expires_at"] = time.Now().Add(life).Unix()
	})
}

// A client whose secret has ended is replaced, whoever finds that out, and however often.
func TestRegistrar_SecretEnds(t *testing.T) {
	for name, kept := range map[string]store.Store{"a store": store.Memory(), "none": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := newServer(t, fakeas.Options{})
				as.Script(fakeas.Registration, withSecret(time.Hour).Times(-1))
				p := newProcess(t, as, kept)
				last := p.is()
				for range 5 {
					time.Sleep(58 * time.Minute)
					if p.is() != last {
						t.Error("it was replaced before its end")
					}
					time.Sleep(2 * time.Minute)
					if kept != nil {
						p = newProcess(t, as, kept)
					}
					now := p.is()
					if now == last {
						t.Error("it was not replaced")
					}
					last = now
				}
				wants(t, as, 6)
				for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
					if text := fmt.Sprintf(verb, p.Registrar); strings.Contains(text, "cs_secret") {
						t.Errorf("%s writes the secret", verb)
					}
				}
			})
		})
	}
}

// A registration that fails is everybody's failure, and not tried again at once.
func TestRegistrar_Fails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := newServer(t, fakeas.Options{})
		as.Script(fakeas.Registration, fakeas.Unavailable(503, 0).Times(2), fakeas.Unavailable(503, time.Minute), fakeas.Error(400, "invalid_client_metadata"))
		p := newProcess(t, as, store.Memory())
		wait := func(kind error, pause time.Duration) {
			t.Helper()
			if _, err := p.Client(t.Context(), p.server); !errors.Is(err, kind) {
				t.Error(err)
			}
			p.isNot(kind, pause)
			time.Sleep(pause)
		}
		wait(oauth.ErrUnavailable, 5*time.Second)
		wait(oauth.ErrUnavailable, 10*time.Second)
		wait(oauth.ErrUnavailable, time.Minute) // as the server says
		wait(oauth.ErrRefused, 40*time.Second)
		p.is()
		wants(t, as, 5)
		if len(p.failed) != 4 {
			t.Errorf("told of %v", p.failed)
		}
	})
}

// Who waits no longer leaves, and what nobody waits for ends.
func TestRegistrar_Waiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := newServer(t, fakeas.Options{})
		as.Script(fakeas.Registration, fakeas.Stall())
		p := newProcess(t, as, store.Memory())
		leaving := errors.New("leaving")
		var calls sync.WaitGroup
		for n := range 3 {
			calls.Go(func() {
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Duration(n+1)*time.Second, leaving)
				defer cancel()
				if _, err := p.Client(ctx, p.server); !errors.Is(err, leaving) {
					t.Error(err)
				}
				if _, err := p.Client(ctx, p.server); !errors.Is(err, leaving) { // it has ended
					t.Error(err)
				}
			})
		}
		calls.Wait()
		synctest.Wait()
		p.is()
		if len(p.failed)+len(p.stores) != 0 {
			t.Errorf("told of %v, %v", p.failed, p.stores)
		}
	})
}

// badStore fails in the ways that stores do.
type badStore struct {
	store.Store
	load   func(context.Context) ([]byte, error)
	update func(context.Context, func([]byte) ([]byte, error)) error
}

func (s badStore) Load(ctx context.Context, key string) ([]byte, error) {
	if s.load == nil {
		return s.Store.Load(ctx, key)
	}
	return s.load(ctx)
}

func (s badStore) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	if s.update == nil {
		return s.Store.Update(ctx, key, change)
	}
	return s.update(ctx, change)
}

// Whatever the store does, there is one client, in a bounded time, and no other one later.
func TestRegistrar_StoreFails(t *testing.T) {
	type change = func([]byte) ([]byte, error)
	failed := errors.New("failed")
	for name, test := range map[string]struct {
		store badStore
		took  time.Duration
		told  int
	}{
		"cannot be read":    {badStore{load: func(context.Context) ([]byte, error) { return nil, failed }}, 0, 1},
		"panics":            {badStore{load: func(context.Context) ([]byte, error) { panic("x") }, update: func(context.Context, change) error { panic("x") }}, 0, 2},
		"cannot be written": {badStore{update: func(context.Context, change) error { return store.ErrUnwritable }}, 0, 1},
		"lost the record":   {badStore{update: func(_ context.Context, c change) error { c(nil); return failed }}, 0, 1},
		"asks twice":        {badStore{update: func(_ context.Context, c change) error { c(nil); _, err := c(nil); return err }}, 0, 0},
		"does not ask":      {badStore{update: func(context.Context, change) error { return nil }}, 0, 1},
		"does not answer": {badStore{
			load:   func(context.Context) ([]byte, error) { time.Sleep(time.Hour); return nil, nil },
			update: func(_ context.Context, c change) error { time.Sleep(time.Hour); c(nil); return nil },
		}, 40 * time.Second, 2},
		"does not end": {badStore{update: func(_ context.Context, c change) error { c(nil); time.Sleep(time.Hour); return nil }}, 20 * time.Second, 1},
		"has another version": {badStore{
			load: func(context.Context) ([]byte, error) { return []byte(`{"v":2}`), nil },
			update: func(_ context.Context, c change) error {
				if text, err := c([]byte(`{"v":2}`)); err == nil {
					return fmt.Errorf("it writes %s", text)
				}
				return nil
			},
		}, 0, 1},
		"has garbage": {badStore{load: func(context.Context) ([]byte, error) { return []byte(`{"v":1}`), nil }}, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := newServer(t, fakeas.Options{})
				test.store.Store = store.Memory()
				p := newProcess(t, as, test.store)
				began := time.Now()
				id := p.is()
				if took := time.Since(began); took != test.took {
					t.Errorf("took %v", took)
				}
				time.Sleep(2 * time.Hour)
				if again := p.is(); again != id {
					t.Errorf("it is %s, and then %s", id, again)
				}
				wants(t, as, 1)
				if len(p.stores) != test.told {
					t.Errorf("told of %v", p.stores)
				}
			})
		})
	}
}

// What is sure of a client is what the server has said, or what it said when it registered
// it here.
func TestRegistrar_Sure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as, kept := newServer(t, fakeas.Options{}), store.Memory()
		one, two := newProcess(t, as, kept), newProcess(t, as, kept)
		id := one.is()
		if two.is(); !one.IsSure(id) || two.IsSure(id) || !two.IsSure("another") {
			t.Error(one.IsSure(id), two.IsSure(id))
		}
		two.Sure(id, true)
		one.Sure(id, false)
		two.Sure("another", false)
		if one.IsSure(id) || !two.IsSure(id) {
			t.Error(one.IsSure(id), two.IsSure(id))
		}
	})
}

// Registering is what Client does, and nothing else.
func TestRegistrar_Of(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as, kept := newServer(t, fakeas.Options{}), store.Memory()
		if newProcess(t, as, kept).Of(t.Context(), newProcess(t, as, nil).server, "x") != nil {
			t.Error("a client that was never registered")
		}
		one, two := newProcess(t, as, kept), newProcess(t, as, kept)
		if one.Of(t.Context(), one.server, "x") != nil {
			t.Error("a client that was never registered")
		}
		id := one.is()
		if c := two.Of(t.Context(), two.server, id); c == nil || c.ClientID() != id {
			t.Error("it is not found")
		}
		wants(t, as, 1)
	})
}

// Who waits for a store that does not end leaves, too; what it writes later is written.
func TestRegistrar_WaitersForAStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as, kept := newServer(t, fakeas.Options{}), store.Memory()
		slow := badStore{Store: kept, update: func(ctx context.Context, change func([]byte) ([]byte, error)) error {
			return kept.Update(ctx, "Notes client", func(old []byte) ([]byte, error) {
				defer time.Sleep(10 * time.Second)
				return change(old)
			})
		}}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		began := time.Now()
		p := newProcess(t, as, slow)
		if _, err := p.Client(ctx, p.server); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		time.Sleep(time.Minute)
		newProcess(t, as, kept).is()
		wants(t, as, 1)
		if len(p.stores) != 0 {
			t.Errorf("told of %v", p.stores)
		}
	})
}
