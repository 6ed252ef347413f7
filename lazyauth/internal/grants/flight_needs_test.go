package grants_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

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
		// Be it that it was lost before they log out.
		later(2 * time.Hour)
		w.as.RevokeAll()
		c = w.asks(profile)
		w.denies()
		(<-c).fails(oauth.ErrDenied)
		if err := w.me.Forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		c = w.asks(read)
		w.approvesFor("notes:read")
		(<-c).holds(read)
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
