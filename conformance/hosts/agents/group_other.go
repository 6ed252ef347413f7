//go:build !unix

package agents

import "os/exec"

// inGroup leaves the command as it is.
func inGroup(*exec.Cmd) {}
