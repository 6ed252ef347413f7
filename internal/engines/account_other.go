//go:build !unix

package engines

import (
	"errors"
	"syscall"
)

type account struct{}

func unprivileged(...string) (*account, error) {
	return nil, errors.New("engines: not on this operating system")
}

func (*account) give(...string) error { return nil }

func attributes(*account) *syscall.SysProcAttr { return nil }
