package lazyauth

import (
	"context"
	"net"
)

// OnMachine has the listeners of the redirect flow be on a machine of the test's, and
// noBrowser say what speaks against a browser on it; nil says nothing.
func OnMachine(o Options, listen func(ctx context.Context, network, address string) (net.Listener, error), noBrowser func() string) Options {
	if noBrowser == nil {
		noBrowser = func() string { return "" }
	}
	o.listen, o.noBrowser = listen, noBrowser
	return o
}
