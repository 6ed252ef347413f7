//go:build !unix

package hostcheck

import "os/exec"

// leadGroup does nothing here. What the host started ends when the suite closes
// its connections: a stub ends with them.
func leadGroup(*exec.Cmd) {}

// interrupt does nothing here: there is no way to ask.
func interrupt(*exec.Cmd) {}

// kill ends the process.
func kill(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
