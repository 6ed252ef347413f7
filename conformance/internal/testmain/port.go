package testmain

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// The ports of FreePort. All systems give to those who ask for any port, and to outgoing
// connections, one of a range above: on Linux from 32768 on, elsewhere from 49152 on (RFC 6335 §6).
const (
	firstPort = 20000
	lastPort  = 29999
)

// FreePort returns a port of loopback that nobody listens on, for a process that has to be told
// one, or that takes it once more when it starts anew. It is none that the system gives to
// somebody else meanwhile, as it does with one that was given to a listener that is closed again.
func FreePort() (port int, err error) {
	for range 100 {
		port = firstPort + rand.IntN(lastPort-firstPort+1) //nolint:gosec // it is no secret
		listener, failed := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if failed == nil {
			return port, listener.Close()
		}
		err = failed
	}
	return 0, fmt.Errorf("no port is free: %w", err)
}
