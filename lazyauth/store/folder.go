package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// A folder holds files that are for one user only. It is opened anew for each
// operation, so that its removal or replacement is noticed.
type folder struct {
	path string // absolute
}

func (f *folder) join(file string) string { return filepath.Join(f.path, file) }

// open opens the folder if it is private. Without create it fails with
// fs.ErrNotExist if there is none.
func (f *folder) open(create bool) (*os.Root, error) {
	before, err := os.Lstat(f.path)
	if gone(err) && create {
		if err := makeFolder(f.path); err != nil {
			return nil, unwritable(f.path, err)
		}
		before, err = os.Lstat(f.path)
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := private(f.path, before, fs.ModeDir); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(f.path)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	// What was looked at is what was opened.
	opened, err := root.Stat(".")
	if err == nil && !os.SameFile(before, opened) {
		err = fmt.Errorf("%s was replaced while it was opened: %w", f.path, ErrUnsafe)
	}
	if err != nil {
		shut(root)
		return nil, fmt.Errorf("store: %w", err)
	}
	return root, nil
}

// shut closes what was only read, or was synced before: nothing is lost when that
// fails.
func shut(c io.Closer) { _ = c.Close() }

// makeFolder makes a private folder, and those above it, to stay.
func makeFolder(path string) error {
	above := filepath.Dir(path)
	if _, err := os.Stat(above); gone(err) && above != path {
		if err := makeFolder(above); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if root, err := os.OpenRoot(above); err == nil { // a folder may be writable and not readable
		defer shut(root)
		return syncFolder(root)
	}
	return nil
}

// private refuses what is not of the wanted type (0 or fs.ModeDir), or not for
// the present user only, as far as the operating system tells.
func private(path string, info fs.FileInfo, want fs.FileMode) error {
	what, mode := "file", fs.FileMode(0o600)
	if want == fs.ModeDir {
		what, mode = "folder", 0o700
	}
	switch {
	case info.Mode().Type() == fs.ModeSymlink:
		return fmt.Errorf("store: %s is a symbolic link: %w: use the %s itself", path, ErrUnsafe, what)
	case info.Mode().Type() != want:
		return fmt.Errorf("store: %s is not a %s: %w: move it away", path, what, ErrUnsafe)
	}
	if owner, mine := owned(info); !mine {
		return fmt.Errorf("store: %s belongs to %s: %w: run this program as that user, or move the %s away", path, owner, ErrUnsafe, what)
	}
	if checksModes && info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("store: %s can be used by others (mode %04o): %w: chmod %o '%s', and sign in anew if somebody may have read it",
			path, info.Mode().Perm(), ErrUnsafe, mode, path)
	}
	return nil
}

// read returns the content of a file, or nil if there is none. A file that is
// longer than any record is damage.
func (f *folder) read(file string) ([]byte, error) {
	root, err := f.open(false)
	if gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer shut(root)
	path := f.join(file)
	// Before it is opened, because opening a pipe would wait.
	info, err := root.Lstat(file)
	if gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := private(path, info, 0); err != nil {
		return nil, err
	}
	r, err := root.Open(file)
	if gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	defer shut(r)
	// It may have been replaced meanwhile, which is how files are updated.
	if info, err = r.Stat(); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := private(path, info, 0); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("store: reading %s: %w", path, err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("store: %s: %w", path, damage("it is longer than any grant"))
	}
	return data, nil
}

// reserve makes a file that has room for any record, and returns its name. It is called
// under the lock of name. Disks that can be read and not written, and those that are
// full, are found out by it.
func (f *folder) reserve(name string) (string, error) {
	root, err := f.open(true)
	if err != nil {
		return "", err
	}
	defer shut(root)
	if err := sweep(root, name); err != nil {
		return "", err
	}
	// The name is random, so that even where locks do not work nobody writes
	// into what another is about to put in place.
	fresh := name + "." + rand.Text() + unfinished
	// Random, since some file systems keep zeros without taking room for them.
	room := make([]byte, maxFile)
	rand.Read(room) // never fails, see crypto/rand
	if err := fill(root, fresh, os.O_CREATE|os.O_EXCL, room); err != nil {
		return "", errors.Join(err, absent(root.Remove(fresh)))
	}
	return fresh, nil
}

// discard removes what reserve has made. A failure is mended by the next update.
func (f *folder) discard(fresh string) {
	if root, err := f.open(false); err == nil {
		defer shut(root)
		_ = root.Remove(fresh)
	}
}

// write replaces a file as a whole: a reader, and whoever comes after a crash,
// finds the old content or the new one. When it returns nil the new one is on
// the disk. It is called under the lock of reserve, with what that has returned.
func (f *folder) write(fresh, file string, data []byte) error {
	root, err := f.open(true)
	if err != nil {
		return err
	}
	defer shut(root)
	err = fill(root, fresh, 0, data)
	if gone(err) { // somebody has tidied up
		err = fill(root, fresh, os.O_CREATE|os.O_EXCL, data)
	}
	if err == nil {
		err = replace(root, fresh, file)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("store: writing to %s: %w", f.path, err), absent(root.Remove(fresh)))
	}
	if err := syncFolder(root); err != nil {
		return fmt.Errorf("store: writing to %s: %w", f.path, err)
	}
	return nil
}

