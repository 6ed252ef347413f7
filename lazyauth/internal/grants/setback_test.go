package grants_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// setback demands that an outcome is one, with so much time left, to the second, after the
// person was asked or not, and returns it.
func (o outcome) setback(left time.Duration, asked bool) *grants.Setback {
	o.w.t.Helper()
	s, ok := errors.AsType[*grants.Setback](o.err)
	if !ok {
		o.w.t.Fatalf("the error is %v, want a setback", o.err)
	}
	if s.Wait > left || s.Wait <= left-time.Second || s.Asked != asked || s.Error() != s.Err.Error() {
		o.w.t.Errorf("a setback for %v (asked %t), want %v (%t): %v", s.Wait, s.Asked, left, asked, s)
	}
	return s
}

// An approval after which no token can come is remembered as a decline is: nobody is asked
// for anything for a minute, unless they want to be.
func TestSetback_ApprovalInVain(t *testing.T) {
	for name, test := range map[string]struct {
		script fakeas.Behaviour
		want   error
	}{
		"refused client":      {fakeas.Error(401, "invalid_client"), oauth.ErrRefused},
		"refused by a policy": {fakeas.Error(400, "invalid_grant"), device.ErrUnknownCode},
		"unknown word":        {fakeas.Error(400, "consent_required_by_admin"), oauth.ErrRefused},
		"type of the token":   {fakeas.Raw(200, nil, `{"access_token":"bound-to-a-key","token_type":"MAC"}`), oauth.ErrTokenType},
		"trouble, it says":    {fakeas.Error(500, "server_error"), oauth.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{})
				w.as.Script(fakeas.Poll, test.script.Times(3))
				inVain := func(after time.Duration, flights int) {
					t.Helper()
					o := <-w.asks(profile)
					o.fails(test.want)
					o.setback(time.Minute-after, true)
					w.wants(fakeas.DeviceAuthorization, flights)
				}
				inVain(0, 1)
				later(59 * time.Second)
				inVain(59*time.Second, 1)
				o := <-w.asks(read) // whatever for
				o.fails(test.want)
				o.setback(time.Second, true)
				later(time.Second)
				inVain(0, 2) // the minute is over
				w.me.Forgive()
				inVain(0, 3)
				w.me.Forgive()
				c := w.asks(profile)
				later(time.Second)
				if err := w.as.Approve(w.as.Waiting()[3].UserCode); err != nil { // after those that were polled for in vain
					t.Fatal(err)
				}
				(<-c).holds(profile)
			})
		})
	}
}

// A grant that comes otherwise ends such a minute: it was only about those that do not.
func TestSetback_EndsWithAGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := newMeddled()
		w := newWorld(t, setup{store: kept})
		w.as.Script(fakeas.Poll, fakeas.Error(401, "invalid_client"))
		(<-w.asks(profile)).setback(time.Minute, true)
		two := w.another()
		c := two.asks(profile)
		later(time.Second)
		if err := w.as.Approve(w.as.Waiting()[1].UserCode); err != nil {
			t.Fatal(err)
		}
		(<-c).holds(profile)
		w.has(profile) // from the store
		more := w.asks(read)
		later(time.Second)
		waiting := w.as.Waiting()
		if err := w.as.Approve(waiting[len(waiting)-1].UserCode); err != nil {
			t.Fatal(err)
		}
		(<-more).holds(read)
	})
}

// A denial, and a code that expires, are none: the next one asks anew.
func TestSetback_NotByADenial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{CodeLifetime: time.Minute}})
		c := w.asks(profile)
		w.denies()
		(<-c).fails(oauth.ErrDenied)
		(<-w.asks(profile)).fails(device.ErrExpired)
		w.signsIn(profile)
	})
}

