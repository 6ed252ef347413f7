//go:build !unix

package store

import (
	"io/fs"
	"os"
)

// checksModes says that there are no permission bits: on Windows a file has the
// access list that it inherits from its folder, which is not looked at here.
const checksModes = false

func owned(fs.FileInfo) (string, bool) { return "", true }

// syncFolder does nothing: Windows cannot flush a folder, and NTFS journals what
// happens in one.
func syncFolder(*os.Root) error { return nil }
