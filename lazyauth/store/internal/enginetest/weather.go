package enginetest

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// LinkWeather tells of machines that count in a few rows, each by an attempt of its own, which may outlast its lease,
// while the link is cut, silent, slow and without answers by turns. No count is lost that was acknowledged, none is made twice, and no attempt
// begins while the lease of another has not ended.
func LinkWeather(t *testing.T, p Place) {
	const machines, rows, lease = 4, 3, 200 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	type row struct {
		acknowledged, unknown atomic.Int64
		mu                    sync.Mutex
		fence                 uint64    // the greatest of those that were begun
		until                 time.Time // of the lease that it got, by the clock of this machine, at least
		owner                 string
	}
	var table [rows]row
	var wg sync.WaitGroup
	defer wg.Wait() // whatever comes, nobody writes once the test is over
	defer cancel()
	for m := range machines {
		s := p.Impatient(t, 500*time.Millisecond)
		owner := string(rune('a' + m))
		wg.Go(func() {
			for n := m; ctx.Err() == nil; n++ {
				id, r := Grant(n%rows), &table[n%rows]
				began := time.Now()
				before, fence, err := s.Begin(ctx, id, store.Attempt{Owner: owner, Lease: lease})
				if err != nil || fence == 0 {
					continue
				}
				r.mu.Lock()
				if fence > r.fence {
					if r.owner != "" && r.owner != owner && time.Now().Before(r.until) {
						t.Errorf("row %d: fence %d was begun by %s before the lease of %s had ended", n%rows, fence, owner, r.owner)
					}
					r.fence, r.until, r.owner = fence, began.Add(lease), owner
				}
				r.mu.Unlock()
				var generation, count uint64
				if before != nil && before.Content != nil {
					generation, count = before.Generation, binary.BigEndian.Uint64(before.Content)
				}
				work := rand.N(5 * time.Millisecond) //nolint:gosec // what it was begun for
				if n%20 == 0 {
					work += lease + lease/2 // a machine that was suspended
				}
				time.Sleep(work)
				r.mu.Lock()
				if r.fence == fence { // whoever comes next may begin as soon as it is released
					r.owner = ""
				}
				r.mu.Unlock()
				ok, err := s.Write(ctx, id, fence, generation, store.Change{Generation: generation + 1, Content: binary.BigEndian.AppendUint64(nil, count+1), Release: true})
				switch {
				case err != nil:
					r.unknown.Add(1)
				case ok:
					r.acknowledged.Add(1)
				}
			}
		})
	}
	acknowledged := func() (all, least int64) {
		least = 20
		for i := range table {
			n := table[i].acknowledged.Load()
			all, least = all+n, min(least, n)
		}
		return all, least
	}
	weather := []func(){p.Link.Cut, p.Link.Drop, p.Link.Unanswered, p.Link.Break, func() { p.Link.Delay(5 * time.Millisecond) }}
	for turns := 0; ; turns++ {
		if _, least := acknowledged(); turns >= 2*len(weather) && least == 20 {
			break
		}
		weather[turns%len(weather)]()
		time.Sleep(rand.N(100 * time.Millisecond)) //nolint:gosec // the weather
		p.Link.Restore()
		before, _ := acknowledged()
		time.Sleep(rand.N(200 * time.Millisecond)) //nolint:gosec // the weather
		Eventually(t, "a machine gets on while the weather is good", func() bool { now, _ := acknowledged(); return now > before })
	}
	cancel()
	wg.Wait()
	s := p.Open(t)
	for n := range table {
		var got *store.Row
		Eventually(t, "it answers", func() (ok bool) {
			var err error
			got, err = s.Read(context.WithoutCancel(ctx), Grant(n))
			return err == nil
		})
		if got == nil || len(got.Content) != 8 {
			t.Fatalf("row %d is %+v", n, got)
		}
		count := int64(binary.BigEndian.Uint64(got.Content))
		known, unknown := table[n].acknowledged.Load(), table[n].unknown.Load()
		if count < known || count > known+unknown || uint64(count) != got.Generation {
			t.Errorf("row %d counts %d, generation %d; %d were acknowledged, and of %d it is not known", n, count, got.Generation, known, unknown)
		}
		t.Logf("row %d counts %d; %d were acknowledged, and of %d it was not known", n, count, known, unknown)
	}
}
