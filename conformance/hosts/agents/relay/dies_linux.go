package relay

import (
	"os/exec"
	"runtime"
	"syscall"
)

// diesWith has a command killed when this process is. The signal follows the
// thread that starts the command, which therefore is kept.
func diesWith(cmd *exec.Cmd) {
	runtime.LockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
