package grants

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
)

// goroutines are those that Close waits for, and can name by what they do.
type goroutines struct {
	failed func(what string, err error) // is told of a panic

	mu      sync.Mutex
	closed  bool
	running map[string]int
	wg      sync.WaitGroup // goes up only under mu, and not once closed; but see Go
}

// Spawn runs f on a goroutine that Join waits for, and may name by what it does. It reports
// false, and runs nothing, once they are closed. A panic of f is told by failed,
// and ends nothing else.
func (g *goroutines) Spawn(what string, f func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.spawn(what, f)
	return true
}

// Hold has Join wait, as for a goroutine, until Release is called with the same: something goes on meanwhile,
// perhaps on no goroutine. It reports false, and holds nothing, once they are closed.
func (g *goroutines) Hold(what string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.running[what]++
	g.wg.Add(1)
	return true
}

// Release ends what Hold began.
func (g *goroutines) Release(what string) {
	g.ended(what)
	g.wg.Done()
}

// Go is Spawn for a goroutine that Join waits for already: it works while they are being closed,
// too.
func (g *goroutines) Go(what string, f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.spawn(what, f)
}

// spawn runs f; g.mu is held.
func (g *goroutines) spawn(what string, f func()) {
	g.running[what]++
	g.wg.Go(func() {
		defer g.ended(what)
		g.call(what, f)
	})
}

func (g *goroutines) ended(what string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running[what]--; g.running[what] == 0 {
		delete(g.running, what)
	}
}

// call calls f, which is ours, so that its panic ends nothing.
func (g *goroutines) call(what string, f func()) {
	err := guard.Call(what, func() error {
		f()
		return nil
	})
	if err != nil {
		g.failed(what, err)
	}
}

// close lets nothing begin any more.
func (g *goroutines) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

// Join waits for every goroutine, for at most this long, and returns what those do that
// have not ended, in a fixed order.
func (g *goroutines) Join(wait time.Duration) []string {
	ended := make(chan struct{})
	go func() {
		g.wg.Wait()
		close(ended)
	}()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ended:
		return nil
	case <-timer.C:
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Sorted(maps.Keys(g.running))
}
