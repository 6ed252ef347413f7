package grants_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// A database is shared by the machines of a story, and can be made one that cannot be written.
type database struct {
	*store.SharedMemory
	standby, dead atomic.Bool
}

var errCutOff = errors.New("the database is out of reach")

func (d *database) Read(ctx context.Context, id store.ID) (*store.Row, error) {
	if d.dead.Load() {
		return nil, errCutOff
	}
	return d.SharedMemory.Read(ctx, id)
}

func (d *database) Write(ctx context.Context, id store.ID, fence, generation uint64, c store.Change) (bool, error) {
	if d.dead.Load() {
		return false, errCutOff
	}
	return d.SharedMemory.Write(ctx, id, fence, generation, c)
}

func (d *database) Begin(ctx context.Context, id store.ID, a store.Attempt) (*store.Row, uint64, error) {
	switch {
	case d.dead.Load():
		return nil, 0, errCutOff
	case d.standby.Load():
		return nil, 0, fmt.Errorf("the database %w: it is a standby", store.ErrUnwritable)
	}
	return d.SharedMemory.Begin(ctx, id, a)
}

func (d *database) fleet(t *testing.T) *store.Fleet {
	t.Helper()
	f, err := store.NewFleet(d, bytes.Repeat([]byte("n4m3"), 8), [][]byte{bytes.Repeat([]byte("s3al"), 8)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// A link is that of one machine to the authorization server. Refreshes stop before it, or their
// answers do, until they are given up.
type link struct {
	next           http.RoundTripper
	before, behind atomic.Bool
	polls          atomic.Bool // stop before it, too
}

func (l *link) wire(next http.RoundTripper) http.RoundTripper {
	l.next = next
	return l
}

func (l *link) RoundTrip(req *http.Request) (*http.Response, error) {
	if l.polls.Load() {
		<-req.Context().Done()
		return nil, context.Cause(req.Context())
	}
	if !l.before.Load() && !l.behind.Load() {
		return l.next.RoundTrip(req)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	if form, err := url.ParseQuery(string(body)); err != nil || form.Get("grant_type") != "refresh_token" {
		return l.next.RoundTrip(req)
	}
	if l.behind.Load() {
		if _, err := l.next.RoundTrip(req); err != nil {
			return nil, err
		}
	}
	<-req.Context().Done()
	return nil, context.Cause(req.Context())
}

// twoMachines have one database and one authorization server, which takes a second use of a refresh token for theft.
// The first one has signed in, and its token has ended.
func twoMachines(t *testing.T) (d *database, one, two *world, line *link) {
	t.Helper()
	d, line = &database{SharedMemory: store.NewSharedMemory(nil)}, new(link)
	one = newWorld(t, setup{as: fakeas.Options{TokenLifetime: 10 * time.Minute, DetectReuse: true}, store: d.fleet(t), wire: line.wire})
	two = newWorld(t, setup{shared: one.as, store: d.fleet(t)})
	one.signsIn(profile)
	two.has(profile)
	later(20 * time.Minute)
	return d, one, two, line
}

// Of two machines that find a token ended one refreshes it, and both have the new one.
func TestFleet_RefreshesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, one, two, _ := twoMachines(t)
		a, b := one.asks(profile), two.asks(profile)
		first, second := (<-a).holds(profile), (<-b).holds(profile)
		if first.Token().AccessToken != second.Token().AccessToken {
			t.Error("they have two tokens")
		}
		one.wants(fakeas.Refresh, 1)
	})
}

// A machine that gets no answer leaves its lease to end, and the other one goes on from there: if the server has not
// seen the refresh token that is all; if it has, the person is asked once.
func TestFleet_InDoubt(t *testing.T) {
	for _, seen := range []bool{false, true} {
		t.Run(fmt.Sprint("seen by the server=", seen), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, one, two, line := twoMachines(t)
				line.before.Store(!seen)
				line.behind.Store(seen)
				began := time.Now()
				a := one.asks(profile)
				synctest.Wait()
				b := two.asks(profile)
				(<-a).fails(grants.ErrRefresh)
				if took := time.Since(began); took > 16*time.Second {
					t.Errorf("the first one tried for %v", took)
				}
				if seen {
					one.tolerated = []fakeas.Rule{fakeas.RefreshTokenReused}
					two.tolerated = one.tolerated
					two.approves()
				}
				(<-b).holds(profile)
				if took := time.Since(began); took < 29*time.Second || took > 45*time.Second {
					t.Errorf("the other one went on after %v", took)
				}
				line.before.Store(false)
				line.behind.Store(false)
				one.has(profile)
				one.wants(fakeas.Refresh, map[bool]int{false: 1, true: 2}[seen])
			})
		})
	}
}

