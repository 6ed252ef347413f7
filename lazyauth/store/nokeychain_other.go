//go:build !darwin && !windows && !((dragonfly && cgo) || (freebsd && cgo) || linux || netbsd || openbsd)

package store

import (
	"errors"

	"github.com/zalando/go-keyring"
)

// noKeychain returns why a request failed, if that is because the library knows of no
// keychain on this platform, or "".
func noKeychain(err error) string {
	if errors.Is(err, keyring.ErrUnsupportedPlatform) {
		return "none is known on this platform"
	}
	return ""
}
