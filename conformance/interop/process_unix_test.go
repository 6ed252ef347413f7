//go:build unix

package interop_test

import (
	"os/exec"
	"syscall"
)

// inOwnGroup makes the command lead a process group, and its cancellation end
// the group: a killed host must not leave its server behind.
func inOwnGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if cmd.Cancel != nil {
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	}
}
