package grants_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/pending"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2"
)

var errKilled = errors.New("the process was killed")

// A mortal process can be killed at any moment: from then on it reaches neither the store nor
// the authorization server, and what was on its way to it is lost.
type mortal struct {
	*meddled
	dead   atomic.Bool
	before atomic.Pointer[func(*http.Request)]                 // is called before each request
	after  atomic.Pointer[func(*http.Request, *http.Response)] // and after each answer
}

func (m *mortal) Load(ctx context.Context, key string) ([]byte, error) {
	if m.dead.Load() {
		return nil, errKilled
	}
	return m.meddled.Load(ctx, key)
}

func (m *mortal) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	if m.dead.Load() {
		return errKilled
	}
	return m.meddled.Update(ctx, key, func(old []byte) ([]byte, error) {
		record, err := change(old)
		if m.dead.Load() {
			return nil, errKilled
		}
		return record, err
	})
}

func (m *mortal) wire(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		if f := m.before.Load(); f != nil {
			(*f)(req)
		}
		if m.dead.Load() {
			return nil, errKilled
		}
		res, err := next.RoundTrip(req)
		if f := m.after.Load(); f != nil && err == nil {
			(*f)(req, res)
		}
		if m.dead.Load() {
			return nil, errKilled
		}
		return res, err
	})
}

// A fleet is processes that share a store, of which each can be killed.
type fleet struct {
	t     *testing.T
	store *meddled
	setup setup
	as    *fakeas.Server
}

func newFleet(t *testing.T, s setup) *fleet {
	f := &fleet{t: t, store: newMeddled(), setup: s, as: fakeas.New(&s.as)}
	f.setup.shared, f.setup.shares = f.as, true
	return f
}

func (f *fleet) starts() (*world, *mortal) {
	m := &mortal{meddled: f.store}
	s := f.setup
	s.store, s.wire = m, m.wire
	return newWorld(f.t, s), m
}

// records returns how many records of flights there are.
func (f *fleet) records() (n int) {
	f.t.Helper()
	keys, err := f.store.Keys(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	for _, key := range keys {
		if strings.HasPrefix(key, "flight") {
			n++
		}
	}
	return n
}

// asked returns what it is shown, once it is.
func asked(prompt *atomic.Pointer[elicit.Prompt]) caller {
	return caller{shown: func(f *grants.Flight) { prompt.Store(f.Prompt()) }}
}

// Two processes ask at once: one prompt, one poller, and one grant for both.
func TestElsewhere_OneForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, setup{})
		a, _ := f.starts()
		b, _ := f.starts()
		var first, second atomic.Pointer[elicit.Prompt]
		one, two := a.asksAs(t.Context(), a.me, profile, asked(&first)), b.asksAs(t.Context(), b.me, profile, asked(&second))
		later(2 * time.Minute)
		if first.Load() == nil || second.Load() == nil || first.Load().UserCode != second.Load().UserCode || !first.Load().Expires.Equal(second.Load().Expires) {
			t.Errorf("two prompts: %v and %v", first.Load(), second.Load())
		}
		if n := f.as.Count(fakeas.Poll, ""); n < 20 || n > 24 {
			t.Errorf("%d polls in two minutes", n)
		}
		if x, y := len(a.told("polled")), len(b.told("polled")); x != 0 && y != 0 {
			t.Errorf("both polled: %d and %d", x, y)
		}
		a.approves()
		began := time.Now()
		g := (<-one).holds(profile)
		if h := (<-two).holds(profile); h.Token().AccessToken != g.Token().AccessToken || h.ID() != g.ID() {
			t.Error("two grants")
		}
		if took := time.Since(began); took > 8*time.Second {
			t.Errorf("it took %v", took)
		}
		a.wants(fakeas.DeviceAuthorization, 1)
		synctest.Wait()
		if n := f.records(); n != 0 {
			t.Errorf("%d records are left", n)
		}
	})
}

