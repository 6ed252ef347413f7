package process

import (
	"errors"
	"syscall"
	"unsafe"
)

func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// watch starts the program, and waits until it exits.
func (p *Process) watch(started chan<- error) {
	err := p.cmd.Start()
	started <- err
	if err == nil {
		awaitExit(p.cmd.Process.Pid)
		close(p.exited)
	}
}

// awaitExit waits until a child has exited, and leaves it to be waited for.
func awaitExit(pid int) {
	const byPID = 1                  // P_PID
	const exited, leave = 0x04, 0x20 // WEXITED, WNOWAIT
	var info [16]uint64              // siginfo_t, whose bytes nobody looks at
	for err := error(syscall.EINTR); errors.Is(err, syscall.EINTR); {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, byPID, uintptr(pid), uintptr(unsafe.Pointer(&info)), exited|leave, 0, 0)
		err = errno
	}
}

func (p *Process) interrupt() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM) } // it may have exited

// killGroup kills the group. The caller holds running.
func (p *Process) killGroup() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) } // it may have exited

// killEscaped does nothing here: what left the group is not found.
func (p *Process) killEscaped() {}

func (p *Process) reap() error { return p.cmd.Wait() }

// Adopt does nothing here: orphans are the system's.
func Adopt() {}

func killDescendants() {}
