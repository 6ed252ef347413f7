//go:build unix

package browser

import (
	"context"
	"os/exec"
	"syscall"
)

// leave runs a program, and ends when it does, with its status, or after three seconds without it:
// where no browser runs, xdg-open becomes the browser, and ends with it. The shell
// is its parent in our place, so that nobody waits for it, and it outlives us.
const leave = `"$0" "$@" </dev/null >/dev/null 2>&1 &
n=0
while kill -0 $! 2>/dev/null; do
	n=$((n + 1))
	[ $n -gt 30 ] && exit 0
	sleep 0.1 2>/dev/null || { sleep 1; n=$((n + 9)); }
done
wait $!`

// run runs a program in a session of its own: hosts end servers with all of their process group.
func run(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, "/bin/sh", append([]string{"-c", leave, name}, args...)...) //nolint:gosec // the program is one of three, the argument a file of ours
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd.Run()
}
