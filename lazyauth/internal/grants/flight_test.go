package grants_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"golang.org/x/oauth2"
)

// However many want a grant, the person is asked once, and all have the same one.
func TestFlight_OneForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		var calls []<-chan outcome
		for range 1000 {
			calls = append(calls, w.asks(profile))
		}
		w.approves()
		first := (<-calls[0]).holds(profile)
		for _, c := range calls[1:] {
			if o := <-c; o.grant != first {
				t.Fatalf("another grant, or none: %v", o.err)
			}
		}
		w.wants(fakeas.DeviceAuthorization, 1)
		if n := len(w.told("waiting")); n != 1000 {
			t.Errorf("%d were said to wait", n)
		}
		ended := w.told("ended")
		if len(ended) != 1 {
			t.Fatalf("%d flights", len(ended))
		}
		if polls, prompts, calls := ended[0].flight.Counts(); polls != w.as.Count(fakeas.Poll, "") || prompts != 1000 || calls != 1000 {
			t.Errorf("counted %d polls, %d prompts and %d calls", polls, prompts, calls)
		}
	})
}

// A flight goes on when everybody who waited has gone away: the next to come joins it, or
// finds the grant.
func TestFlight_BelongsToNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		gone := errors.New("the host has cut the call")
		for range 2 {
			ctx, cancel := context.WithCancelCause(t.Context())
			c := w.asksAs(ctx, w.me, profile, caller{})
			later(time.Second)
			cancel(gone)
			(<-c).fails(gone)
		}
		w.approves()
		later(10 * time.Second)
		w.has(profile)
		w.wants(fakeas.DeviceAuthorization, 1)
	})
}

// Each principal, and each account of one, has a flight of their own.
func TestFlight_OneForEachPrincipal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		for _, who := range []grants.Principal{{}, {Account: "work"}, {Issuer: "i", Subject: "ada"}, {Issuer: "i", Subject: "eve"}, {Issuer: "i", Subject: "ada", Account: "work"}} {
			o := w.keeper.Owner(who)
			if o.Who() != who || w.keeper.Owner(who) != o {
				t.Errorf("the owner of %v is %v, or another each time", who, o.Who())
			}
			var prompt elicit.Prompt
			c := w.asksAs(t.Context(), o, profile, caller{shown: promptOf(&prompt)})
			w.approves()
			if g := (<-c).holds(profile); o.Grant() != g || prompt.Account != who.Account || prompt.Service != "Notes" {
				t.Errorf("%v has %v, after a prompt for account %q of %q", who, o.Grant(), prompt.Account, prompt.Service)
			}
		}
		w.wants(fakeas.DeviceAuthorization, 5)
	})
}

// While people decide nothing runs for them: no goroutine, and few requests at a time. All are polled for, and none too early.
func TestFlight_WaitsOnNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const people = 500
		var now, most atomic.Int32
		slow := func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(req *http.Request) (*http.Response, error) {
				if strings.HasSuffix(req.URL.Path, "/token") {
					defer now.Add(-1)
					if n := now.Add(1); n > most.Load() {
						most.Store(n)
					}
				}
				time.Sleep(50 * time.Millisecond)
				return next.RoundTrip(req)
			})
		}
		w := newWorld(t, setup{wire: slow})
		before := runtime.NumGoroutine()
		for n := range people {
			who := grants.Principal{Issuer: "https://idp.example", Subject: fmt.Sprint(n)}
			if _, err := w.keeper.Owner(who).Obtain(t.Context(), profile, leaves{}); !errors.Is(err, errLeft) {
				t.Fatal(err)
			}
		}
		later(time.Minute)
		if n := runtime.NumGoroutine() - before; n > 8 || most.Load() > 8 || most.Load() < 4 {
			t.Errorf("%d goroutines, and %d polls at a time", n, most.Load())
		}
		polls := make(map[string]int)
		for _, e := range w.told("polled") {
			polls[e.flight.Owner().Who().Subject]++
		}
		for n := range people {
			if polls[fmt.Sprint(n)] < 8 {
				t.Errorf("person %d was polled for %d times in a minute", n, polls[fmt.Sprint(n)])
			}
		}
	})
}

