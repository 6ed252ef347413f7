package workers_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/workers"
)

// job is a job that is one function.
type job struct{ run func() }

func (j *job) Run() { j.run() }

// pool counts the goroutines that it was given.
func pool(t *testing.T) (*workers.Pool, *atomic.Int32) {
	var made atomic.Int32
	var all sync.WaitGroup
	p := workers.New(func(f func()) bool {
		made.Add(1)
		all.Go(f)
		return true
	})
	t.Cleanup(func() {
		p.Close()
		all.Wait() // a goroutine that stays is a deadlock of the bubble
	})
	return p, &made
}

func TestPool_RunsEachJobOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, made := pool(t)
		var runs atomic.Int32
		hold := make(chan struct{})
		for range 100 {
			if !p.Run(&job{func() { runs.Add(1); <-hold }}) {
				t.Fatal("refused")
			}
		}
		synctest.Wait()
		if n := len(p.Jobs()); runs.Load() != 100 || n != 100 || made.Load() != 100 {
			t.Errorf("%d run, %d of them at once, on %d goroutines; want 100 of each", runs.Load(), n, made.Load())
		}
		close(hold)
		synctest.Wait()
		for range 50 { // one after the other, on what is kept
			p.Run(&job{func() { runs.Add(1) }})
			synctest.Wait()
		}
		if runs.Load() != 150 || made.Load() != 100 || len(p.Jobs()) != 0 {
			t.Errorf("%d runs on %d goroutines, %d still running; want 150, 100, 0", runs.Load(), made.Load(), len(p.Jobs()))
		}
	})
}

// A job that ends its goroutine ends nobody else's.
func TestPool_JobThatExits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := pool(t)
		p.Run(&job{runtime.Goexit})
		synctest.Wait()
		ran := false
		p.Run(&job{func() { ran = true }})
		synctest.Wait()
		if !ran || len(p.Jobs()) != 0 {
			t.Errorf("ran %t, jobs %d", ran, len(p.Jobs()))
		}
	})
}

func TestPool_Closed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := pool(t)
		p.Run(&job{func() {}})
		synctest.Wait()
		p.Close()
		p.Close()
		if p.Run(&job{func() { t.Error("runs") }}) {
			t.Error("accepted")
		}
		unwilling := workers.New(func(func()) bool { return false })
		if unwilling.Run(&job{func() { t.Error("runs") }}) || len(unwilling.Jobs()) != 0 {
			t.Error("a job that nobody runs was accepted")
		}
	})
}
