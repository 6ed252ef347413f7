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
	return &kept{&files{folder: folder{path: dir}, codec: c}}, nil
}

type files struct {
	folder folder
	codec  codec
}

// suffix is what the files that hold records are named by.
const suffix = ".grant"

func (f *files) guard(ctx context.Context, name string) (func(), error) {
	return f.folder.guard(ctx, name)
}

func (f *files) read(_ context.Context, name string) (*entry, error) {
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

func (f *files) write(_ context.Context, name string, e *entry) error {
	return f.folder.write(name, name+suffix, f.codec.seal(name, e))
}

func (f *files) remove(_ context.Context, name, _ string) error {
	return f.folder.remove(name, name+suffix)
}

func (f *files) setAside(_ context.Context, name string) (string, error) {
	return f.folder.setAside(name, name+suffix)
}

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
