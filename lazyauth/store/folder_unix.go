//go:build unix

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// checksModes says that permission bits mean what they say.
const checksModes = true

// owned reports whether a file belongs to the user who runs the program, and to
// whom if not.
func owned(info fs.FileInfo) (owner string, mine bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "nobody knows whom", false
	}
	return fmt.Sprintf("the user with id %d", stat.Uid), int64(stat.Uid) == int64(os.Geteuid())
}

// syncFolder makes lasting what was created, renamed and removed in a folder.
func syncFolder(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	defer shut(d)
	// Some file systems cannot do it for folders, and say so.
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return err
	}
	return nil
}
