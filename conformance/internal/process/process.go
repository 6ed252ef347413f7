// Package process starts a program and ends it with all that it started: its
// process group, and on Linux also what left the group.
//
// A group is signalled only while its leader exists, be it as a zombie: once the
// leader has been waited for, the system may give its number to a process that
// has nothing to do with it. So the leader is waited for last.
package process

import (
	"os/exec"
	"sync"
	"time"
)

// A Process is a program that was started. Its methods may be called
// concurrently.
type Process struct {
	cmd    *exec.Cmd
	mark   string        // an entry of its environment that no other program has
	exited chan struct{} // closed when it has exited
	once   sync.Once     // of End
	err    error         // how it ended; set by End, or before exited is closed
}

// running are the programs whose group can be signalled: started, and not about to
// be waited for.
var running struct {
	sync.Mutex
	all map[*Process]bool
}

// Start starts a command as the leader of a process group. Mark, an entry of its
// environment as in "NAME=value", is how on Linux those of its descendants are
// found that leave the group; it must be one that no other program has. On Linux
// the program is killed when this one is.
//
// The caller calls End in any case.
func Start(cmd *exec.Cmd, mark string) (*Process, error) {
	p := &Process{cmd: cmd, mark: mark, exited: make(chan struct{})}
	cmd.Env = append(cmd.Environ(), mark)
	cmd.SysProcAttr = attributes()
	running.Lock() // nothing is started while all is killed
	defer running.Unlock()
	started := make(chan error)
	go p.watch(started)
	if err := <-started; err != nil {
		return nil, err
	}
	if running.all == nil {
		running.all = make(map[*Process]bool)
	}
	running.all[p] = true
	return p, nil
}

// Exited is closed when the program has exited, whatever it left behind. What it
// left runs until End.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// End asks the program and its group to end, gives them as long as grace if it has
// not exited yet, kills what is left of them, and waits for that. The error is
// that of [exec.Cmd.Wait].
func (p *Process) End(grace time.Duration) error {
	p.once.Do(func() {
		select {
		case <-p.exited:
		default:
			p.interrupt()
			timer := time.NewTimer(grace)
			defer timer.Stop()
			select {
			case <-p.exited:
			case <-timer.C:
			}
		}
		running.Lock()
		p.killGroup()
		delete(running.all, p)
		running.Unlock()
		p.killEscaped()
		<-p.exited
		p.err = p.reap()
	})
	return p.err
}

// KillAll kills everything that was started and has not been ended, at once. With
// [Adopt] that is every descendant of this program. It is for a program that ends
// itself right after; nothing can be started any more.
func KillAll() {
	running.Lock() // for good
	for p := range running.all {
		p.killGroup()
	}
	for p := range running.all {
		p.killEscaped()
	}
	killDescendants()
}
