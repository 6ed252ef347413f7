package process

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

// attributes make the program lead a group, and have the kernel kill it when the
// thread that started it ends: see watch.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// watch starts the program, and waits until it exits. Both are done by one thread,
// which nothing else uses and which is there for all that time: that thread is the
// one whose end the kernel looks at (prctl(2), PR_SET_PDEATHSIG).
func (p *Process) watch(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err == nil {
		awaitExit(p.cmd.Process.Pid)
		close(p.exited)
	}
}

// awaitExit waits until a child has exited, and leaves it to be waited for.
func awaitExit(pid int) {
	const byPID = 1     // P_PID
	var info [16]uint64 // siginfo_t, whose 128 bytes nobody looks at
	for err := error(syscall.EINTR); errors.Is(err, syscall.EINTR); {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, byPID, uintptr(pid),
			uintptr(unsafe.Pointer(&info)), syscall.WEXITED|syscall.WNOWAIT, 0, 0) //nolint:gosec // as the os package does
		err = errno
	}
}

func (p *Process) interrupt() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM) } // it may have exited

// killGroup kills the group. The caller holds running.
func (p *Process) killGroup() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) } // it may have exited

// killEscaped kills what left the group, and has the mark.
func (p *Process) killEscaped() {
	mark := append([]byte(p.mark), 0)
	killUntilGone(func(t task) bool { return t.has(mark) })
}

func (p *Process) reap() error { return p.cmd.Wait() }

// Adopt makes this program the parent of every descendant whose parent exits, so
// that [KillAll] finds them all. It is for a program that starts nothing but what
// is to be killed.
func Adopt() {
	const setChildSubreaper = 36                                             // PR_SET_CHILD_SUBREAPER
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, setChildSubreaper, 1, 0) // Linux 3.4 has it
	adopting = true
}

var adopting bool

func killDescendants() {
	if !adopting {
		return
	}
	self := os.Getpid()
	killUntilGone(func(t task) bool {
		for range 100 { // ancestors; more than there are
			if t.parent == self {
				return true
			}
			var ok bool
			if t, ok = look(t.parent); !ok {
				return false
			}
		}
		return false
	})
}

// killUntilGone kills the processes for which condemned holds, and those that they
// start meanwhile. It gives up on what cannot be killed after ten seconds or more.
func killUntilGone(condemned func(task) bool) {
	for range 1000 {
		found := slices.DeleteFunc(tasks(), func(t task) bool { return !condemned(t) })
		if len(found) == 0 {
			return
		}
		for _, t := range found {
			t.kill()
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// A task is a process as the system lists it.
type task struct {
	pid, parent int
	began       string // when it was started, in ticks: tells it from a later one with its number
}

// tasks are all processes that run.
func tasks() []task {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer func() { _ = dir.Close() }() // it was only read
	names, _ := dir.Readdirnames(-1)   // as far as it goes
	var all []task
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			if t, ok := look(pid); ok {
				all = append(all, t)
			}
		}
	}
	return all
}

// look finds a process that runs: a zombie does not.
func look(pid int) (task, bool) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return task{}, false
	}
	// proc_pid_stat(5): the second field, the name, is in parentheses and may have
	// anything in it; then come the state, the parent, and as the 22nd the start.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 || bytes.ContainsAny(fields[0], "ZX") {
		return task{}, false
	}
	parent, err := strconv.Atoi(string(fields[1]))
	return task{pid: pid, parent: parent, began: string(fields[19])}, err == nil
}

// has says whether an entry, with the zero byte after it, is in the environment
// that the process was started with.
func (t task) has(entry []byte) bool {
	environ, err := os.ReadFile("/proc/" + strconv.Itoa(t.pid) + "/environ")
	return err == nil && (bytes.HasPrefix(environ, entry) || bytes.Contains(environ, append([]byte{0}, entry...)))
}

// kill kills the process, and never one that has its number by now: it is held
// (pidfd_open(2)) before it is looked at again.
func (t task) kill() {
	held, err := os.FindProcess(t.pid)
	if err != nil {
		return
	}
	defer func() { _ = held.Release() }() // nobody waits for it
	if again, ok := look(t.pid); ok && again.began == t.began {
		_ = held.Kill() // it may have exited
	}
}