// unfinished is the suffix of files that are being written.
const unfinished = ".tmp"

// fill makes data the content of a file, on the disk. It shortens the file last, since
// what is in use needs no new room.
func fill(root *os.Root, file string, flag int, data []byte) error {
	w, err := root.OpenFile(file, os.O_WRONLY|flag, 0o600)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	if err == nil {
		err = w.Truncate(int64(len(data)))
	}
	if err == nil {
		err = w.Sync()
	}
	return errors.Join(err, w.Close())
}

// unwritable is the error of a folder in which nothing can be written.
func unwritable(path string, err error) error {
	if errors.Is(err, ErrUnsafe) || errors.Is(err, ErrUnwritable) {
		return err
	}
	return fmt.Errorf("store: %s %w: make room on its disk, or let this program write there: %w", path, ErrUnwritable, err)
}

// replace renames a file over another. On Windows that fails while a virus
// scanner or an indexer has the old one open, which does not take long.
func replace(root *os.Root, fresh, file string) error {
	for n := 0; ; n++ {
		err := root.Rename(fresh, file)
		if err == nil || runtime.GOOS != "windows" || n == 100 || gone(err) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// sweep removes what writers of name left unfinished when they were killed. It
// may hold tokens.
func sweep(root *os.Root, name string) error {
	all, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	for _, file := range all {
		if strings.HasPrefix(file.Name(), name+".") && strings.HasSuffix(file.Name(), unfinished) {
			if err := absent(root.Remove(file.Name())); err != nil {
				return fmt.Errorf("store: %w", err)
			}
		}
	}
	return nil
}

// absent is the error of a removal: that there was nothing is none.
func absent(err error) error {
	if gone(err) {
		return nil
	}
	return err
}

// remove removes a file, to stay removed.
func (f *folder) remove(name, file string) error {
	root, err := f.open(true)
	if err != nil {
		return err
	}
	defer shut(root)
	err = errors.Join(absent(root.Remove(file)), sweep(root, name), syncFolder(root))
	if err != nil {
		return fmt.Errorf("store: removing from %s: %w", f.path, err)
	}
	return nil
}

// setAside renames a file and returns its new path, which nothing had before.
func (f *folder) setAside(name, file string) (string, error) {
	root, err := f.open(false)
	if err != nil {
		return "", err
	}
	defer shut(root)
	aside := name + "." + time.Now().UTC().Format("20060102T150405Z") + "-" + rand.Text() + ".damaged"
	if err := root.Rename(file, aside); err != nil {
		return "", err
	}
	return f.join(aside), syncFolder(root)
}

// list returns the names of the files in the folder, none if there is no folder.
func (f *folder) list() ([]string, error) {
	root, err := f.open(false)
	if gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer shut(root)
	all, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	var names []string
	for _, file := range all {
		names = append(names, file.Name())
	}
	return names, nil
}
