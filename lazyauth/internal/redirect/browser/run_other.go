//go:build !unix

package browser

import (
	"context"
	"os/exec"
)

// run runs a program, which has another one show the file, and ends.
func run(ctx context.Context, name string, args ...string) error {
	return exec.CommandContext(ctx, name, args...).Run() //nolint:gosec // the program is one, the argument a file of ours
}
