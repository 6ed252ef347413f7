package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/lazyauth/mcp-lazyauth/examples/http/server"
)

// soMany is how many people a story is about: what it tells of one happens to each of them.
const soMany = 8

// stories has happen what chance brings about too rarely, so that each of the store's guards is once all that stands
// between people and harm. What has gone wrong stands in the figures.
func (r *round) stories(ctx context.Context, people []string) error {
	for _, tell := range []func(context.Context, []string) error{r.startsOnce, r.refreshesOnce, r.writesLate} {
		if err := tell(ctx, people); err != nil || r.isWrong() {
			return err
		}
	}
	return nil
}

// each does something for all of the people at a time.
func each(people []string, do func(user string)) {
	var all sync.WaitGroup
	for _, user := range people {
		all.Go(func() { do(user) })
	}
	all.Wait()
}

// startsOnce: two replicas have the retry of a call at the same moment, and one of them starts its handler.
func (r *round) startsOnce(ctx context.Context, people []string) error {
	each(people, func(user string) { r.call(ctx, r.processes.public, user, user+" signs in", upTo(time.Second)) })
	return ctx.Err()
}

// refreshesOnce: a token has expired, all replicas need it, and the answer takes long. One of them asks for it.
func (r *round) refreshesOnce(ctx context.Context, people []string) error {
	time.Sleep(tokenLife)
	r.server.slowOnes.Store(slowAlways)
	defer r.server.slowOnes.Store(slowNever)
	each(people, func(user string) {
		var hosts sync.WaitGroup
		for n, one := range r.processes.all {
			hosts.Go(func() { r.call(ctx, one.address(), user, fmt.Sprintf("%s refreshes at %d", user, n), 0) })
		}
		hosts.Wait()
	})
	return ctx.Err()
}

// writesLate: a process has got new tokens, and stands still before it writes them down, until its leases have ended.
// Others present the old ones once more, since it may have died before it did, and so lose the grants: their people are
// asked, and grant anew. Nobody remembers that, since all others are replaced. Then it goes on, and writes what it has.
// What was granted anew is to be there.
func (r *round) writesLate(ctx context.Context, people []string) error {
	time.Sleep(tokenLife)
	p := r.processes
	late := p.all[len(p.all)-1]
	p.signal(late, syscall.SIGKILL)
	if err := p.start(ctx, late, stops+before+"write"); err != nil {
		return err
	}
	asking, hangUp := context.WithCancel(ctx)
	var asked sync.WaitGroup
	defer asked.Wait()
	defer hangUp()
	for _, user := range people {
		asked.Go(func() {
			h := &host{at: late.address() + server.ModernPath, token: user}
			_, _ = h.send(asking, user+" asks who stands still", "", "") // what comes of it is the process's to find out
		})
	}
	select {
	case <-late.hasHalted():
	case <-time.After(tries * reachWait):
		return errors.New("no process has stood still before it wrote")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	r.died(stops + before + "write")
	time.Sleep(tokenLife) // in the others the old one may be good still; the lease is longer in any case
	each(people, func(user string) { r.call(ctx, p.public, user, user+" grants anew", 0) })
	for _, one := range p.all[:len(p.all)-1] {
		p.signal(one, syscall.SIGKILL)
	}
	hangUp() // nobody waits for what is late
	p.signal(late, syscall.SIGCONT)
	time.Sleep(3 * time.Second)
	p.signal(late, syscall.SIGKILL)
	for _, one := range p.all {
		if err := p.start(ctx, one, ""); err != nil {
			return err
		}
	}
	time.Sleep(tokenLife)
	each(people, func(user string) { r.call(ctx, p.public, user, user+" is not asked", 0) })
	return ctx.Err()
}