// Another process brings the grant while one that found none looks for the authorization server, and so finds no
// sign-in to join: nobody is asked for what is there by then. Who needs more than that is.
func TestElsewhere_BroughtBeforeItIsLookedFor(t *testing.T) {
	write := scopes.Of("notes:write")
	for name, test := range map[string]struct {
		needs []scopes.Set
		codes int
		fails bool // the store, once it has been decided that nothing is written
	}{
		"it will do":                      {[]scopes.Set{profile}, 1, false},
		"it will do, and the store fails": {[]scopes.Set{profile}, 1, true},
		"it is not enough":                {[]scopes.Set{write}, 2, false},
		"it will do for one of two":       {[]scopes.Set{profile, write}, 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, setup{})
				a, _ := f.starts()
				b, m := f.starts()
				one := a.asks(profile)
				later(2 * time.Second)
				goesOn := make(chan struct{})
				held := func(*http.Request) { <-goesOn }
				m.before.Store(&held)
				var others []<-chan outcome
				for _, need := range test.needs {
					others = append(others, b.asks(need))
					synctest.Wait() // whose flight it is
				}
				later(time.Second)
				a.approves()
				(<-one).holds(profile)
				later(time.Second)
				if n := f.records(); n != 0 {
					t.Errorf("%d records are left", n)
				}
				if test.fails {
					f.store.updates(func(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
						_ = f.store.Store.Update(ctx, key, change)
						return errors.New("the disk is full")
					})
				}
				close(goesOn)
				later(5 * time.Second)
				if test.codes > 1 {
					b.approves()
				}
				for n, other := range others {
					(<-other).holds(test.needs[n])
				}
				b.wants(fakeas.DeviceAuthorization, test.codes)
			})
		})
	}
}

// A process is closed while it stores the grant that it has got: the next one brings that at once.
func TestElsewhere_ClosedBeforeItIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, setup{})
		a, _ := f.starts()
		one := a.asks(profile)
		later(2 * time.Second)
		f.store.updates(func(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
			if strings.HasPrefix(key, "flight") {
				return f.store.Store.Update(ctx, key, change)
			}
			<-ctx.Done()
			return context.Cause(ctx)
		})
		a.approves()
		later(7 * time.Second)
		a.close()
		<-one
		f.store.updates(nil)
		b, _ := f.starts()
		began := time.Now()
		(<-b.asks(profile)).holds(profile)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
		b.wants(fakeas.DeviceAuthorization, 1)
	})
}

// A process ends, and the next one shows the same prompt, polls on at the same pace, and gets the
// grant.
func TestElsewhere_TheNextProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, setup{})
		codes := make(map[string]bool)
		for range 5 {
			w, _ := f.starts()
			var prompt atomic.Pointer[elicit.Prompt]
			c := w.asksAs(t.Context(), w.me, profile, asked(&prompt))
			later(7 * time.Second)
			w.close()
			(<-c).fails(grants.ErrClosed)
			codes[prompt.Load().UserCode] = true
		}
		if n := f.as.Count(fakeas.Poll, ""); n < 5 || n > 7 {
			t.Errorf("%d polls in 35 s", n)
		}
		w, _ := f.starts()
		c := w.asks(profile)
		if len(codes) != 1 {
			t.Errorf("%d codes", len(codes))
		}
		w.approves()
		began := time.Now()
		(<-c).holds(profile)
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("it took %v", took)
		}
		w.wants(fakeas.DeviceAuthorization, 1)
	})
}

// A person approves while nobody polls: the next process finds that out, and shows no prompt. What they
// refuse it tells likewise.
func TestElsewhere_DecidedMeanwhile(t *testing.T) {
	for name, test := range map[string]struct {
		decide func(*fakeas.Server, string) error
		killed bool
		within time.Duration
		want   error
	}{
		"approved":                 {func(as *fakeas.Server, code string) error { return as.Approve(code) }, false, 0, nil},
		"approved, after a kill":   {func(as *fakeas.Server, code string) error { return as.Approve(code) }, true, 3 * time.Second, nil},
		"denied":                   {func(as *fakeas.Server, code string) error { return as.Deny(code) }, false, 0, oauth.ErrDenied},
		"not decided, and no more": {func(*fakeas.Server, string) error { return nil }, false, 0, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, setup{})
				a, dies := f.starts()
				one := a.asks(profile)
				later(time.Second)
				dies.dead.Store(test.killed)
				a.close()
				<-one
				later(9 * time.Second)
				if err := test.decide(f.as, f.as.Waiting()[0].UserCode); err != nil {
					t.Fatal(err)
				}
				b, _ := f.starts()
				prompts := 0
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				began := time.Now()
				o := <-b.asksAs(ctx, b.me, profile, caller{shown: func(*grants.Flight) { prompts++ }})
				if test.want == nil {
					o.holds(profile)
				} else {
					o.fails(test.want)
				}
				if shown := errors.Is(test.want, context.DeadlineExceeded); shown != (prompts == 1) || !shown && time.Since(began) > test.within {
					t.Errorf("%d prompts, after %v", prompts, time.Since(began))
				}
				b.wants(fakeas.DeviceAuthorization, 1)
				if polled := len(b.told("polled")); polled != f.as.Count(fakeas.Poll, "") {
					t.Errorf("told of %d polls", polled)
				}
			})
		})
	}
}

