package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/examples/internal/terminal"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
)

// status shows whose grants there are. Nobody is contacted, but the API about a token
// of the operator's.
func status(ctx context.Context, cfg *config, auth *lazyauth.Interceptor) int {
	code := failed
	if cfg.token != nil {
		if err := cfg.describeToken(ctx); err != nil {
			cfg.say("%v", err)
			return failed
		}
		if cfg.store == nil {
			return done
		}
		code = done
	}
	accounts, err := cfg.accounts(ctx, auth)
	if err == nil && len(accounts) == 0 && code != done {
		accounts = []lazyauth.Principal{{}} // so that something is said
	}
	wrong := []error{err}
	for _, who := range accounts {
		found, err := auth.Status(ctx, who)
		switch {
		case errors.Is(err, lazyauth.ErrNoGrant):
			fmt.Fprintf(cfg.stdout, "Not signed in to %s.\n", forAccount(who.Account))
		case err != nil:
			wrong = append(wrong, err)
		default:
			cfg.describe(found)
			if alive(found) {
				code = done
			}
		}
	}
	if ctx.Err() != nil {
		return cfg.interrupted("nothing was done")
	}
	for _, err := range wrong {
		if err != nil {
			cfg.say("%s", cfg.explain(err))
			code = failed
		}
	}
	return code
}

// accounts returns which of the local user's accounts a command is about.
func (c *config) accounts(ctx context.Context, auth *lazyauth.Interceptor) ([]lazyauth.Principal, error) {
	if !c.all && (c.accountGiven || c.command == logoutCommand) {
		return []lazyauth.Principal{{Account: c.account}}, nil
	}
	all, err := auth.Accounts(ctx)
	var local []lazyauth.Principal
	for _, who := range all {
		if who.IsLocal() { // a server for many people may share the store
			local = append(local, who)
		}
	}
	return local, err
}

// describe shows one grant.
func (c *config) describe(s *lazyauth.Status) {
	verb := "Signed in"
	if !alive(s) {
		verb = "Not signed in any more"
	}
	fmt.Fprintf(c.stdout, "%s to %s as %s\n", verb, forAccount(s.Principal.Account), printable(known(s.Identity)))
	fmt.Fprintf(c.stdout, "   scopes  %s\n", terminal.Wrap(cmp.Or(s.Scopes.String(), "none"), 11))
	fmt.Fprintf(c.stdout, "   until   %s\n", until(s))
	fmt.Fprintf(c.stdout, "   stored  %s\n", c.store)
}

// describeToken shows what can be learnt of the operator's token.
func (c *config) describeToken(ctx context.Context) error {
	auth, err := newAuth(c, &lazyauth.Options{Token: c.token, Transport: c.transport, Trace: lazyauth.ZapTrace(c.log)})
	if err != nil {
		return err
	}
	s, err := auth.Status(ctx, lazyauth.LocalUser)
	if err == nil {
		fmt.Fprintf(c.stdout, "The token in %s is used for %s, as %s\n", c.tokenEnv, serviceName, printable(known(s.Identity)))
		if !s.Scopes.IsEmpty() {
			fmt.Fprintf(c.stdout, "   scopes  %s\n", terminal.Wrap(s.Scopes.String(), 11))
		}
	}
	return errors.Join(err, auth.Close())
}

// alive reports whether the grant can be used, or renewed without asking anybody. Only
// the authorization server knows for certain.
func alive(s *lazyauth.Status) bool {
	return s.Renewable || s.Expires.IsZero() || time.Until(s.Expires) > 0
}

// clock is how a time is written.
const clock = "2006-01-02 15:04 MST"

// until says when a grant ends.
func until(s *lazyauth.Status) string {
	at := s.Expires.Local().Format(clock)
	switch {
	case s.Expires.IsZero():
		return "it is revoked"
	case s.Renewable && time.Until(s.Expires) > 0:
		return at + ", and renewed by then without asking"
	case s.Renewable:
		return at + "; renewed without asking when it is next used"
	case time.Until(s.Expires) > 0:
		return at
	default:
		return at + ", which is over: sign in again"
	}
}

// known is who signed in, as far as it is known.
func known(id lazyauth.Identity) string {
	switch {
	case id.IsZero():
		return "somebody: the service did not say who"
	case id.Subject == "" || id.Subject == id.Name:
		return id.Name
	default:
		return fmt.Sprintf("%s (%s)", id.Name, id.Subject)
	}
}

// forAccount names the service, and the account if it has a name.
func forAccount(name string) string {
	if name == "" {
		return serviceName
	}
	return fmt.Sprintf("%s (account %s)", serviceName, strings.TrimSpace(printable(name)))
}
