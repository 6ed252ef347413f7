package signin

import (
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents/record"
)

// A follower reads a recording while it is written.
type follower struct {
	ended chan struct{}
	done  sync.WaitGroup
}

func newFollower(file string, p *person) *follower {
	f := &follower{ended: make(chan struct{})}
	p.begin()
	f.done.Go(func() {
		var read record.File
		look := time.NewTicker(30 * time.Millisecond)
		defer look.Stop()
		for over := false; ; {
			for _, line := range read.More(file) {
				p.record.Read(line)
			}
			p.looksWhetherItLives()
			if over {
				return
			}
			select {
			case <-f.ended:
				over = true // once more
			case <-look.C:
			}
		}
	})
	return f
}

// stop reads what is left.
func (f *follower) stop() {
	close(f.ended)
	f.done.Wait()
}
