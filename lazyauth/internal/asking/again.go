package asking

import (
	"context"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
)

// SignInAgain is [grants.SignInAgain] through a host, which is shown the prompt. It returns what Show
// of the host returned if that is an error, or once the flight is done.
func SignInAgain(ctx context.Context, p *Person, h Host) error {
	a := &asker{person: p, host: h}
	f, err := grants.SignInAgain(ctx, p.Owner, a)
	if err != nil {
		return err
	}
	if err := a.Follow(ctx, f); err != nil {
		return err
	}
	_, _, err = f.Result()
	return err
}
