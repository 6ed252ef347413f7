//go:build (dragonfly && cgo) || (freebsd && cgo) || linux || netbsd || openbsd

package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/zalando/go-keyring"
)

// The Secret Service and what is asked of it (freedesktop.org, Secret Service API Draft).
const (
	secretName   = "org.freedesktop.secrets"
	secretPath   = dbus.ObjectPath("/org/freedesktop/secrets")
	secretIface  = "org.freedesktop.Secret.Service"
	loginPath    = dbus.ObjectPath("/org/freedesktop/secrets/collection/login") // what the library takes first
	accessDenied = "org.freedesktop.DBus.Error.AccessDenied"
)

// noKeychain returns why a request failed, if that is because there is no keychain that
// this program can use, or "". It asks the bus, since error texts differ between its
// implementations:
//   - no session bus answers, or it does not let this program in;
//   - nobody serves keychains on it, even after the request should have started somebody;
//   - a sandbox forbids talking to whoever does (the AppArmor policy of a snap without the
//     password-manager-service interface lets the bus answer AccessDenied);
//   - there is no collection to keep secrets in, neither "login" nor the default one, as
//     before the first login to a desktop, and on WSL.
//
// A keychain that is locked, or that refuses, is there.
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
		if ctx.Err() != nil { // it has said nothing
			return ""
		}
		return "the session bus does not let this program in"
	}
	var served bool
	err = bus.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.NameHasOwner", 0, secretName).Store(&served)
	switch {
	case denied(err):
		return "a sandbox forbids it"
	case err != nil:
		return ""
	case !served:
		return "no Secret Service is on the session bus"
	}
	service := bus.Object(secretName, secretPath)
	var standard dbus.ObjectPath
	err = service.CallWithContext(ctx, secretIface+".ReadAlias", dbus.FlagNoAutoStart, "default").Store(&standard)
	switch {
	case denied(err):
		return "a sandbox forbids it"
	case err != nil || standard != "/":
		return ""
	}
	var all dbus.Variant
	err = service.CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", dbus.FlagNoAutoStart, secretIface, "Collections").Store(&all)
	if collections, ok := all.Value().([]dbus.ObjectPath); err != nil || !ok || slices.Contains(collections, loginPath) {
		return ""
	}
	return "the Secret Service has no collection to keep secrets in"
}

// denied reports whether the bus, or what watches over it, did not deliver a message.
func denied(err error) bool {
	answer, ok := errors.AsType[dbus.Error](err)
	return ok && answer.Name == accessDenied
}
