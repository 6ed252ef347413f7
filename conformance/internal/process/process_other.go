//go:build !linux && !darwin

package process

import "syscall"

// attributes are the usual ones: a group could be signalled here only when its
// number may be another's already, so that there is none.
func attributes() *syscall.SysProcAttr { return nil }

// watch starts the program, and waits until it exits.
func (p *Process) watch(started chan<- error) {
	err := p.cmd.Start()
	started <- err
	if err == nil {
		p.err = p.cmd.Wait()
		close(p.exited)
	}
}

// interrupt does nothing here: not every such system has a way to ask.
func (p *Process) interrupt() {}

// killGroup kills the program alone. What it started ends when the suite closes its
// connections: a stub ends with them.
func (p *Process) killGroup() { _ = p.cmd.Process.Kill() } // it may have exited

// killEscaped does nothing here.
func (p *Process) killEscaped() {}

func (p *Process) reap() error { return p.err }

// Adopt does nothing here.
func Adopt() {}

func killDescendants() {}
