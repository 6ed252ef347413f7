//go:build unix && !linux

package engines

import "syscall"

func attributes(who *account) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{}
	if who != nil {
		a.Credential = &syscall.Credential{Uid: who.uid, Gid: who.gid}
	}
	return a
}
