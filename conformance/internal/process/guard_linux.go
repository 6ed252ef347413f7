package process

import (
	"io"
	"os/exec"
	"syscall"
)

// guarding are what guards wait for: they close with this program. Nothing is written
// to them.
var guarding []io.Closer

// Guard starts a program that is to outlive this one, in a session of its own, where
// no terminal reaches it. It finds the end of its standard input when this program
// has ended, however that came, and is then to call [KillMarked]. [KillAll] ends it. It is not called concurrently.
func Guard(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	guarding = append(guarding, in)
	return cmd.Start()
}

// KillMarked kills what has the mark in its environment, and what that starts
// meanwhile. The calling program must not have it.
func KillMarked(mark string) {
	entry := append([]byte(mark), 0)
	killUntilGone(func(t task) bool { return t.has(entry) })
}