// A need that came back narrowed is not asked for again for a minute; other needs are not
// concerned, and what was granted is used.
func TestSetback_Narrowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		w.signsIn(profile)
		c := w.asks(write)
		w.approvesFor("notes:write profile", "profile")
		narrowed := func(o outcome, left time.Duration) {
			t.Helper()
			n, ok := errors.AsType[*grants.Narrowed](o.setback(left, true))
			if !ok || n.Missing != write || n.Operators {
				t.Errorf("the error is %v", o.err)
			}
		}
		narrowed(<-c, time.Minute)
		later(10 * time.Second)
		narrowed(<-w.asks(write), 50*time.Second)
		if o := <-w.asks(scopes.Of("notes:read", "notes:write")); o.setback(50*time.Second, true) == nil {
			t.Error("it is asked for beside something else")
		}
		// Another need is asked for, and without the one that was refused.
		c = w.asks(read)
		w.approvesFor("notes:read profile")
		(<-c).holds(read)
		narrowed(<-w.asks(write), 45*time.Second)
		w.me.Forgive()
		c = w.asks(write)
		w.approvesFor("notes:read notes:write profile", "profile", "notes:read")
		narrowed(<-c, time.Minute)
		later(time.Minute)
		c = w.asks(write)
		w.approvesFor("notes:read notes:write profile")
		(<-c).holds(write)
		w.wants(fakeas.DeviceAuthorization, 5)
	})
}

// That is so, too, if nobody waited any more for what was refused.
func TestSetback_NarrowedForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		ctx, cancel := context.WithCancel(t.Context())
		c := w.asksAs(ctx, w.me, scopes.Of("profile", "notes:write"), caller{})
		w.person()
		cancel()
		<-c
		w.approves("profile")
		later(10 * time.Second)
		w.has(profile)
		if n, ok := errors.AsType[*grants.Narrowed]((<-w.asks(write)).setback(56*time.Second, true)); !ok || n.Missing != write {
			t.Errorf("without %v", n)
		}
	})
}

// It does not matter by which name a scope was asked for.
func TestSetback_NarrowedByOtherNames(t *testing.T) {
	order, err := scopes.NewHierarchy(map[string]scopes.Set{"notes": scopes.Of("notes:read", "notes:write")})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{
			as:     fakeas.Options{Scopes: []string{"profile", "notes", "notes:read", "notes:write"}},
			keeper: func(_ *world, c *grants.Config) { c.Hierarchy = order },
		})
		all, some := w.asks(scopes.Of("notes")), w.asks(read)
		w.approvesFor("notes", "profile")
		for _, o := range []outcome{<-all, <-some, <-w.asks(scopes.Of("notes")), <-w.asks(read)} {
			o.setback(time.Minute, true)
		}
		w.wants(fakeas.DeviceAuthorization, 1)
	})
}

// Google grants email under the name of an address: that is what was asked for.
func TestSetback_GrantedByAnotherName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{
			as:     fakeas.Options{Scopes: []string{"email", "profile"}},
			wire:   granting(func(string) string { return "https://www.googleapis.com/auth/userinfo.email" }),
			keeper: func(_ *world, c *grants.Config) { c.Hierarchy = scopes.Google() },
		})
		for range 2 {
			c := w.asks(scopes.Of("email"))
			if w.me.Grant() == nil {
				w.approvesFor("email")
			}
			if o := <-c; o.err != nil || !o.grant.Covers(scopes.Of("email")) || o.grant.Known() != scopes.Of("email") {
				t.Errorf("%v, %v", o.grant, o.err)
			}
		}
		if f := w.told("ended")[0].flight; !f.Missing().IsEmpty() {
			t.Errorf("it is said to be without %q", f.Missing())
		}
	})
}

