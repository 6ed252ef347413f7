package lazyauth

import (
	"context"
	"errors"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/pending"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/schedule"
)

// sharedFlights are what processes share of the sign-ins under way, by way of Options.Store.
type sharedFlights struct {
	flights *pending.Flights // nil: nothing
	key     func(grants.Principal) string
	keeper  *grants.Keeper // set before any use

	places   pending.Places // nil: each process bounds its own
	placesOf func(grants.Principal) string
	server   *grants.AuthorizationServer
	failed   func(context.Context, grants.Principal, error) // of the store
}

func newSharedFlights(s *Service, o *Options, told observer) *sharedFlights {
	shared := &sharedFlights{
		key:    func(who grants.Principal) string { return s.flightKey(Principal(who)) },
		failed: told.storeFailed,
	}
	if o.Store != nil && !o.UnsharedSignIns {
		shared.flights = pending.New(o.Store)
		shared.places, _ = offered[pending.Places](o.Store)
		shared.placesOf = func(who grants.Principal) string { return s.placesKey(Principal(who)) }
	}
	return shared
}

// pages returns what processes share of sign-ins by the connect page; nil if there are none, or none that could be
// forwarded to.
func (s *sharedFlights) pages(r replicas, polls *schedule.Schedule) *grants.SharedPages {
	directory, ok := r.(interface {
		Address(ctx context.Context, incarnation string) (string, error)
	})
	if s.flights == nil || !ok {
		return nil
	}
	answers := func(ctx context.Context, process string) (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, lookUpWait)
		defer cancel()
		address, err := directory.Address(ctx, process)
		return address != "", err
	}
	return &grants.SharedPages{
		Flights: s.flights, Key: s.key, Schedule: polls, Failed: s.failed, Me: r.Incarnation(), Answers: answers,
		Reached: func(ctx context.Context) bool {
			reached, err := answers(ctx, r.Incarnation())
			return err == nil && reached
		},
	}
}

// lookUpWait is how long it may take to find out whether another process can be reached.
const lookUpWait = 3 * time.Second

// remembers returns ways that are not gone where the person has declined, or approved in vain, in another
// process.
func (s *sharedFlights) remembers(ways []grants.Way) []grants.Way {
	if s.flights == nil {
		return ways
	}
	all := make([]grants.Way, len(ways))
	for n, way := range ways {
		all[n] = grants.Remembering{Way: way, Flights: s.flights, Key: s.key}
	}
	return all
}

// declined has other processes know that the person has declined by the program of this name. It
// returns at once.
func (s *sharedFlights) declined(who grants.Principal, program string) {
	if s.flights == nil {
		return
	}
	s.keeper.Spawn("writing to the store", func() {
		ctx := s.keeper.Context()
		if err := s.flights.Decline(ctx, s.key(who), program); err != nil && ctx.Err() == nil {
			s.failed(ctx, who, err)
		}
	})
}

// forgotten is [grants.Config].Forgotten.
func (s *sharedFlights) forgotten(ctx context.Context, who grants.Principal) error {
	if s.flights == nil {
		return nil
	}
	told := func(err error) { s.failed(ctx, who, err) }
	token, err := s.flights.Forget(ctx, s.key(who), pending.NewShare(s.places, s.placesOf(who.Person()), 0, nil, told))
	if token != nil {
		err = errors.Join(err, s.server.RevokeToken(ctx, token))
	}
	return err
}
