package enginetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/pending"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/schedule"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// TestSignIns tells of people who sign in, and whose calls wait at three machines meanwhile: each is shown one code, which
// is polled for never too early and never beside the store; one machine has the token, and all three hear of it.
func TestSignIns(t *testing.T, e Engine) {
	const people, rounds = 10, 2 // of polls
	as := fakeas.New(&fakeas.Options{Interval: time.Second})
	var machines []*signInMachine
	for range stormMachines {
		m := newSignInMachine(t, as, e)
		defer m.close()
		machines = append(machines, m)
	}
	var brought [people]atomic.Bool
	var tokens [people]atomic.Int32
	var all sync.WaitGroup
	for n := range people {
		for k := range machines {
			m := machines[(n+k)%stormMachines] // the first one begins, and the others join
			a, err := m.begins(n, &brought[n])
			if err != nil {
				t.Fatalf("person %d: %v", n, err)
			}
			all.Add(1)
			a.Start(t.Context(), nil, func(token *oauth.Token, err error) {
				defer all.Done()
				switch {
				case token != nil:
					tokens[n].Add(1)
					brought[n].Store(true)
					a.End(t.Context(), pending.Outcome{Kept: true})
				case !errors.Is(err, pending.ErrElsewhere):
					t.Errorf("person %d: %v", n, err)
				}
			})
		}
	}
	written := func() (n int64) {
		for _, m := range machines {
			n += m.rows.changed.Load()
		}
		return n
	}
	begun := written()
	earlier := as.Count(fakeas.Poll, "") // on a slow machine some are polled for before all have begun
	Eventually(t, "they are polled for", func() bool { return as.Count(fakeas.Poll, "") >= earlier+people*rounds })
	polls := as.Count(fakeas.Poll, "") - earlier
	changes := written() - begun
	for _, code := range as.Waiting() {
		if err := as.Approve(code.UserCode); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
	for n := range tokens {
		if got := tokens[n].Load(); got != 1 {
			t.Errorf("person %d: %d machines have the token", n, got)
		}
	}
	if n := as.Count(fakeas.DeviceAuthorization, ""); n != people {
		t.Errorf("%d codes for %d people", n, people)
	}
	for _, v := range as.Violations() {
		t.Errorf("violation: %v", v)
	}
	// Each poll is begun and written. One of each person may be under way; on a slow machine turns are taken besides.
	if changes < int64(2*(polls-people)) {
		t.Errorf("%d changes of the store for %d polls", changes, polls)
	}
	t.Logf("%d changes of the store for %d polls", changes, polls)
}

// A signInMachine is one of those that share sign-ins under way.
type signInMachine struct {
	rows    *countedStore
	flights *pending.Flights
	asked   pending.Asked
	close   func()
}

func newSignInMachine(t *testing.T, as *fakeas.Server, e Engine) *signInMachine {
	t.Helper()
	rows, closeRows, err := e.Open()
	if err != nil {
		t.Fatal(err)
	}
	m := &signInMachine{rows: &countedStore{Shared: rows, began: func() {}}, close: closeRows}
	fleet, err := store.NewFleet(m.rows, bytes.Repeat([]byte("n4me"), store.KeySize/4), [][]byte{bytes.Repeat([]byte("s3al"), store.KeySize/4)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	server, err := oauth.New(oauth.Config{
		Endpoints:   oauth.Endpoints{DeviceAuthorization: as.URL(fakeas.DeviceAuthorization), Token: as.URL(fakeas.Poll)},
		Credentials: oauth.Credentials{ID: fakeas.DefaultClientID}, Transport: as.Transport(),
	})
	if err != nil {
		t.Fatal(err)
	}
	client, err := device.New(server, device.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m.flights = pending.New(fleet)
	m.asked = pending.Asked{
		Server: server, Client: client, Schedule: schedule.New(8),
		Want:   func(context.Context) scopes.Set { return stormNeed },
		Failed: func(err error) { t.Errorf("the store has failed: %v", err) },
	}
	return m
}

// begins has the sign-in of a person begun or joined, of whom brought says that the grant is where grants are.
func (m *signInMachine) begins(n int, brought *atomic.Bool) (*pending.Authorization, error) {
	asked := m.asked
	asked.Key = fmt.Sprint("sign-in of person ", n)
	asked.Brought = func(context.Context, time.Time) (bool, error) { return brought.Load(), nil }
	return m.flights.Begin(context.Background(), asked)
}