// An authorization server that does not answer has everybody who signs in there wait, and nobody who signs in elsewhere.
func TestFlight_SlowServerDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := newWorld(t, setup{wire: func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(req *http.Request) (*http.Response, error) {
				if strings.HasSuffix(req.URL.Path, "/token") {
					<-req.Context().Done()
					return nil, req.Context().Err()
				}
				return next.RoundTrip(req)
			})
		}})
		for n := range 50 {
			who := grants.Principal{Issuer: "https://idp.example", Subject: fmt.Sprint(n)}
			if _, err := stuck.keeper.Owner(who).Obtain(t.Context(), profile, leaves{}); !errors.Is(err, errLeft) {
				t.Fatal(err)
			}
		}
		w := newWorld(t, setup{})
		call := w.asks(profile)
		later(time.Minute)
		if n := w.as.Count(fakeas.Poll, ""); n < 10 {
			t.Errorf("%d polls in a minute", n)
		}
		w.approves()
		began := time.Now()
		(<-call).holds(profile)
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// How a flight ends is told to all who wait, to the observer before them, and the next to
// come begins another one.
func TestFlight_Ends(t *testing.T) {
	for name, test := range map[string]struct {
		as     fakeas.Options
		op     fakeas.Operation
		script []fakeas.Behaviour
		want   error
	}{
		"denied":          {fakeas.Options{}, fakeas.Poll, []fakeas.Behaviour{fakeas.Error(400, "access_denied")}, oauth.ErrDenied},
		"denied, it says": {fakeas.Options{}, fakeas.Poll, []fakeas.Behaviour{fakeas.Error(200, "authorization_declined")}, oauth.ErrDenied},
		"expired":         {fakeas.Options{CodeLifetime: time.Minute}, fakeas.Poll, nil, device.ErrExpired},
		"no code":         {fakeas.Options{}, fakeas.DeviceAuthorization, []fakeas.Behaviour{fakeas.Error(400, "unsupported_grant_type")}, oauth.ErrRefused},
		"no endpoint":     {fakeas.Options{}, fakeas.Metadata, []fakeas.Behaviour{fakeas.Unavailable(503, 0).After(time.Second)}, oauth.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{as: test.as})
				w.as.Script(test.op, test.script...)
				first, second := w.asks(profile), w.asks(profile)
				(<-first).fails(test.want)
				if ended := w.told("ended"); len(ended) != 1 || !errors.Is(ended[0].err, test.want) {
					t.Errorf("told %v", ended)
				}
				(<-second).fails(test.want)
				again := w.asks(profile)
				later(time.Second)
				waiting := w.as.Waiting() // the scripted code may be among them
				if err := w.as.Approve(waiting[len(waiting)-1].UserCode); err != nil {
					t.Fatal(err)
				}
				(<-again).holds(profile)
			})
		})
	}
}

