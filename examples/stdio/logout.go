package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
)

// logout forgets grants and has their tokens ended, one account after the other.
func logout(ctx context.Context, cfg *config, auth *lazyauth.Interceptor) int {
	accounts, err := cfg.accounts(ctx, auth)
	code := done
	if err != nil {
		cfg.say("%s", cfg.explain(err))
		code = failed
	}
	ended := 0
	for _, who := range accounts {
		if ctx.Err() != nil {
			break
		}
		switch err := cfg.logoutOne(ctx, auth, who); {
		case errors.Is(err, errNotSignedIn):
			fmt.Fprintf(cfg.stdout, "Not signed in to %s: nothing to do.\n", forAccount(who.Account))
		case err != nil:
			cfg.say("%v", err)
			code = failed
		default:
			ended++
		}
	}
	if len(accounts) == 0 && code == done {
		fmt.Fprintf(cfg.stdout, "Not signed in to %s: nothing to do.\n", serviceName)
	}
	if ended > 0 {
		fmt.Fprintln(cfg.stdout, "Some authorization servers end more with them: what other programs got in the\n"+
			"same browser session, or under the same client identifier.")
	}
	if cfg.token != nil {
		fmt.Fprintf(cfg.stdout, "The token in %s is used as before: unset it, too.\n", cfg.tokenEnv)
	}
	if ctx.Err() != nil {
		return cfg.interrupted("what is not named above was left as it is")
	}
	return code
}

var errNotSignedIn = errors.New("not signed in")

// logoutOne logs one account out. An error says what could not be done.
func (c *config) logoutOne(ctx context.Context, auth *lazyauth.Interceptor, who lazyauth.Principal) error {
	before, unread := auth.Status(ctx, who)
	if errors.Is(unread, lazyauth.ErrNoGrant) {
		return errNotSignedIn
	}
	name := forAccount(who.Account)
	if before != nil && !before.Identity.IsZero() {
		name += " as " + printable(known(before.Identity))
	}
	err := auth.Revoke(ctx, who)
	if err != nil && !errors.Is(err, lazyauth.ErrNotRevoked) {
		return fmt.Errorf("not logged out of %s: %s", name, c.explain(err))
	}
	if still, again := auth.Status(context.WithoutCancel(ctx), who); still != nil || !errors.Is(again, lazyauth.ErrNoGrant) {
		return fmt.Errorf("not logged out of %s: the grant is still %s", name, c.store)
	}
	fmt.Fprintf(c.stdout, "Logged out of %s\n   grant   removed; it was %s\n", name, c.store)
	if err == nil && unread == nil {
		fmt.Fprintln(c.stdout, "   tokens  ended by the authorization server")
		return nil
	}
	fmt.Fprintln(c.stdout, "   tokens  not ended") // one that could not be read was forgotten all the same
	why := strings.TrimPrefix(c.explain(cmp.Or(unread, err)), lazyauth.ErrNotRevoked.Error()+": ")
	life := "until they are ended"
	if before != nil && !before.Renewable && !before.Expires.IsZero() {
		life = "until " + before.Expires.Local().Format(clock)
	}
	return fmt.Errorf("the tokens may work elsewhere %s: %s. You can end them in your account settings at %s", life, printable(strings.TrimPrefix(why, "lazyauth: ")), serviceName)
}
