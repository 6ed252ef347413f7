package store

import (
	"context"
	"os/exec"
	"time"
)

// noKeychain reports whether a request failed because the user has no default
// keychain, as under launchd without a login. The library takes that for an item
// that was not found.
func noKeychain(error) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return exec.CommandContext(ctx, "/usr/bin/security", "default-keychain").Run() != nil && ctx.Err() == nil
}
