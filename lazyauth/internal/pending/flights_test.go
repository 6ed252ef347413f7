package pending_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/pending"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/schedule"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

const key = "flight"

// later lets time pass, and what happens then come to rest.
func later(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// A slow store takes a while to write what the next change has returned, if that is set.
type slow struct {
	store.Store
	writing atomic.Int64 // a time.Duration
}

func (s *slow) Unwrap() store.Store { return s.Store }

func (s *slow) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	return s.Store.Update(ctx, key, func(old []byte) ([]byte, error) {
		record, err := change(old)
		time.Sleep(time.Duration(s.writing.Swap(0)))
		return record, err
	})
}

// machine returns the store of one of the machines that share s.
func machine(t *testing.T, s store.Shared) *slow {
	t.Helper()
	f, err := store.NewFleet(s, []byte("0123456789abcdefghijklmnopqrstuv"), [][]byte{[]byte("ABCDEFGHIJKLMNOPQRSTUVWXYZ543210")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &slow{Store: f}
}

// frequent is a store in memory that is for sign-ins under way.
type frequent struct{ store.Store }

// A process is one of those that share a store.
type process struct {
	t       *testing.T
	flights *pending.Flights
	asked   pending.Asked

	settled bool
	blind   atomic.Bool // the grant's record cannot be read
	brought atomic.Bool // the grant's record has one
	polled  []device.PollEvent
}

// starts has a process start, whose requests go over wire, if that is not nil.
func starts(t *testing.T, as *fakeas.Server, s store.Store, wire http.RoundTripper) *process {
	t.Helper()
	if wire == nil {
		wire = as.Transport()
	}
	server, err := oauth.New(oauth.Config{
		Endpoints:   oauth.Endpoints{DeviceAuthorization: as.URL(fakeas.DeviceAuthorization), Token: as.URL(fakeas.Poll)},
		Credentials: oauth.Credentials{ID: fakeas.DefaultClientID}, Transport: wire,
	})
	if err != nil {
		t.Fatal(err)
	}
	client, err := device.New(server, device.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, flights: pending.New(s)}
	p.asked = pending.Asked{
		Key: key, Server: server, Client: client, Schedule: schedule.New(8),
		Want:    func(context.Context) scopes.Set { return scopes.Of("profile") },
		Settled: func() { p.settled = true },
		Brought: func(context.Context, time.Time) (bool, error) {
			if p.blind.Load() {
				return false, errors.New("it cannot be read")
			}
			return p.brought.Load(), nil
		},
		Failed: func(err error) { t.Errorf("the store has failed: %v", err) },
	}
	return p
}

func (p *process) begins() *pending.Authorization {
	p.t.Helper()
	a, err := p.flights.Begin(p.t.Context(), p.asked)
	if err != nil {
		p.t.Fatal(err)
	}
	return a
}

// A result is what a sign-in has come to.
type result struct {
	token *oauth.Token
	err   error
}

// waits has p wait for a.
func (p *process) waits(ctx context.Context, a *pending.Authorization) <-chan result {
	done := make(chan result, 1)
	a.Start(ctx, func(e device.PollEvent) { p.polled = append(p.polled, e) }, func(token *oauth.Token, err error) { done <- result{token, err} })
	return done
}

func approves(t *testing.T, as *fakeas.Server, code string) {
	t.Helper()
	if err := as.Approve(code); err != nil {
		t.Fatal(err)
	}
}

// A process that has had the token, and could not bring it, asks anew, and does not show a code that is used.
func TestBegin_AfterItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := fakeas.New(nil)
		p := starts(t, as, frequent{store.Memory()}, nil)
		first := p.begins()
		approves(t, as, first.UserCode)
		if r := <-p.waits(t.Context(), first); r.err != nil {
			t.Fatal(r.err)
		}
		first.End(t.Context(), pending.Outcome{}) // the grant could not be stored
		second := p.begins()
		if second.UserCode == first.UserCode || p.settled {
			t.Errorf("it has joined its own flight; settled: %t", p.settled)
		}
		approves(t, as, second.UserCode)
		if r := <-p.waits(t.Context(), second); r.err != nil {
			t.Error(r.err)
		}
	})
}

// While one process brings the token, another one shows nobody the code, which is used: it has the outcome, or
// the token, once the first one has ended in the middle of that.
func TestBegin_TheTokenHasCome(t *testing.T) {
	for name, brought := range map[string]bool{"it is brought": true, "it is not": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as, s := fakeas.New(nil), frequent{store.Memory()}
				a, b := starts(t, as, s, nil), starts(t, as, s, nil)
				first := a.begins()
				approves(t, as, first.UserCode)
				one := <-a.waits(t.Context(), first)
				if one.err != nil {
					t.Fatal(one.err)
				}
				later(time.Second)
				second := b.begins()
				if !b.settled {
					t.Error("the person is shown a code that is used")
				}
				waiting := b.waits(t.Context(), second)
				later(30 * time.Second)
				if brought {
					b.brought.Store(true)
					first.End(t.Context(), pending.Outcome{Kept: true})
				}
				began := time.Now()
				switch r := <-waiting; {
				case brought && !errors.Is(r.err, pending.ErrElsewhere):
					t.Errorf("%v", r.err)
				case !brought && (r.err != nil || r.token.Access != one.token.Access):
					t.Errorf("not the token: %v", r.err)
				}
				if took := time.Since(began); brought && took > 2*time.Second || took > 90*time.Second {
					t.Errorf("it took %v", took)
				}
				if n := as.Count(fakeas.Poll, ""); n != 1 {
					t.Errorf("%d polls", n)
				}
			})
		})
	}
}