// The answer with the token is lost, and the server says of the used code what it says of one
// that was denied. The person approved: they get another prompt by themselves, once.
func TestSetback_AnswerLost(t *testing.T) {
	for _, word := range []string{"access_denied", "invalid_grant", "unheard_of"} {
		t.Run(word, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{})
				lost := []fakeas.Behaviour{fakeas.Lose(), fakeas.Error(400, word)}
				w.as.Script(fakeas.Poll, lost...)
				one, two := w.asks(profile), w.asks(profile)
				w.approves()
				w.approves()
				(<-one).holds(profile)
				(<-two).holds(profile)
				w.wants(fakeas.DeviceAuthorization, 2)
				// And once more after a grant; but not twice in a row.
				w.as.Script(fakeas.Poll, lost...)
				w.as.Script(fakeas.Poll, lost...)
				c := w.asks(read)
				w.approves()
				w.approves()
				o := <-c
				o.fails(device.ErrAnswerLost)
				o.setback(time.Minute, true)
				w.wants(fakeas.DeviceAuthorization, 4)
			})
		})
	}
}

// A server that gives no device code is not hammered: at once, at once, and after 5, 10, 20,
// 40, 60, 60 and 60 seconds. A code that could be had ends that.
func TestSetback_NoDeviceCode(t *testing.T) {
	for name, test := range map[string]struct {
		op     fakeas.Operation
		script fakeas.Behaviour
		want   error
		each   int // requests a flight
	}{
		"down":           {fakeas.DeviceAuthorization, fakeas.Unavailable(503, 0), oauth.ErrUnavailable, 2},
		"refused client": {fakeas.DeviceAuthorization, fakeas.Error(401, "invalid_client"), oauth.ErrRefused, 1},
		"not offered":    {fakeas.DeviceAuthorization, fakeas.Error(400, "unsupported_grant_type"), oauth.ErrRefused, 1},
		"no metadata":    {fakeas.Metadata, fakeas.Unavailable(503, 0), oauth.ErrUnavailable, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{})
				w.as.Script(test.op, test.script.Times(9*test.each))
				var began []time.Time
				for calls := 0; len(began) < 9; calls++ {
					before := w.as.Count(test.op, "")
					now := time.Now()
					o := <-w.asks(profile)
					o.fails(test.want)
					if w.as.Count(test.op, "") != before {
						began = append(began, now)
					} else if s, ok := errors.AsType[*grants.Setback](o.err); !ok || s.Asked || s.Wait <= 0 || s.Wait > time.Minute {
						t.Fatalf("the error is %v, %+v", o.err, s)
					}
					if calls > 1000 {
						t.Fatalf("flights began at %v", began)
					}
					if calls > 0 {
						w.me.Forgive() // which hurries no server
						later(time.Second)
					}
				}
				for n, seconds := range []int{0, 5, 10, 20, 40, 60, 60, 60} {
					least := time.Duration(seconds) * time.Second
					if took := began[n+1].Sub(began[n]); took < least || took > least+5*time.Second {
						t.Errorf("flight %d came %v after the one before, want %v", n+2, took, least)
					}
				}
				w.wants(test.op, 9*test.each)
				later(time.Minute)
				w.signsIn(profile)
				w.as.Script(fakeas.DeviceAuthorization, fakeas.Error(401, "invalid_client"))
				if o := <-w.asks(read); errors.As(o.err, new(*grants.Setback)) {
					t.Errorf("the first failure since is a setback: %v", o.err)
				}
				w.signsIn(read)
			})
		})
	}
}

// What a server says of when to come back holds for all, and no person can hurry it.
func TestSetback_RetryAfter(t *testing.T) {
	for _, op := range []fakeas.Operation{fakeas.DeviceAuthorization, fakeas.Metadata} {
		t.Run(string(op), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{})
				w.as.Script(op, fakeas.Unavailable(429, 2*time.Minute))
				(<-w.asks(profile)).setback(2*time.Minute, false)
				later(time.Minute)
				w.me.Forgive()
				began := time.Now()
				(<-w.asks(profile)).setback(time.Minute, false)
				if time.Since(began) != 0 {
					t.Error("it was waited for")
				}
				w.wants(op, 1)
				later(time.Minute)
				w.signsIn(profile)
			})
		})
	}
}
