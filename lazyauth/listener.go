package lazyauth

import (
	"context"
	"slices"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// listWait is how long a list waits for a store to say whether there is a grant.
const listWait = 4 * time.Second

// A listener is for whose grant a session's list waits.
type listener struct {
	who   grants.Principal
	known bool // otherwise nobody's
	any   bool // account of who will do, since each call names one

	unasked bool // calls get a grant without the person: see Options.Unattended
}

// concerns reports whether a grant of whose matters to l.
func (l listener) concerns(whose grants.Principal) bool {
	if l.any {
		whose.Account = l.who.Account
	}
	return l.known && whose == l.who
}

// listenerOf says for whose grant a session's list waits. Options.Principal and Options.Account
// are called with a request that names no tool.
func listenerOf(ctx context.Context, i *Interceptor, session *mcp.ServerSession, extra *mcp.RequestExtra, meta mcp.Meta) listener {
	call := &mcp.CallToolRequest{Session: session, Extra: extra, Params: &mcp.CallToolParamsRaw{Meta: meta}}
	who, err := i.principal(ctx, call)
	if err == nil && i.argument == "" && i.options.Account != nil {
		who.Account, err = i.options.Account(ctx, call)
	}
	var s *standIn
	if err == nil {
		if s = i.standIns.of(who, call); s == nil || s.thenAsk {
			err = i.mayAsk(who)
		}
	}
	return listener{who: grants.Principal(who), known: err == nil, any: i.argument != "", unasked: err == nil && s != nil}
}

// lasts reports whether a grant serves without anybody being asked.
func lasts(g *grants.Grant) bool { return g.Alive() || g != nil && g.Renewable() }

// access reports whether there is a grant for l, at hand or, if asked for, in the store, for
// which it waits for a while; and when the first of those ends that are not renewed. It asks nobody, and
// refreshes nothing. What cannot be read is not there.
func access(ctx context.Context, i *Interceptor, l listener, stored bool) (open bool, until time.Time) {
	if !l.known {
		return false, until
	}
	if l.unasked || i.options.Token != nil && l.who.IsLocal() {
		return true, until
	}
	stored = stored && i.options.Store != nil
	ctx, cancel := context.WithTimeout(ctx, listWait)
	defer cancel()
	all := []Principal{Principal(l.who)}
	if l.any {
		all = accountsOf(ctx, i, l, stored)
	}
	for _, who := range all {
		p := i.personOf(who)
		g := p.Grant()
		if !lasts(g) && stored {
			g, _ = p.Look(ctx)
		}
		if !lasts(g) {
			continue
		}
		open = true
		if end := g.Token().Expiry; !g.Renewable() && !end.IsZero() && (until.IsZero() || end.Before(until)) {
			until = end
		}
	}
	return open, until
}

// accountsOf returns the accounts that concern l, at hand and perhaps in the store.
func accountsOf(ctx context.Context, i *Interceptor, l listener, stored bool) []Principal {
	var all []Principal
	if stored {
		all, _ = i.Accounts(ctx) // those at hand in any case
	} else {
		for o := range i.keeper.Owners {
			all = append(all, Principal(o.Who()))
		}
	}
	return slices.DeleteFunc(all, func(who Principal) bool { return !l.concerns(grants.Principal(who)) })
}
