package store

import (
	"errors"
	"syscall"
)

// errNoSuchLogonSession is ERROR_NO_SUCH_LOGON_SESSION: a logon that has no
// credentials of its own, as over ssh with a key.
const errNoSuchLogonSession = syscall.Errno(1312)

// noKeychain reports whether a request failed because this session has no
// Credential Manager.
func noKeychain(err error) bool { return errors.Is(err, errNoSuchLogonSession) }
