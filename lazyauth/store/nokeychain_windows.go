package store

import (
	"errors"
	"syscall"
)

// errNoSuchLogonSession is ERROR_NO_SUCH_LOGON_SESSION: a logon that has no
// credentials of its own, as over ssh with a key.
const errNoSuchLogonSession = syscall.Errno(1312)

// noKeychain returns why a request failed, if that is because this session has no
// Credential Manager, or "".
func noKeychain(err error) string {
	if errors.Is(err, errNoSuchLogonSession) {
		return "this logon session has no credentials"
	}
	return ""
}
