package redirect

import (
	"context"
	"net"
	"syscall"
)

// exclusiveAddrUse is SO_EXCLUSIVEADDRUSE of winsock2.h, which is ^SO_REUSEADDR.
const exclusiveAddrUse = ^syscall.SO_REUSEADDR

// listenExclusively listens on an address that nobody else can listen on at the same time.
// On Windows another program could by SO_REUSEADDR, and take the codes, unless it is forbidden.
func listenExclusively(ctx context.Context, network, address string) (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) error {
		var failed error
		err := conn.Control(func(fd uintptr) {
			failed = syscall.SetsockoptInt(syscall.Handle(fd), syscall.SOL_SOCKET, exclusiveAddrUse, 1)
		})
		if err != nil {
			return err
		}
		return failed
	}}
	return config.Listen(ctx, network, address)
}
