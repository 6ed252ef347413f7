package lazyauth

import (
	"context"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// Drawn implements [grants.Observer]. Nothing has a source yet.
func (o observer) Drawn(context.Context, grants.Principal, string, *grants.Grant, scopes.Set, time.Duration, error) {
}