// What a refresh brings after the grant was ended elsewhere is revoked, and used by nobody.
func TestFleet_EndedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, one, two, _ := twoMachines(t)
		one.as.Script(fakeas.Refresh, fakeas.Pass().After(10*time.Second))
		ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
		defer cancel()
		a := one.asksAs(ctx, one.me, profile, caller{may: func(bool) error { return grants.ErrClosed }})
		synctest.Wait()
		began := time.Now()
		if err := two.me.Forget(t.Context()); err != nil {
			t.Errorf("Forget: %v", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("the end took %v", took)
		}
		if o := <-a; o.err == nil {
			t.Error("there is a grant")
		}
		later(time.Minute)
		if g := one.me.Grant(); g != nil {
			t.Error("it is at hand")
		}
		if one.stored() != "" {
			t.Error("it is stored")
		}
		for _, token := range one.all() {
			if access, ok := one.as.Introspect(token); ok {
				t.Errorf("a token is good for %q", access.Scopes)
			}
		}
	})
}

// While nobody can begin, no refresh token is used, and no person is asked: it is another time.
func TestFleet_Standby(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, one, _, _ := twoMachines(t)
		d.standby.Store(true)
		(<-one.asks(profile)).fails(grants.ErrRefresh)
		one.wants(fakeas.Refresh, 0)
		one.wants(fakeas.DeviceAuthorization, 1)
		d.standby.Store(false)
		one.has(profile)
	})
}

// Two machines have one sign-in: one code, one poll at a time, and both have the grant. The one that polls dies
// in the middle of a poll, and the other one goes on within a lease and a bit.
func TestFleet_OneSignIn(t *testing.T) {
	for _, dies := range []bool{false, true} {
		t.Run(fmt.Sprint("one dies=", dies), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, line := &database{SharedMemory: store.NewSharedMemory(nil)}, new(link)
				mine := &database{SharedMemory: d.SharedMemory} // is cut off when it dies
				one := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour, Interval: 5 * time.Second}, store: mine.fleet(t), wire: line.wire, shares: true})
				two := newWorld(t, setup{shared: one.as, store: d.fleet(t), shares: true})
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				a := one.asksAs(ctx, one.me, profile, caller{})
				later(time.Second)
				b := two.asks(profile)
				later(12 * time.Second)
				if dies {
					line.polls.Store(true)
					later(6 * time.Second) // in the middle of a poll
					mine.dead.Store(true)
				}
				one.approves()
				began := time.Now()
				(<-b).holds(profile)
				if took := time.Since(began); took > 50*time.Second {
					t.Errorf("the other one had it after %v", took)
				}
				if dies {
					leave()
				}
				if o := <-a; !dies {
					o.holds(profile)
				}
				one.wants(fakeas.DeviceAuthorization, 1)
			})
		})
	}
}

// A poller goes on while another machine declines for its host: neither loses what the other writes, and no
// poll is early.
func TestFleet_DeclinesBesideAPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &database{SharedMemory: store.NewSharedMemory(nil)}
		one := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour, Interval: 5 * time.Second}, store: d.fleet(t), shares: true})
		two := newWorld(t, setup{shared: one.as, store: d.fleet(t), shares: true})
		one.as.Script(fakeas.Poll, fakeas.Pass().After(8*time.Second).Times(-1))
		a := one.asks(profile)
		later(7 * time.Second) // in the middle of a poll
		began := time.Now()
		if err := two.flights.Decline(expired(t), flightKey(grants.Principal{}), "another host"); err != nil {
			t.Errorf("Decline: %v", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
		one.approves()
		(<-a).holds(profile)
		one.wants(fakeas.DeviceAuthorization, 1)
	})
}

// expired returns a context in which nothing is waited for.
func expired(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}
