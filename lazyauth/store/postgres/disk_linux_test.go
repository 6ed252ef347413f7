package postgres_test

import (
	"os"
	"syscall"
	"testing"
)

// tinyDisk is a disk of four megabytes, which it takes root to make.
func tinyDisk(t *testing.T) string {
	t.Helper()
	dir := folder(t) + "/tiny"
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("a disk that is full cannot be made here: mount: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}
