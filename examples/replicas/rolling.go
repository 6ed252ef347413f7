package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// rolls are the formats of rows to which the replicas are rolled over, one after the other, while people sign in and call: as a
// release that has a new format is told to write it, and told to go back.
var rolls = []int{store.Format2, store.Format1}

// roll plays that, of both flows at once.
func (o options) roll(ctx context.Context, out io.Writer, at string) error {
	var playing sync.WaitGroup
	names := slices.Sorted(maps.Keys(flows))
	failed := make([]error, len(names))
	for n, name := range names {
		if isFolder(at) && name == "redirect" { // see play
			continue
		}
		o.rounds++
		o := o
		playing.Go(func() {
			failed[n] = o.steadily(ctx, out, at, func(ctx context.Context, o options, place string) error {
				people := users(1000)
				r, err := begin(ctx, out, o, place, flows[name], people)
				if err != nil {
					return err
				}
				defer r.end()
				return r.rollOver(ctx, name, people)
			})
		})
	}
	playing.Wait()
	return errors.Join(failed...)
}

// rollOver replaces every process by SIGTERM, again and again, under load, and says what that has cost.
func (r *round) rollOver(ctx context.Context, name string, people []string) error {
	p := r.processes
	watching, stop := context.WithCancel(ctx)
	defer stop()
	for _, one := range p.all {
		go p.watch(watching, one)
	}
	l := newLoad(r, people)
	l.begin(ctx)
	formats, slowest := "", time.Duration(0)
	err := func() error {
		to := rolls
		if isFolder(p.base.Store) { // of which there is one format
			to = rolls[:1]
		}
		for _, format := range to {
			time.Sleep(time.Second) // of load
			p.base.Format = format
			for _, one := range p.all {
				took, err := p.replace(ctx, one)
				if err != nil {
					return err
				}
				slowest = max(slowest, took)
			}
			if isFolder(p.base.Store) {
				continue
			}
			found, err := formatsIn(ctx, p.base, p.key)
			if err != nil {
				return err
			}
			formats += fmt.Sprintf("; to format %d: %d rows in format 1, %d in format 2", format, found[store.Format1], found[store.Format2])
			if found[byte(format)] == 0 {
				return fmt.Errorf("nothing is in format %d: %w", format, errFound)
			}
		}
		return nil
	}()
	l.end()
	if ctx.Err() != nil { // what it had found by then says nothing
		return context.Cause(ctx)
	}
	if err == nil && !isFolder(p.base.Store) {
		err = sealedAnew(ctx, p.base, p.key)
	}
	return errors.Join(err, l.report(name, slowest, formats))
}

// watch has the proxy send requests to a process while that is ready, until ctx ends.
func (p *processes) watch(ctx context.Context, one *process) {
	client := &http.Client{Timeout: 5 * time.Second}
	for ctx.Err() == nil {
		one.mu.Lock()
		cmd := one.cmd
		one.mu.Unlock()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+one.place.Addr()+"/readyz", nil)
		if err != nil {
			return
		}
		res, err := client.Do(req)
		ready := err == nil && res.StatusCode == http.StatusOK
		if err == nil {
			_ = res.Body.Close()
		}
		one.mu.Lock()
		if one.cmd == cmd {
			one.up = ready
		}
		one.mu.Unlock()
		time.Sleep(readyPeriod)
	}
}

// readyPeriod is how often the proxy looks whether a process is ready.
const readyPeriod = 50 * time.Millisecond

// replace tells a process to end, waits until it has, and starts another one in its place. It returns how long the first
// took to end.
func (p *processes) replace(ctx context.Context, one *process) (took time.Duration, err error) {
	one.mu.Lock()
	cmd, ended, name := one.cmd, one.ended, one.name
	one.mu.Unlock()
	began := time.Now()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	select {
	case <-ended:
	case <-time.After(p.base.Drain + 2*time.Minute):
		return 0, fmt.Errorf("process %s does not end", name)
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	took = time.Since(began)
	if !cmd.ProcessState.Success() {
		return took, fmt.Errorf("process %s ended with %v", name, cmd.ProcessState)
	}
	return took, p.start(ctx, one, "")
}

// formatsIn counts the rows in each format.
func formatsIn(ctx context.Context, cfg replicaConfig, key string) (map[byte]int, error) {
	found := map[byte]int{}
	err := withRows(ctx, cfg, key, func(rows store.Shared, _ *store.Fleet) error {
		for after := (store.ID{}); ; {
			ids, err := rows.NotSealedBy(ctx, "", after, 500)
			if err != nil || len(ids) == 0 {
				return err
			}
			for _, id := range ids {
				row, err := rows.Read(ctx, id)
				if err != nil {
					return err
				}
				if row != nil && len(row.Content) > 0 {
					found[row.Content[0]]++
				}
			}
			after = ids[len(ids)-1]
		}
	})
	return found, err
}

// sealedAnew brings all rows into the format that is written, as before a release is put back that has no other.
func sealedAnew(ctx context.Context, cfg replicaConfig, key string) error {
	return withRows(ctx, cfg, key, func(_ store.Shared, f *store.Fleet) error {
		for range 10 { // rows that somebody works on are left
			r, err := f.Rotate(ctx)
			if err != nil {
				return err
			}
			if r.Left == 0 {
				return nil
			}
			time.Sleep(time.Second)
		}
		return fmt.Errorf("rows are left in another format: %w", errFound)
	})
}

func withRows(ctx context.Context, cfg replicaConfig, key string, do func(store.Shared, *store.Fleet) error) error {
	k, err := keysFrom(key)
	if err != nil {
		return err
	}
	rows, closeRows, err := openRows(ctx, cfg)
	if err != nil {
		return err
	}
	defer closeRows()
	f, err := store.NewFleet(rows, k.names, [][]byte{k.seal}, &store.FleetOptions{Format: cfg.Format})
	if err != nil {
		return err
	}
	return do(rows, f)
}

// report prints the figures, and says which are not what they are to be.
func (l *load) report(name string, slowest time.Duration, formats string) error {
	f := l.round.figures()
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.tally
	more := t.prompts - t.signIns
	out := &strings.Builder{} // at once, since two flows are played side by side
	fmt.Fprintf(out, "rolling %-8s lost-prompts=%d errors-32602=%d prompts-more=%d failed-calls=%d double-runs=%d concurrent-uses=%d presented-again=%d early-polls=%d\n",
		name, t.lost, t.invalid, more, t.failed, f.double, len(f.concurrent), f.presentedAgain, f.early)
	fmt.Fprintf(out, "rolling %-8s sign-ins=%d calls=%d fetched-after-hanging-up=%d handler-runs=%d in-doubt=%d slowest-end=%.1fs%s\n",
		name, t.signIns, t.calls, t.fetched, f.runs, f.inDoubt, slowest.Seconds(), formats)
	for _, why := range slices.Sorted(maps.Keys(t.failures)) {
		fmt.Fprintf(out, "  %3d %s\n", t.failures[why], why)
	}
	fmt.Fprint(l.round.out, out)
	if t.lost+t.invalid+t.failed+f.double+len(f.concurrent)+len(f.failed)+f.presentedAgain+f.early > 0 || more != 0 || f.runs != t.calls || t.signIns < 6 || t.calls < 3*t.signIns/2 {
		return fmt.Errorf("rolling over, %s: %w", name, errFound)
	}
	return nil
}