// What happens to polls while the person signs in ends no flight.
func TestFlight_SurvivesFaults(t *testing.T) {
	for name, script := range map[string][]fakeas.Behaviour{
		"reset":                  {fakeas.Reset()},
		"EOF":                    {fakeas.Drop(), fakeas.Drop()},
		"503":                    {fakeas.Unavailable(503, 0)},
		"503 Retry-After":        {fakeas.Unavailable(503, 20*time.Second)},
		"429":                    {fakeas.Unavailable(429, 15*time.Second)},
		"HTML under 200":         {fakeas.Raw(200, http.Header{"Content-Type": {"text/html"}}, "<p>Maintenance")},
		"empty 400":              {fakeas.Raw(400, nil, "")},
		"empty 401":              {fakeas.Raw(401, nil, "")},
		"cut short":              {fakeas.Cut()},
		"slow":                   {fakeas.Pending().After(20 * time.Second)},
		"silence":                {fakeas.Stall()},
		"slow_down":              {fakeas.SlowDown(0), fakeas.SlowDown(0)},
		"slow_down interval":     {fakeas.SlowDown(25 * time.Second)},
		"one after another":      {fakeas.Reset(), fakeas.Pending(), fakeas.Unavailable(503, 0), fakeas.SlowDown(0), fakeas.Drop()},
		"pending under 500":      {fakeas.Error(500, "authorization_pending")},
		"limit, in OAuth's word": {fakeas.Error(429, "access_denied")},
		"unheard of under 500":   {fakeas.Error(500, "boom")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{})
				w.as.Script(fakeas.Poll, script...)
				c := w.asks(profile)
				code := w.person().UserCode
				later(8 * time.Second) // the first poll meets the fault, the approval comes after it
				if err := w.as.Approve(code); err != nil {
					t.Fatal(err)
				}
				(<-c).holds(profile)
				w.wants(fakeas.DeviceAuthorization, 1)
				if polled := len(w.told("polled")); polled != w.as.Count(fakeas.Poll, "") {
					t.Errorf("told of %d polls", polled)
				}
			})
		})
	}
}

// A flight that is abandoned ends, and who waits for it after all looks again: they begin
// the next one without a word.
func TestFlight_Abandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		shown := 0
		c := w.asksAs(t.Context(), w.me, profile, caller{shown: func(f *grants.Flight) {
			if shown++; shown == 1 {
				f.Abandon()
			}
		}})
		later(time.Second)
		if ended := w.told("ended"); len(ended) != 1 || !errors.Is(ended[0].err, grants.ErrAbandoned) {
			t.Errorf("told %v", ended)
		}
		later(time.Minute)
		if n := w.as.Count(fakeas.Poll, ""); n > 13 {
			t.Errorf("%d polls: the code that was refused is polled for", n)
		}
		if err := w.as.Approve(w.as.Waiting()[1].UserCode); err != nil {
			t.Fatal(err)
		}
		(<-c).holds(profile)
		w.wants(fakeas.DeviceAuthorization, 2)
	})
}

// Once the token has come it is too late, even while it is looked at whose it is.
func TestFlight_AbandonedTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{keeper: func(_ *world, c *grants.Config) {
			c.Identify = func(context.Context, *oauth2.Token) (grants.Identity, error) {
				time.Sleep(2 * time.Second)
				return grants.Identity{Name: "ada"}, nil
			}
		}})
		var flight *grants.Flight
		c := w.asksAs(t.Context(), w.me, profile, caller{shown: func(f *grants.Flight) { flight = f }})
		w.approves()
		later(6 * time.Second)
		flight.Abandon()
		(<-c).holds(profile)
	})
}

// Hooks run once the outcome is settled, after the observer, and before anybody goes on; then
// it is too late for one.
func TestFlight_Before(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		var flight *grants.Flight
		var ran, after atomic.Bool
		c := w.asksAs(t.Context(), w.me, profile, caller{shown: func(f *grants.Flight) {
			flight = f
			added := f.Before(func() {
				g, adopted, err := f.Result()
				if !f.Ended() || f.IsDone() || g != w.me.Grant() || !adopted || err != nil || len(w.told("ended")) != 1 {
					t.Errorf("ended %t, done %t, %v (adopted %t), %v, %v", f.Ended(), f.IsDone(), g, adopted, err, w.told("ended"))
				}
				time.Sleep(time.Minute)
				ran.Store(true)
			})
			if f.Before(func() { panic("a hook") }); !added || f.Ended() || f.IsDone() {
				t.Error("it has ended at its prompt")
			}
			f.AfterDone(func() { after.Store(true) })
			f.AfterDone(func() { t.Error("this was called off") })()
		}})
		w.approves()
		(<-c).holds(profile)
		synctest.Wait()
		if !ran.Load() || !after.Load() || !flight.IsDone() {
			t.Errorf("the hook ran: %t; after the end: %t; done: %t", ran.Load(), after.Load(), flight.IsDone())
		}
		if flight.Before(func() { t.Error("a hook of a flight that has ended ran") }) {
			t.Error("a flight that has ended takes hooks")
		}
		if len(w.told("callback failed: the end of a sign-in")) != 1 {
			t.Error("the panic of a hook was not told")
		}
	})
}

