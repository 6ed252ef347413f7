//go:build !darwin && !windows && !((dragonfly && cgo) || (freebsd && cgo) || linux || netbsd || openbsd)

package store

import (
	"errors"

	"github.com/zalando/go-keyring"
)

// noKeychain reports whether a request failed because the library knows of no
// keychain on this platform.
func noKeychain(err error) bool { return errors.Is(err, keyring.ErrUnsupportedPlatform) }
