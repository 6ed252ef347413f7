package enginetest

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/internal/engines"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// A Server is one of package engines.
type Server interface {
	Kill(context.Context) error
	Start(context.Context) error
	Promote(context.Context) error
	Addr() string
}

// Losing is a store that says what it may lose.
type Losing interface {
	Losses(context.Context) (store.Losses, error)
}

// acknowledged is what one machine was told of rows.
type acknowledged struct {
	fences, generations map[int]uint64
}

// write begins and writes one row after the other, every so many, until it cannot.
func (a *acknowledged) write(ctx context.Context, s store.Shared, first, every int, enough func()) {
	defer enough()
	for n := first; ; n += every {
		before, fence, err := s.Begin(ctx, Grant(n), store.Attempt{Owner: "one", Lease: Long})
		if err != nil {
			return
		}
		if before == nil {
			before = &store.Row{}
		}
		a.fences[n], a.generations[n] = fence, before.Generation
		generation := before.Generation + 1
		if ok, err := s.Write(ctx, Grant(n), fence, before.Generation, store.Change{Generation: generation, Content: []byte("written")}); err != nil || !ok {
			return
		}
		a.generations[n] = generation
		if n == first+10*every {
			enough()
		}
	}
}

// CrashAcknowledgedIsThere tells of a server that is killed while machines write, and started again: what it had
// acknowledged is there, and what was begun has its fence.
func CrashAcknowledgedIsThere(t *testing.T, p Place, server Server) {
	ctx := context.WithoutCancel(t.Context())
	if losses, err := p.Open(t).(Losing).Losses(ctx); err != nil || losses != store.LosesNothing {
		t.Fatalf("Losses: %v, %v", losses, err)
	}
	for range 2 {
		const machines = 4
		var wg sync.WaitGroup
		enough := make(chan struct{}, 2*machines)
		var all []*acknowledged
		for m := range machines {
			a := &acknowledged{make(map[int]uint64), make(map[int]uint64)}
			all = append(all, a)
			s := p.Open(t)
			wg.Go(func() { a.write(ctx, s, m, machines, func() { enough <- struct{}{} }) })
		}
		for range machines {
			<-enough
		}
		if err := server.Kill(ctx); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if err := server.Start(ctx); err != nil {
			t.Fatal(err)
		}
		s := p.Open(t)
		count := 0
		for _, a := range all {
			count += len(a.fences)
			for n, fence := range a.fences {
				if got := Get(t, s, Grant(n)); got == nil || got.Fence < fence || got.Generation < a.generations[n] {
					t.Errorf("row %d is %+v; fence %d and generation %d were acknowledged", n, got, fence, a.generations[n])
				}
			}
		}
		t.Logf("%d rows had been acknowledged", count)
	}
}

// FailoverWhatIsLostIsSeen tells of a standby that is promoted behind a link that had been cut: what was acknowledged meanwhile
// is lost, as docs/scale.md says. Until then it is read-only. A machine that has seen what was lost finds out by the
// generation, is told, and brings back what it has. Between is the link between the two servers, and follower
// what the standby has.
func FailoverWhatIsLostIsSeen(t *testing.T, p Place, standby Server, between *engines.Link, follower store.Shared) {
	ctx := context.WithoutCancel(t.Context())
	s := p.Open(t)
	Eventually(t, "the server says that a standby follows", func() bool {
		losses, err := s.(Losing).Losses(ctx)
		return err == nil && losses == store.LosesAtFailover
	})
	var told atomic.Int32
	machine, err := store.NewFleet(s, bytes.Repeat([]byte("n4me"), store.KeySize/4), [][]byte{bytes.Repeat([]byte("s3al"), store.KeySize/4)},
		&store.FleetOptions{Trace: store.FleetTrace{FailedOver: func(context.Context, store.FailedOver) { told.Add(1) }}})
	if err != nil {
		t.Fatal(err)
	}
	write := func(record string) {
		t.Helper()
		if err := machine.Update(ctx, "alice", func([]byte) ([]byte, error) { return []byte(record), nil }); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	var ids []store.ID
	Eventually(t, "the standby has it", func() bool {
		ids, err = follower.NotSealedBy(ctx, "", store.ID{}, 10)
		return err == nil && len(ids) == 1
	})
	if _, _, err = follower.Begin(ctx, ids[0], store.Attempt{Owner: "one", Lease: Long}); !errors.Is(err, store.ErrUnwritable) {
		t.Errorf("Begin on the standby: %v; want an ErrUnwritable", err)
	}
	p.WantAdvice(t, err, "primary")
	seen := Get(t, s, ids[0])
	between.Cut()
	write("second")
	if err := standby.Promote(ctx); err != nil {
		t.Fatal(err)
	}
	p.Link.To(standby.Addr())
	var lost *store.Row
	Eventually(t, "the promoted one answers", func() bool { lost, err = s.Read(ctx, ids[0]); return err == nil })
	if lost == nil || lost.Generation != seen.Generation {
		t.Errorf("the promoted one has %+v; want generation %d", lost, seen.Generation)
	}
	if record, err := machine.Load(ctx, "alice"); err != nil || string(record) != "second" {
		t.Errorf("the machine that has seen it: %q, %v", record, err)
	}
	if told.Load() == 0 {
		t.Error("it was not told")
	}
	write("third")
	if row := Get(t, s, ids[0]); row == nil || row.Generation <= seen.Generation+1 {
		t.Errorf("afterwards: %+v", row)
	}
}
