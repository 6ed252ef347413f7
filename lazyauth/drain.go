package lazyauth

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/connect"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
)

const (
	// drainLook is how often Drain looks at what is left.
	drainLook = 100 * time.Millisecond
	// drainQuiet is how long there has to be nothing: a request that came before the proxy knew begins what it begins.
	drainQuiet = time.Second
)

// Drain returns nil once nothing has been left for a second that this process alone can go on with, or else, when ctx has
// ended, an error that says what is. It ends and refuses nothing. Several interceptors of a process drain side by side.
//
// It is for a process that is to end, and that a proxy in front of it sends no more than what other replicas
// forward ([httpforward]): call it then, before [http.Server.Shutdown], which ends all connections, and that before
// [Interceptor.Close]. Where replicas share a store ([store.NewFleet]), what stays is
//
//   - a call that is being served, since its handler may start at any moment, for [Options].MaxWait at most; a handler in its
//     middle, and what it came to, until its host has fetched that, for 30 seconds at most;
//   - a sign-in that ends in a browser which comes back to this process, such as one by a [ConnectPage]: it takes as long
//     as its person does, ten minutes at most, after which its link is no longer good. If you do not wait for it, the link works
//     again, without another prompt, once the call comes to another replica.
//
// A device flow, and a call whose handler has not started and which no request serves, go on at another replica. Without
// such a store they stay, too.
//
// [httpforward]: https://pkg.go.dev/github.com/lazyauth/mcp-lazyauth/lazyauth/httpforward
func (i *Interceptor) Drain(ctx context.Context) error {
	d := drain{
		keeper: i.keeper, page: i.service.ConnectPage, alone: i.replicas == nil,
		calls: func() (all []*lifecycle) {
			for _, s := range i.suspended.All() {
				all = append(all, &s.lifecycle)
			}
			return all
		},
		unfetched: make(map[*lifecycle]time.Time),
	}
	return d.wait(ctx)
}

// A drain looks for what no other process can go on with.
type drain struct {
	keeper    *grants.Keeper
	page      *ConnectPage // nil: there is none
	alone     bool         // no other process goes on with a call
	calls     func() []*lifecycle
	unfetched map[*lifecycle]time.Time // since when calls were seen to have come to something that nobody has fetched
}

func (d *drain) wait(ctx context.Context) error {
	ticker := time.NewTicker(drainLook)
	defer ticker.Stop()
	for busy := time.Now(); ; {
		left := d.left()
		switch {
		case len(left) > 0:
			busy = time.Now()
		case time.Since(busy) >= drainQuiet:
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			if len(left) == 0 {
				return nil
			}
			return fmt.Errorf("lazyauth: what no other process can go on with: %s: %w", strings.Join(left, ", "), context.Cause(ctx))
		}
	}
}

// left says what there is.
func (d *drain) left() (left []string) {
	signIns := grants.Staying(d.keeper)
	if d.page != nil {
		signIns += connect.LastPages(d.page.page)
	}
	calls, outcomes := 0, 0
	for _, l := range d.calls() {
		switch starts, finished, fetched := l.stage(); {
		case finished && (fetched || !starts):
		case finished:
			if d.unfetched[l].IsZero() {
				d.unfetched[l] = time.Now()
			}
			if time.Since(d.unfetched[l]) < attendWait {
				outcomes++
			}
		case starts || d.alone:
			calls++
		}
	}
	for _, kind := range []struct {
		n    int
		what string
	}{{signIns, "sign-ins"}, {calls, "calls"}, {outcomes, "results of calls"}} {
		if kind.n > 0 {
			left = append(left, fmt.Sprintf("%d %s", kind.n, kind.what))
		}
	}
	return left
}
