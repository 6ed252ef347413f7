package enginetest

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/schedule"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// A stormMachine is one replica: its own view of the store, and what keeps grants there.
type stormMachine struct {
	tb     testing.TB
	rows   *countedStore
	fleet  *store.Fleet
	keeper *grants.Keeper
	stop   func() // ends the hints, and closes the store
}

func (s *storm) machine() *stormMachine {
	s.tb.Helper()
	rows, closeRows, err := s.engine.Open()
	if err != nil {
		s.tb.Fatal(err)
	}
	m := &stormMachine{tb: s.tb, rows: &countedStore{Shared: rows, began: s.wire.comes}}
	m.fleet, err = store.NewFleet(m.rows, bytes.Repeat([]byte("n4me"), store.KeySize/4), [][]byte{bytes.Repeat([]byte("s3al"), store.KeySize/4)}, nil)
	if err != nil {
		s.tb.Fatal(err)
	}
	running, stop := context.WithCancel(context.WithoutCancel(s.tb.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = m.fleet.Run(running) // it ends as it is told to
	}()
	m.stop = func() { stop(); <-ended; closeRows() }
	server, err := grants.NewAuthorizationServer(oauth.Config{
		Endpoints: oauth.Endpoints{Issuer: s.as.Issuer()}, Credentials: oauth.Credentials{ID: fakeas.DefaultClientID}, Transport: &s.wire,
	}, grants.Clients{}, false, device.Offered)
	if err != nil {
		s.tb.Fatal(err)
	}
	m.keeper = grants.New(grants.Config{
		Service: "Notes", Words: func(scopes.Set) []string { return nil }, Ways: []grants.Way{grants.DeviceFlow{Server: server, Schedule: schedule.New(8)}}, Server: server,
		Declared: func() scopes.Set { return stormNeed }, MaxSignIns: 10_000, MaxWaiting: 100_000,
		Store: m.fleet, Key: func(who grants.Principal) string { return "grant of " + who.Key() }, Observer: unobserved{},
	})
	return m
}

func (m *stormMachine) close() {
	m.keeper.Close()
	if still := m.keeper.Join(time.Minute); still != nil {
		m.tb.Errorf("these did not end: %q", still)
	}
	m.stop()
}

// A countedStore counts what it is asked for, the attempts that it refuses, and the changes that it makes.
type countedStore struct {
	store.Shared
	asked, refused, changed atomic.Int64

	began func()   // is told of the first attempt on each row
	rows  sync.Map // of these
}

func (c *countedStore) Now(ctx context.Context) (time.Time, error) {
	c.asked.Add(1)
	return c.Shared.Now(ctx)
}

func (c *countedStore) Read(ctx context.Context, id store.ID) (*store.Row, error) {
	c.asked.Add(1)
	return c.Shared.Read(ctx, id)
}

func (c *countedStore) Begin(ctx context.Context, id store.ID, a store.Attempt) (*store.Row, uint64, error) {
	before, fence, err := c.Shared.Begin(ctx, id, a)
	if _, again := c.rows.LoadOrStore(id, nil); !again {
		c.began()
	}
	c.counts(fence != 0)
	if fence == 0 && err == nil {
		c.refused.Add(1)
	}
	return before, fence, err
}

func (c *countedStore) Write(ctx context.Context, id store.ID, fence, generation uint64, change store.Change) (bool, error) {
	written, err := c.Shared.Write(ctx, id, fence, generation, change)
	c.counts(written)
	return written, err
}

func (c *countedStore) Insert(ctx context.Context, id store.ID, change store.Change) (bool, error) {
	inserted, err := c.Shared.Insert(ctx, id, change)
	c.counts(inserted)
	return inserted, err
}

func (c *countedStore) counts(changed bool) {
	c.asked.Add(1)
	if changed {
		c.changed.Add(1)
	}
}

// unobserved is a [grants.Observer] who does nothing: what happens is counted from outside.
type unobserved struct{}

func (unobserved) Waiting(context.Context, *grants.Owner, string, scopes.Set)             {}
func (unobserved) ClientChosen(*grants.Flight, grants.ClientChoice)                       {}
func (unobserved) Polled(*grants.Flight, device.PollEvent)                                {}
func (unobserved) Redirected(*grants.Flight, authcode.Event)                              {}
func (unobserved) Ended(*grants.Flight, time.Duration)                                    {}
func (unobserved) Refreshed(context.Context, *grants.Owner, *grants.Grant, time.Duration) {}
func (unobserved) TokenFailed(context.Context, *grants.Owner, error)                      {}
func (unobserved) StoreFailed(context.Context, *grants.Owner, error)                      {}
func (unobserved) Unidentified(context.Context, *grants.Owner, error)                     {}
func (unobserved) Changed(*grants.Owner)                                                  {}
func (unobserved) CallbackFailed(context.Context, string, error)                          {}

func (unobserved) RefreshFailed(context.Context, *grants.Owner, *grants.Grant, time.Duration, error, bool) {
}

func (unobserved) Drawn(context.Context, grants.Principal, string, *grants.Grant, scopes.Set, time.Duration, error) {
}
