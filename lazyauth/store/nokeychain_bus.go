//go:build (dragonfly && cgo) || (freebsd && cgo) || linux || netbsd || openbsd

package store

import (
	"context"
	"errors"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/zalando/go-keyring"
)

// noKeychain returns why a request failed, if that is because nobody serves keychains:
// there is no session bus, or no Secret Service on it, even after the request should have
// started one; otherwise "". It asks the bus, since error texts differ between its
// implementations.
func noKeychain(err error) string {
	if errors.Is(err, keyring.ErrNotFound) {
		return "" // somebody looked
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	bus, err := dbus.SessionBusPrivateNoAutoStartup(dbus.WithContext(ctx))
	if err != nil {
		return "no session bus answers"
	}
	defer shut(bus)
	if bus.Auth(nil) != nil || bus.Hello() != nil {
		return "the session bus does not let this program in"
	}
	var served bool
	err = bus.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.NameHasOwner", 0, "org.freedesktop.secrets").Store(&served)
	if err == nil && !served {
		return "no Secret Service is on the session bus"
	}
	return ""
}
