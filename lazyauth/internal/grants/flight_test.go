package grants_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
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
	"github.com/lazyauth/mcp-lazyauth/scopes"
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

// Needs that come in one go are one authorization, for all of them and for no more.
func TestFlight_NeedsOfABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		one, two := w.asks(profile), w.asks(read)
		later(90 * time.Millisecond)
		three := w.asks(scopes.AnyOf(read, write))
		w.approvesFor("notes:read profile")
		(<-one).holds(profile)
		(<-two).holds(read)
		(<-three).holds(read)
		// More is a step-up, which asks for what is held, and has a batch of its own.
		four, five := w.asks(write), w.asks(write)
		w.approvesFor("notes:read notes:write profile")
		(<-four).holds(write)
		(<-five).holds(scopes.Of("profile", "notes:read", "notes:write"))
		w.wants(fakeas.DeviceAuthorization, 2)
	})
}

// What comes later than the batch, and is not covered, waits for the next authorization,
// which asks for all that is waited for by then.
func TestFlight_NeedsAfterTheBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		first := w.asks(profile)
		later(200 * time.Millisecond)
		same := w.asks(profile)
		second := w.asks(read)
		later(time.Second)
		third := w.asks(write)
		w.approvesFor("profile")
		(<-first).holds(profile)
		(<-same).holds(profile)
		w.approvesFor("notes:read notes:write profile")
		(<-second).holds(read)
		(<-third).holds(write)
		w.wants(fakeas.DeviceAuthorization, 2)
	})
}

// A need that was given up is asked for by no flight, neither by the one that it came in
// time for nor by the next.
func TestFlight_NeedThatLeft(t *testing.T) {
	for name, wait := range map[string]time.Duration{"in the batch": 0, "after the batch": time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{})
				first := w.asks(profile)
				later(wait)
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				defer cancel()
				(<-w.asksAs(ctx, w.me, write, caller{})).fails(context.DeadlineExceeded)
				w.approvesFor("profile")
				(<-first).holds(profile)
				more := w.asks(read)
				w.approvesFor("notes:read profile")
				(<-more).holds(read)
			})
		})
	}
}

// Nobody waits for a batch that could add nothing.
func TestFlight_BatchThatAddsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		began := time.Now()
		c := w.asks(scopes.Of("profile", "notes:read", "notes:write"))
		w.approvesFor("notes:read notes:write profile")
		if took := time.Since(began); took != 0 {
			t.Errorf("the prompt was %v late", took)
		}
		(<-c).holds(profile)
	})
}

// The service's own scopes are asked for by each authorization, and needed by nobody.
func TestFlight_ScopesOfTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{keeper: func(_ *world, c *grants.Config) { c.Scopes, c.Declared = profile, nil }})
		c := w.asks(read)
		w.approvesFor("notes:read profile", "notes:read")
		(<-c).holds(read)
		w.has(read)
		c = w.asks(write)
		w.approvesFor("notes:read notes:write profile", "notes:read", "notes:write")
		(<-c).holds(scopes.Of("notes:read", "notes:write"))
	})
}

// What a lost grant was for is asked for in one; a logout leaves nothing behind.
func TestFlight_AsksForWhatWasLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}})
		w.signsIn(profile)
		w.signsIn(scopes.Of("profile", "notes:read"))
		later(2 * time.Hour)
		w.as.RevokeAll()
		c := w.asks(profile)
		w.approvesFor("notes:read profile")
		(<-c).holds(scopes.Of("profile", "notes:read"))
		if err := w.me.Forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		c = w.asks(profile)
		w.approvesFor("profile")
		(<-c).holds(profile)
	})
}