// A killed process is replaced, a whole interval later, by one that waits, or by the next one.
func TestElsewhere_Killed(t *testing.T) {
	for name, waits := range map[string]bool{"one waits": true, "the next one": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, setup{})
				a, dies := f.starts()
				one := a.asks(profile)
				later(time.Second)
				b, _ := f.starts()
				var two <-chan outcome
				if waits {
					two = b.asks(profile)
				}
				later(10 * time.Second)
				dies.dead.Store(true)
				if !waits {
					later(time.Second)
					two = b.asks(profile)
				}
				b.approves()
				began := time.Now()
				(<-two).holds(profile)
				if took := time.Since(began); took > 13*time.Second {
					t.Errorf("it took %v", took)
				}
				b.wants(fakeas.DeviceAuthorization, 1)
				a.close()
				<-one
			})
		})
	}
}

// A process is killed when the server has given the token away, and before it was written: the
// next poll tells, nobody takes it for a refusal, and the person is asked anew.
func TestElsewhere_Interrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, setup{})
		a, dies := f.starts()
		b, _ := f.starts()
		a.tolerated = []fakeas.Rule{fakeas.PolledAfterEnd}
		b.tolerated = a.tolerated
		one := a.asks(profile)
		later(time.Second)
		two := b.asks(profile)
		later(time.Second)
		kill := func(_ *http.Request, res *http.Response) {
			if res.StatusCode == http.StatusOK {
				dies.dead.Store(true)
			}
		}
		dies.after.Store(&kill)
		a.approves()
		later(20 * time.Second)
		a.close()
		<-one
		if err := f.as.Approve(f.as.Waiting()[0].UserCode); err != nil {
			t.Fatal(err)
		}
		(<-two).holds(profile)
		b.wants(fakeas.DeviceAuthorization, 2)
		if ended := b.told("ended"); len(ended) != 2 || !errors.Is(ended[0].err, device.ErrInterrupted) || errors.Is(ended[0].err, oauth.ErrDenied) || errors.Is(ended[0].err, device.ErrExpired) {
			t.Errorf("told %v", ended)
		}
	})
}

// A process has the token, and is killed before it has stored the grant: another one finds the
// token, and nobody is asked again. One that is being closed leaves it behind at once.
func TestElsewhere_TokenIsNotLost(t *testing.T) {
	for name, killed := range map[string]bool{"killed": true, "closed": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, setup{})
				var hang atomic.Bool
				hang.Store(true)
				release := make(chan struct{})
				f.setup.keeper = func(_ *world, c *grants.Config) {
					c.Identify = func(ctx context.Context, _ *oauth2.Token) (grants.Identity, error) {
						if hang.Load() {
							select {
							case <-release:
							case <-ctx.Done():
							}
						}
						return grants.Identity{Name: "ada"}, nil
					}
				}
				a, dies := f.starts()
				one := a.asks(profile)
				a.approves()
				later(6 * time.Second)
				hang.Store(false)
				began := time.Now()
				if killed {
					dies.dead.Store(true)
					close(release)
					(<-one).holds(profile) // which is never heard of
				} else {
					a.close()
					(<-one).fails(grants.ErrClosed)
				}
				b, _ := f.starts()
				(<-b.asks(profile)).holds(profile)
				if took := time.Since(began); killed && took > 92*time.Second || !killed && took > time.Second {
					t.Errorf("it took %v", took)
				}
				b.wants(fakeas.DeviceAuthorization, 1)
				c, _ := f.starts()
				c.has(profile)
				synctest.Wait()
				if n := f.records(); n != 0 {
					t.Errorf("%d records are left", n)
				}
			})
		})
	}
}

