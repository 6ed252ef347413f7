package store

import (
	"context"
	"os/exec"
	"time"
)

// noKeychain returns why a request failed, if that is because the user has no default
// keychain, as under launchd without a login, or "". The library takes that for an item
// that was not found.
func noKeychain(error) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if exec.CommandContext(ctx, "/usr/bin/security", "default-keychain").Run() == nil || ctx.Err() != nil {
		return ""
	}
	return "the user has no default keychain"
}
