package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// File returns a store that keeps each record in a file of its own in the folder
// dir, encrypted with AES-256-GCM. It does not touch the disk before it is used,
// and then makes dir if there is none. A relative dir counts from the present
// working directory.
//
// The keys have [KeySize] random bytes each, which the operator keeps somewhere
// else than the files: the first seals, all of them open. What an older key
// sealed is sealed anew when it is next updated.
//
// On Unix dir must belong to the user who runs the program and be closed to
// everybody else (0700), and so must the files in it (0600); anything else is
// refused with [ErrUnsafe]. Elsewhere the folder's access list decides, and is
// not checked.
//
// The files' names do not say whose they are, but who can list the folder can
// check a guess.
func File(dir string, keys ...[]byte) (Store, error) {
	r, err := newRing(keys)
	if err != nil {
		return nil, err
	}
	return newFiles(dir, r)
}

// UnencryptedFile is like [File], but nothing is encrypted: whoever gets at the
// files, in a backup or as another program of the same user, has the tokens. The
// permissions of files and folder are all that protects them.
func UnencryptedFile(dir string) (Store, error) { return newFiles(dir, plain{}) }

func newFiles(dir string, c codec) (Store, error) {
	if dir == "" {
		return nil, errors.New("store: no folder was named")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return &kept{place: &files{folder: folder{path: dir}, codec: c, requests: queue{limit: filesAtOnce, advice: silentDisk}}}, nil
}

type files struct {
	folder   folder
	codec    codec
	requests queue
}

const (
	// filesAtOnce is how many requests a store makes to its disk at once.
	filesAtOnce = 8
	silentDisk  = "its disk, or the network that the disk is on, may be out of reach"
)

// suffix is what the files that hold records are named by.
const suffix = ".grant"

func (f *files) queue() *queue                        { return &f.requests }
func (f *files) tryLock(name string) (func(), error)  { return f.folder.tryLock(name) }
func (f *files) lockName(name string) string          { return f.folder.join(lockFile(name)) }
func (f *files) setAside(name string) (string, error) { return f.folder.setAside(name, name+suffix) }

func (f *files) read(name string) (*entry, error) {
	data, err := f.folder.read(name + suffix)
	if data == nil || err != nil {
		return nil, err
	}
	e, err := f.codec.open(name, data)
	if err != nil {
		// The path is not part of the record and tells where to look.
		return nil, fmt.Errorf("store: %s: %w", f.folder.join(name+suffix), err)
	}
	return e, nil
}

// prepare writes a file of the greatest length that a record's may have.
func (f *files) prepare(_ context.Context, name, _ string) (draft, error) {
	file, err := f.folder.reserve(name)
	if err != nil {
		return nil, unwritable(f.folder.path, err)
	}
	return &fileDraft{f, name, file}, nil
}

type fileDraft struct {
	files *files
	name  string
	file  string // room for a record; gone if somebody has removed the folder
}

func (d *fileDraft) write(e *entry) error {
	return d.files.folder.write(d.file, d.name+suffix, d.files.codec.seal(d.name, e))
}

func (d *fileDraft) remove() error { return d.files.folder.remove(d.name, d.name+suffix) }
func (d *fileDraft) discard()      { d.files.folder.discard(d.file) }

func (f *files) names(context.Context) ([]string, error) {
	all, err := f.folder.list()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, file := range all {
		if name, ok := strings.CutSuffix(file, suffix); ok {
			names = append(names, name)
		}
	}
	return names, nil
}

func (f *files) String() string { return f.codec.String() + " in " + f.folder.path }
