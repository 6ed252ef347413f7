package store

import (
	"errors"
	"net"
	"testing"
)

// A bus that says nothing may have a keychain on it: to take it for none would have grants kept elsewhere.
func TestNoKeychain_SilentBus(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for five seconds, and does nothing else")
	}
	silent, err := net.Listen("unix", t.TempDir()+"/bus")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+silent.Addr().String())
	if why := noKeychain(errors.New("no answer")); why != "" {
		t.Errorf("there is no keychain, it says: %s", why)
	}
}
