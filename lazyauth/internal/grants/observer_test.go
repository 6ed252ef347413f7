package grants_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// events are what the observer was told, and the errors that callers had.
type events struct {
	mu     sync.Mutex
	list   []event
	errors strings.Builder
}

type event struct {
	name    string
	who     grants.Principal
	missing scopes.Set
	flight  *grants.Flight
	err     error
	ended   bool
	client  string
	former  string
}

func (e *events) add(was event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, was)
	if was.err != nil {
		fmt.Fprintf(&e.errors, "%v %+v %#v\n", was.err, was.err, was.err)
	}
}

func (e *events) said(err error) { e.add(event{name: "said", err: err}) }

// told returns what was told under this name.
func (e *events) told(name string) []event {
	e.mu.Lock()
	defer e.mu.Unlock()
	var told []event
	for _, was := range e.list {
		if was.name == name {
			told = append(told, was)
		}
	}
	return told
}

// forget lets go of the flights that events were about, and with them of their owners.
func (e *events) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for n := range e.list {
		e.list[n].flight = nil
	}
}

func (e *events) text() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.errors.String()
}

func (e *events) Waiting(_ context.Context, o *grants.Owner, _ string, missing scopes.Set) {
	e.add(event{name: "waiting", who: o.Who(), missing: missing})
}

func (e *events) Redirected(*grants.Flight, authcode.Event) {}

func (e *events) ClientChosen(f *grants.Flight, c grants.ClientChoice) {
	e.add(event{name: "client " + string(c.Source), flight: f, err: c.Against, client: c.ID})
}

func (e *events) Registered(_ context.Context, id, former string, _ time.Duration, err error) {
	e.add(event{name: "registered", err: err, client: id, former: former})
}

func (e *events) RegistrationStoreFailed(_ context.Context, err error) {
	e.add(event{name: "registration store failed", err: err})
}

func (e *events) Polled(f *grants.Flight, _ device.PollEvent) {
	e.add(event{name: "polled", flight: f})
}

func (e *events) Ended(f *grants.Flight, _ time.Duration) {
	_, _, err := f.Result()
	e.add(event{name: "ended", flight: f, err: err})
}

func (e *events) Refreshed(_ context.Context, o *grants.Owner, _ *grants.Grant, _ time.Duration) {
	e.add(event{name: "refreshed", who: o.Who()})
}

func (e *events) RefreshFailed(_ context.Context, o *grants.Owner, _ *grants.Grant, _ time.Duration, err error, ended bool) {
	e.add(event{name: "refresh failed", who: o.Who(), err: err, ended: ended})
}

func (e *events) TokenFailed(_ context.Context, o *grants.Owner, err error) {
	e.add(event{name: "token failed", who: o.Who(), err: err})
}

func (e *events) Drawn(_ context.Context, who grants.Principal, _ string, _ *grants.Grant, want scopes.Set, _ time.Duration, err error) {
	e.add(event{name: "drawn", who: who, missing: want, err: err})
}

func (e *events) StoreFailed(_ context.Context, o *grants.Owner, err error) {
	e.add(event{name: "store failed", who: o.Who(), err: err})
}

func (e *events) Unidentified(_ context.Context, o *grants.Owner, err error) {
	e.add(event{name: "unidentified", who: o.Who(), err: err})
}

func (e *events) Changed(o *grants.Owner) { e.add(event{name: "changed", who: o.Who()}) }

func (e *events) CallbackFailed(_ context.Context, what string, err error) {
	e.add(event{name: "callback failed: " + what, err: err})
}
