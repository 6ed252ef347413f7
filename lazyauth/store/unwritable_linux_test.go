package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// unwritable are ways in which a folder that had a record becomes one that can be read
// and not written.
var unwritable = []func(dir string) error{
	func(dir string) error { // mounted read-only
		return syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
	},
	func(dir string) error { // full
		w, err := os.Create(dir + "/ballast")
		for err == nil {
			_, err = w.Write(make([]byte, 4096))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			return err
		}
		return w.Close()
	},
	func(string) error { // no file may have any content
		signal.Ignore(syscall.SIGXFSZ)
		return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{})
	},
}

const noMount = "mounts are not allowed here"

// useUnwritable has a disk of its own for dir, makes it unwritable and uses a store there.
// It runs as a process of its own, in namespaces of its own.
func useUnwritable(dir string, way int) error {
	if way < 2 {
		if err := syscall.Mount("grants", dir, "tmpfs", 0, "size=512k,mode=0700"); err != nil {
			_, err = fmt.Print(noMount)
			return err
		}
	}
	ctx := context.Background()
	s, err := store.File(dir, testKey(1))
	if err != nil {
		return err
	}
	for _, who := range []string{"alice", "bob"} {
		if err := s.Update(ctx, who, to(secret)); err != nil {
			return err
		}
	}
	if err := s.Update(ctx, "bob", remove); err != nil {
		return err
	}
	if err := unwritable[way](dir); err != nil {
		return err
	}
	for _, who := range []string{"alice", "bob", "carol"} {
		err := s.Update(ctx, who, func([]byte) ([]byte, error) { fmt.Println("change was called for", who); return nil, nil })
		if !errors.Is(err, store.ErrUnwritable) || !strings.Contains(err.Error(), dir) {
			fmt.Println("Update:", err)
		}
	}
	if got, err := s.Load(ctx, "alice"); string(got) != secret || err != nil {
		fmt.Printf("Load: %q, %v\n", got, err)
	}
	if keys, err := s.Keys(ctx); len(keys) != 1 || err != nil {
		fmt.Printf("Keys: %q, %v\n", keys, err)
	}
	all, err := os.ReadDir(dir)
	for _, file := range all {
		if strings.HasSuffix(file.Name(), ".tmp") {
			fmt.Println("left behind:", file.Name())
		}
	}
	return err
}

// A disk that can be read and not written is found out before change is called: change
// spends the refresh token that other processes share.
func TestUnwritable_Disk(t *testing.T) {
	for way, name := range []string{"read-only", "full", "limited"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir() + "/grants"
			must(t, 0, os.Mkdir(dir, 0o700))
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=unwritable %d %s", roleVariable, way, dir))
			cmd.SysProcAttr = &syscall.SysProcAttr{
				Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
				UidMappings: []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}},
				GidMappings: []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}},
			}
			if way == 2 {
				cmd.SysProcAttr = nil
			}
			var said bytes.Buffer
			cmd.Stdout, cmd.Stderr = &said, &said
			err := cmd.Run()
			if _, ran := errors.AsType[*exec.ExitError](err); err != nil && !ran || said.String() == noMount {
				t.Skip(noMount)
			}
			if err != nil || said.Len() > 0 {
				t.Errorf("%v: %s", err, said.String())
			}
		})
	}
}