// A new grant of anybody but the local user is adopted only if it is known to be theirs.
func TestFlight_Verified(t *testing.T) {
	notTheirs := errors.New("it is eve's")
	for name, test := range map[string]struct {
		verify func(ctx context.Context, who grants.Principal, token *oauth2.Token) error
		want   error
	}{
		"theirs":     {func(context.Context, grants.Principal, *oauth2.Token) error { return nil }, nil},
		"not theirs": {func(context.Context, grants.Principal, *oauth2.Token) error { return notTheirs }, notTheirs},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ada, asked := grants.Principal{Issuer: "i", Subject: "ada"}, 0
				w := newWorld(t, setup{keeper: func(w *world, c *grants.Config) {
					c.Verify = func(ctx context.Context, who grants.Principal, token *oauth2.Token, _ bool) error {
						if asked++; who != ada || token.AccessToken != w.last() || token.RefreshToken != "" {
							t.Errorf("asked whether %v is %v's", token, who)
						}
						return test.verify(ctx, who, token)
					}
				}})
				o := w.keeper.Owner(ada)
				c := w.asksAs(t.Context(), o, profile, caller{})
				w.approves()
				if got := <-c; test.want == nil {
					got.holds(profile)
				} else {
					got.fails(grants.ErrUnverified)
					if o.Grant() != nil || grants.Cause(got.err) != test.want {
						t.Errorf("the grant is %v, and the cause %v", o.Grant(), grants.Cause(got.err))
					}
				}
				if w.signsIn(profile); asked != 1 {
					t.Errorf("asked %d times: the local user is known", asked)
				}
			})
		})
	}
}

// A way that panics, or ends its goroutine, has failed, and is told to all who wait; the flight is over.
func TestFlight_WayThatPanics(t *testing.T) {
	for name, does := range map[string]func(){"panics": func() { panic("a way") }, "exits": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{keeper: func(_ *world, c *grants.Config) { c.Ways = []grants.Way{impassable{c.Ways[0], does}} }})
				for range 2 {
					o := <-w.asks(profile)
					if _, ok := errors.AsType[*guard.Panic](o.err); ok == errors.Is(o.err, guard.ErrExited) || w.me.Grant() != nil {
						t.Errorf("%v", o.err)
					}
				}
			})
		})
	}
}

type impassable struct {
	grants.Way
	does func()
}

func (i impassable) Begin(context.Context, grants.Asked) (grants.Authorization, error) {
	i.does()
	return nil, nil //nolint:nilnil // it does not come to that
}

// Who says whose a grant is, and panics or ends the goroutine, has not said that it is theirs; the next call has a flight of its own.
func TestFlight_VerifyThatPanics(t *testing.T) {
	for name, does := range map[string]func(){"panics": func() { panic("whose is it?") }, "exits": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				broken := true
				w := newWorld(t, setup{keeper: func(_ *world, c *grants.Config) {
					c.Verify = func(context.Context, grants.Principal, *oauth2.Token, bool) error {
						if broken {
							does()
						}
						return nil
					}
				}})
				o := w.keeper.Owner(grants.Principal{Issuer: "i", Subject: "ada"})
				c := w.asksAs(t.Context(), o, profile, caller{})
				w.approves()
				if got := <-c; got.err == nil || o.Grant() != nil {
					t.Errorf("%v, %v", got.grant, got.err)
				}
				broken = false
				later(2 * time.Minute)
				c = w.asksAs(t.Context(), o, profile, caller{})
				w.approves()
				(<-c).holds(profile)
			})
		})
	}
}
