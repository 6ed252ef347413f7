//go:build !windows

package redirect

import (
	"context"
	"net"
)

// listenExclusively listens on an address that nobody else can listen on at the same time,
// as is the rule on these systems.
func listenExclusively(ctx context.Context, network, address string) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, network, address)
}