// A step-up's prompt says what was given before, in the author's words; that of a sign-in
// says nothing of the kind.
func TestFlight_PromptSaysWhatIsNew(t *testing.T) {
	words := func(set scopes.Set) (words []string) {
		for name := range set.All() {
			words = append(words, "to use "+name)
		}
		return words
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}, keeper: func(_ *world, c *grants.Config) { c.Words = words }})
		for _, test := range []struct {
			need, asked, held scopes.Set
			before            func()
		}{
			{profile, profile, scopes.Set{}, func() {}},
			{read, scopes.Of("profile", "notes:read"), profile, func() {}},
			// It has expired, and may be refreshed while the person looks at the prompt.
			{write, scopes.Of("profile", "notes:read", "notes:write"), scopes.Of("profile", "notes:read"), func() { later(2 * time.Hour) }},
		} {
			test.before()
			var p elicit.Prompt
			c := w.asksAs(t.Context(), w.me, test.need, caller{shown: promptOf(&p)})
			w.approves()
			(<-c).holds(test.asked)
			if p.Scopes != test.asked || p.Held != test.held || !slices.Equal(p.Access, words(test.asked)) || !slices.Equal(p.HeldAccess, words(test.held)) {
				t.Errorf("the prompt is for %q (%q), beside %q (%q)", p.Scopes, p.Access, p.Held, p.HeldAccess)
			}
		}
	})
}

// What the authorization server grants beside what was asked for counts where it is needed,
// and is not asked for again.
func TestFlight_UnaskedScopes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{wire: granting(func(granted string) string { return granted + " internal:admin" })})
		g := w.signsIn(profile)
		if !g.Covers(scopes.Of("internal:admin")) || g.Known() != profile {
			t.Errorf("the grant holds %q, and knows %q", g.Held(), g.Known())
		}
		c := w.asks(read)
		w.approvesFor("notes:read profile")
		if g := (<-c).holds(read); g.Known() != scopes.Of("profile", "notes:read") {
			t.Errorf("the grant knows %q", g.Known())
		}
	})
}

// A step-up that brings less than all that was new, and less than what there was, leaves the
// grant that there is, in the store as well.
func TestFlight_StepUpForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{store: newMeddled()})
		old := w.signsIn(scopes.Of("profile", "notes:read"))
		c := w.asks(write)
		w.approves("notes:read")
		o := <-c
		o.fails(o.err)
		if n, ok := errors.AsType[*grants.Narrowed](o.err); !ok || n.Missing != write || n.Operators {
			t.Errorf("the error is %v", o.err)
		}
		if w.me.Grant() != old {
			t.Errorf("the grant is %v", w.me.Grant())
		}
		w.has(scopes.Of("profile", "notes:read"))
		w.another().has(scopes.Of("profile", "notes:read"))
		ended := w.told("ended")
		if g, adopted, err := ended[1].flight.Result(); g == nil || adopted || err != nil || ended[1].flight.Missing() != scopes.Of("profile", "notes:write") {
			t.Errorf("the flight came to %v (adopted %t), %v, without %q", g, adopted, err, ended[1].flight.Missing())
		}
	})
}

// What came of such a step-up is nobody's, be it that it is what somebody needed.
func TestFlight_StepUpForSomeInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		old := w.signsIn(profile)
		one, two := w.asks(read), w.asks(write)
		w.approvesFor("notes:read notes:write profile", "notes:read")
		for _, o := range []outcome{<-one, <-two} {
			if !errors.As(o.err, new(*grants.Narrowed)) || w.me.Grant() != old {
				t.Errorf("%v, %v; the owner has %v", o.grant, o.err, w.me.Grant())
			}
		}
	})
}

// One that brings all that was new is taken, though it has lost something that was held.
func TestFlight_StepUpForSomethingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		w.signsIn(scopes.Of("profile", "notes:read"))
		c := w.asks(write)
		w.approves("notes:write")
		if g := (<-c).holds(write); w.me.Grant() != g || g.Covers(read) {
			t.Errorf("the grant is %v", w.me.Grant())
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
					c.Verify = func(ctx context.Context, who grants.Principal, token *oauth2.Token) error {
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
					if o.Grant() != nil || grants.Cause(got.err) != test.want { //nolint:errorlint // as it came
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

// A way that panics has failed, and is told to all who wait; the flight is over.
func TestFlight_WayThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{keeper: func(_ *world, c *grants.Config) { c.Ways = []grants.Way{impassable{c.Ways[0]}} }})
		for range 2 {
			o := <-w.asks(profile)
			if p, ok := errors.AsType[*guard.Panic](o.err); !ok || w.me.Grant() != nil {
				t.Errorf("%v, %v", p, o.err)
			}
		}
	})
}

type impassable struct{ grants.Way }

func (impassable) Begin(context.Context, grants.Asked) (grants.Authorization, error) { panic("a way") }
