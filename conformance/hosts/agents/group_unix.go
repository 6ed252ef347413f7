//go:build unix

package agents

import (
	"os/exec"
	"syscall"
	"time"
)

// inGroup makes a command lead a session, whose processes end with its context.
func inGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error {
		group := -cmd.Process.Pid
		time.AfterFunc(2*time.Second, func() { _ = syscall.Kill(group, syscall.SIGKILL) }) // they may be gone
		return syscall.Kill(group, syscall.SIGTERM)
	}
}
