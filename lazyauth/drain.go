package lazyauth

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// drainLook is how often Drain looks at what is left.
const drainLook = 100 * time.Millisecond

// Drain returns nil once nothing is left that this process alone can go on with, or else, when ctx has ended,
// an error that says what is. It ends and refuses nothing. Several interceptors of a process drain side by side.
//
// It is for a process that is to end, and that a proxy in front of it sends no more than what other replicas
// forward ([httpforward]): call it then, before [http.Server.Shutdown], which ends all connections, and that before
// [Interceptor.Close]. Where replicas share a store ([store.NewFleet]), what stays is
//
//   - a call that is being served, since its handler may start at any moment, for [Options].MaxWait at most; a handler in its
//     middle, and what it came to, until its host has fetched that, for 30 seconds at most;
//   - a sign-in that ends in a browser which comes back to this process, such as one by a [ConnectPage]: it takes as long
//     as its person does, ten minutes at most, after which its link is no longer good.
//
// A device flow, and a call whose handler has not started and which no request serves, go on at another replica. Without
// such a store they stay, too.
//
// [httpforward]: https://pkg.go.dev/github.com/lazyauth/mcp-lazyauth/lazyauth/httpforward
func (i *Interceptor) Drain(ctx context.Context) error {
	ticker := time.NewTicker(drainLook)
	defer ticker.Stop()
	unfetched := make(map[*suspended]time.Time)
	for {
		left := i.left(unfetched)
		if len(left) == 0 {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("lazyauth: what no other process can go on with: %s: %w", strings.Join(left, ", "), context.Cause(ctx))
		}
	}
}

// left says what no other process can go on with. unfetched has since when calls were seen to have come to
// something that nobody has fetched.
func (i *Interceptor) left(unfetched map[*suspended]time.Time) (left []string) {
	byCode, inBrowsers := i.keeper.UnderWay()
	if i.sharesDeviceFlows() {
		byCode = 0
	}
	if page := i.service.ConnectPage; page != nil {
		inBrowsers = max(inBrowsers, page.page.UnderWay())
	}
	calls, outcomes := 0, 0
	for _, s := range i.suspended.All() {
		switch starts, finished, fetched := s.stage(); {
		case finished && (fetched || !starts):
		case finished:
			if unfetched[s].IsZero() {
				unfetched[s] = time.Now()
			}
			if time.Since(unfetched[s]) < attendWait {
				outcomes++
			}
		case starts || i.replicas == nil:
			calls++
		}
	}
	for _, kind := range []struct {
		n    int
		what string
	}{{byCode + inBrowsers, "sign-ins"}, {calls, "calls"}, {outcomes, "results of calls"}} {
		if kind.n > 0 {
			left = append(left, fmt.Sprintf("%d %s", kind.n, kind.what))
		}
	}
	return left
}

// sharesDeviceFlows reports whether another process polls on in a device flow of this one.
func (i *Interceptor) sharesDeviceFlows() bool {
	return i.options.Store != nil && !i.options.UnsharedSignIns && store.SuitsFrequentWrites(i.options.Store)
}
