//go:build !unix

package interop_test

import "os/exec"

// inOwnGroup does nothing here: cancellation ends the child itself, and what it
// started ends with its standard input.
func inOwnGroup(*exec.Cmd) {}
