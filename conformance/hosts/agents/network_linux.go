package agents

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"unsafe"
)

// alone is in the environment of a process that [Alone] has started.
const alone = "LAZYAUTH_AGENTS_ALONE"

// Alone runs this program once more, in a network that has loopback and nothing
// else, and returns its exit status; in that process it returns false, and the
// program goes on. Neither agents nor anything that they start can leave such a
// network. It needs no root where the system lets users have name spaces of
// their own.
func Alone(ctx context.Context) (status int, done bool, err error) {
	if os.Getenv(alone) != "" {
		return 0, false, raiseLoopback()
	}
	self, err := os.Executable()
	if err != nil {
		return 0, false, err
	}
	cmd := exec.CommandContext(ctx, self, os.Args[1:]...) //nolint:gosec // this very program
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), alone+"=1")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Geteuid() != 0 {
		// A user without privileges has them in a name space of users; this one
		// is kept across the start of the program, to switch on loopback.
		const netAdmin = 12 // CAP_NET_ADMIN, see capabilities(7)
		cmd.SysProcAttr.AmbientCaps = []uintptr{netAdmin}
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		return 0, false, fmt.Errorf("no network of its own to be had: %w", err)
	}
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return max(exit.ExitCode(), 1), true, nil
	}
	return 0, true, err
}

// raiseLoopback switches on the one interface of a new network, as "ip link set
// lo up" does.
func raiseLoopback() error {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = syscall.Close(socket) }()
	request := struct { // struct ifreq, see netdevice(7)
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}{flags: syscall.IFF_UP}
	copy(request.name[:], "lo")
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, uintptr(socket), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request))); e != 0 { //nolint:gosec // the call takes a pointer
		return fmt.Errorf("loopback cannot be switched on in a network of its own: %w", e)
	}
	return nil
}