// What the server says to one process, it says to all, and the next to come begins anew.
func TestElsewhere_Verdicts(t *testing.T) {
	for name, test := range map[string]struct {
		script []fakeas.Behaviour
		want   error
		vain   bool
	}{
		"denied":  {[]fakeas.Behaviour{fakeas.Error(400, "access_denied")}, oauth.ErrDenied, false},
		"expired": {nil, device.ErrExpired, false},
		"refused": {[]fakeas.Behaviour{fakeas.Error(400, "unauthorized_client")}, oauth.ErrRefused, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, setup{as: fakeas.Options{CodeLifetime: 5 * time.Minute}})
				f.as.Script(fakeas.Poll, append([]fakeas.Behaviour{fakeas.Pending()}, test.script...)...)
				a, _ := f.starts()
				b, _ := f.starts()
				one, two := a.asks(profile), b.asks(profile)
				(<-one).fails(test.want)
				(<-two).fails(test.want)
				c, _ := f.starts()
				if test.vain { // in the process that was not there, too
					o := <-c.asks(profile)
					o.fails(test.want)
					if s, ok := errors.AsType[*grants.Setback](o.err); !ok || !s.Asked || s.Wait > time.Minute || s.Wait < 30*time.Second {
						t.Errorf("%v", o.err)
					}
					c.me.Forgive() // the person wants to be asked
				}
				again := c.asks(profile)
				later(time.Second)
				waiting := f.as.Waiting()
				if err := f.as.Approve(waiting[len(waiting)-1].UserCode); err != nil {
					t.Fatal(err)
				}
				(<-again).holds(profile)
				c.wants(fakeas.DeviceAuthorization, 2)
				later(2 * time.Minute)
				if n := f.records(); n != 0 {
					t.Errorf("%d records are left", n)
				}
			})
		})
	}
}

// Who has declined is left alone by all processes in which the program calls itself so, for a minute,
// or until they say otherwise; then the same prompt is good. Other programs ask.
func TestElsewhere_Declined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, setup{})
		a, _ := f.starts()
		one := a.asks(profile)
		later(time.Second)
		me := grants.Principal{}
		go a.flights.Decline(t.Context(), flightKey(me), "")
		later(time.Second)
		a.close()
		(<-one).fails(grants.ErrClosed)
		b, _ := f.starts()
		declined, ok := errors.AsType[*pending.Declined]((<-b.asks(profile)).err)
		if !ok || declined.Wait > time.Minute || declined.Wait < 50*time.Second {
			t.Errorf("%v", declined)
		}
		if err := b.flights.MayAsk(t.Context(), flightKey(me), "another", time.Time{}); err != nil {
			t.Errorf("another program: %v", err)
		}
		b.me.Forgive()
		two := b.asks(profile)
		later(time.Second)
		b.close()
		(<-two).fails(grants.ErrClosed)
		later(time.Minute)
		c, _ := f.starts()
		three := c.asks(profile)
		c.approves()
		(<-three).holds(profile)
		c.wants(fakeas.DeviceAuthorization, 1)
	})
}

// A process that needs more joins the sign-in that is under way, and then asks for both; one that needs
// less has what it needs.
func TestElsewhere_StepUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, setup{})
		a, _ := f.starts()
		b, _ := f.starts()
		c, _ := f.starts()
		both := scopes.Of("profile", "notes:read")
		one := a.asks(both)
		later(time.Second)
		more, less := b.asks(write), c.asks(read)
		later(time.Second)
		a.approvesFor("notes:read profile")
		(<-one).holds(both)
		(<-less).holds(read)
		b.approvesFor("notes:read notes:write profile")
		(<-more).holds(scopes.Of("profile", "notes:read", "notes:write"))
		b.wants(fakeas.DeviceAuthorization, 2)
		c.has(read)
	})
}

