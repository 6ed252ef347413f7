//go:build unix

package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

func TestFilesArePrivate(t *testing.T) {
	onDisk(t, func(t *testing.T, dir string, open func() store.Store) {
		defer syscall.Umask(syscall.Umask(0))
		put(t, open(), "alice", secret)
		for path, mode := range map[string]os.FileMode{
			dir: 0o700, filepath.Dir(dir): 0o700, grantFile(t, dir): 0o600, files(t, dir, ".lock")[0]: 0o600,
		} {
			if info, err := os.Stat(path); must(t, info, err).Mode().Perm() != mode {
				t.Errorf("%s has mode %v", path, info.Mode())
			}
		}
	})
}

// What others could have read or written is refused, with what to do, and not
// touched.
func TestNotPrivate(t *testing.T) {
	chmod := func(mode os.FileMode) func(*testing.T, string) {
		return func(t *testing.T, path string) { must(t, 0, os.Chmod(path, mode)) }
	}
	linked := func(t *testing.T, path string) {
		must(t, 0, os.Rename(path, path+".real"))
		must(t, 0, os.Symlink(path+".real", path))
	}
	dangling := func(t *testing.T, path string) {
		must(t, 0, os.RemoveAll(path))
		must(t, 0, os.Symlink(path+".nowhere", path))
	}
	pipe := func(t *testing.T, path string) {
		must(t, 0, os.RemoveAll(path))
		must(t, 0, syscall.Mkfifo(path, 0o600))
	}
	theFolder := func(_ *testing.T, dir string) string { return dir }
	theFile := func(t *testing.T, dir string) string { return grantFile(t, dir) }
	theLock := func(t *testing.T, dir string) string { return files(t, dir, ".lock")[0] }
	for _, c := range []struct {
		name   string
		where  func(*testing.T, string) string
		do     func(*testing.T, string)
		remedy string // in the error, which names the path as well
		loads  bool   // reading does not need it
	}{
		{"folder for the group", theFolder, chmod(0o750), "chmod 700", false},
		{"folder for everybody", theFolder, chmod(0o707), "chmod 700", false},
		{"folder that others may search", theFolder, chmod(0o711), "chmod 700", false},
		{"folder elsewhere", theFolder, linked, "use the folder itself", false},
		{"folder nowhere", theFolder, dangling, "use the folder itself", false},
		{"no folder", theFolder, pipe, "move it away", false},
		{"file for the group", theFile, chmod(0o640), "chmod 600", false},
		{"file for everybody", theFile, chmod(0o644), "chmod 600", false},
		{"file that others may write", theFile, chmod(0o602), "chmod 600", false},
		{"file elsewhere", theFile, linked, "use the file itself", false},
		{"file nowhere", theFile, dangling, "use the file itself", false},
		{"no file", theFile, pipe, "move it away", false},
		{"lock for everybody", theLock, chmod(0o666), "chmod 600", true},
		{"lock elsewhere", theLock, linked, "use the file itself", true},
		{"lock nowhere", theLock, dangling, "use the file itself", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			onDisk(t, func(t *testing.T, dir string, open func() store.Store) {
				put(t, open(), "alice", secret)
				path := c.where(t, dir)
				c.do(t, path)
				before, err := os.Lstat(path)
				must(t, before, err)

				update := open().Update(t.Context(), "alice", func([]byte) ([]byte, error) { t.Error("changed"); return nil, nil })
				_, load := open().Load(t.Context(), "alice")
				_, list := open().Keys(t.Context())
				errs := []error{update, load, list}
				if c.loads {
					errs = errs[:1]
				}
				for n, err := range errs {
					if !errors.Is(err, store.ErrUnsafe) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.remedy) {
						t.Errorf("%d: %v", n, err)
					}
				}
				if after, err := os.Lstat(path); !os.SameFile(must(t, after, err), before) || after.Mode() != before.Mode() {
					t.Error("it was changed")
				}
				if _, err := os.Lstat(path + ".nowhere"); err == nil {
					t.Error("a link was followed")
				}
			})
		})
	}
}

// A folder that others may read is as good as new after the advice was followed.
func TestAdviceFollowed(t *testing.T) {
	dir := t.TempDir() + "/grants"
	put(t, open(t, dir), "alice", secret)
	must(t, 0, os.Chmod(dir, 0o755))
	if _, err := open(t, dir).Load(t.Context(), "alice"); !errors.Is(err, store.ErrUnsafe) {
		t.Errorf("error: %v", err)
	}
	must(t, 0, os.Chmod(dir, 0o700))
	want(t, open(t, dir), "alice", secret)
}

// A folder that the program may not change is found out before change is called.
func TestUnwritable_Folder(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("an administrator may change every folder")
	}
	onDisk(t, func(t *testing.T, dir string, open func() store.Store) {
		put(t, open(), "alice", secret)
		must(t, 0, os.Chmod(dir, 0o500))
		defer os.Chmod(dir, 0o700)
		for _, who := range []string{"alice", "bob"} {
			err := open().Update(t.Context(), who, func([]byte) ([]byte, error) { t.Error("changed"); return nil, nil })
			if !errors.Is(err, store.ErrUnwritable) || !strings.Contains(err.Error(), dir) {
				t.Errorf("%s: %v", who, err)
			}
		}
		want(t, open(), "alice", secret)
	})
}

// A process that was stopped in the middle of an update keeps the lock. Others wait as
// long as their context lets them, the error says which lock it is, and nothing stays
// behind; reading and other records are not held up.
func TestStuck_AnotherProcessIsStopped(t *testing.T) {
	dir := t.TempDir() + "/grants"
	s := open(t, dir)
	put(t, s, "alice", "old")
	p := start(t, "hold", dir, 0)
	if got := p.says(t); got != "refreshing" {
		t.Fatal(got)
	}
	must(t, 0, p.cmd.Process.Signal(syscall.SIGSTOP))
	ctx, cancel := context.WithCancelCause(t.Context())
	const many = 20
	var wg sync.WaitGroup
	for range many {
		wg.Go(func() {
			err := s.Update(ctx, "alice", func([]byte) ([]byte, error) { t.Error("both refresh"); return nil, nil })
			if !errors.Is(err, store.ErrNoAnswer) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), s.String()) {
				t.Errorf("Update: %v", err)
			}
		})
	}
	waitUntil(t, "all wait", func() bool { return parked(lockWaiter) == 1 && parked(turnWaiter) == many-1 })
	cancel(context.DeadlineExceeded)
	wg.Wait()
	ctx, cancel = context.WithCancelCause(t.Context())
	go func() {
		waitUntil(t, "one more waits", func() bool { return parked(lockWaiter) == 1 })
		cancel(context.DeadlineExceeded)
	}()
	err := s.Update(ctx, "alice", remove)
	for _, part := range []string{"another process", "the lock of the record", files(t, dir, ".lock")[0], "let it go on or end it"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not say %q", err, part)
		}
	}
	want(t, s, "alice", "old")
	put(t, s, "bob", "not held up")
	stacks := make([]byte, 1<<22)
	if n := strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "store.(*queue).work("); n > 8 {
		t.Errorf("%d goroutines are left behind", n)
	}
	must(t, 0, p.cmd.Process.Signal(syscall.SIGCONT))
	p.input.Close()
	put(t, s, "alice", "next")
	p.ends(t)
}