// Who was granted less than was asked for is not asked again by a process that waited for the same.
func TestElsewhere_Narrowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, setup{})
		a, _ := f.starts()
		b, _ := f.starts()
		both := scopes.Of("profile", "notes:read")
		one := a.asks(both)
		later(time.Second)
		two := b.asks(both)
		later(time.Second)
		a.approves("profile")
		for _, c := range []<-chan outcome{one, two} {
			o := <-c
			if n, ok := errors.AsType[*grants.Narrowed](o.err); !ok || n.Missing != read {
				t.Errorf("%v", o.err)
			}
		}
		a.wants(fakeas.DeviceAuthorization, 1)
	})
}

// A logout ends what is under way in all processes.
func TestElsewhere_LoggedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, setup{})
		a, _ := f.starts()
		b, _ := f.starts()
		one, two := a.asks(profile), b.asks(profile)
		later(7 * time.Second)
		if err := b.me.Forget(t.Context()); err != nil {
			t.Error(err)
		}
		(<-one).fails(grants.ErrLoggedOut)
		(<-two).fails(grants.ErrLoggedOut)
		synctest.Wait()
		if n := f.records(); n != 0 {
			t.Errorf("%d records are left", n)
		}
	})
}

// In front of a store that fails in the middle, a sign-in goes on as without one; and once the store is
// there again, with it.
func TestElsewhere_StoreFails(t *testing.T) {
	for name, fail := range map[string]func(*meddled){
		"at everything": func(m *meddled) { m.fails(errors.New("no disk")) },
		"at updates":    func(m *meddled) { m.failsToUpdate(errors.New("disk full")) },
		"at writing":    func(m *meddled) { m.failsToWrite(errors.New("disk full")) },
		"to answer":     func(m *meddled) { m.hangs() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, setup{})
				a, _ := f.starts()
				one := a.asks(profile)
				later(time.Second)
				fail(f.store)
				later(2 * time.Minute)
				if n := f.as.Count(fakeas.Poll, ""); n < 12 || n > 25 {
					t.Errorf("%d polls in two minutes", n)
				}
				a.approves()
				(<-one).holds(profile)
				if len(a.told("flight's store failed")) == 0 {
					t.Error("nobody was told")
				}
				f.store.recovers()
			})
		})
		t.Run(name+", for a while", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, setup{})
				a, _ := f.starts()
				b, _ := f.starts()
				one, two := a.asks(profile), b.asks(profile)
				later(time.Second)
				fail(f.store)
				later(30 * time.Second)
				f.store.recovers()
				later(2 * time.Minute)
				a.approves()
				(<-one).holds(profile)
				(<-two).holds(profile)
				a.wants(fakeas.DeviceAuthorization, 1)
			})
		})
		t.Run(name+", from the beginning", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, setup{})
				fail(f.store)
				a, _ := f.starts()
				one := a.asks(profile)
				a.approves()
				(<-one).holds(profile)
				f.store.recovers()
			})
		})
	}
}

// What is not this client's, or is another version's, is left alone.
func TestElsewhere_Foreign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, setup{as: fakeas.Options{Clients: []fakeas.Client{{ID: fakeas.DefaultClientID}, {ID: "another"}}}})
		a, _ := f.starts()
		one := a.asks(profile)
		later(time.Second)
		f.setup.server = func(c *oauth.Config) { c.Credentials.ID = "another" }
		b, _ := f.starts()
		two := b.asks(profile)
		later(time.Second)
		for _, req := range f.as.Waiting() {
			if err := f.as.Approve(req.UserCode); err != nil {
				t.Fatal(err)
			}
		}
		(<-one).holds(profile)
		(<-two).holds(profile)
		a.wants(fakeas.DeviceAuthorization, 2)

		key, later := flightKey(grants.Principal{Account: "work"}), `{"v":99,"id":"x"}`
		if err := f.store.Update(t.Context(), key, func([]byte) ([]byte, error) { return []byte(later), nil }); err != nil {
			t.Fatal(err)
		}
		c := b.asksAs(t.Context(), b.keeper.Owner(grants.Principal{Account: "work"}), profile, caller{})
		b.approves()
		(<-c).holds(profile)
		if text, err := f.store.Load(t.Context(), key); err != nil || string(text) != later {
			t.Errorf("%q, %v", text, err)
		}
	})
}
