package grants

import (
	"time"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// outcomeOf is what the person in the browser is told.
func outcomeOf(f *Flight) Outcome {
	o := Outcome{Err: f.err}
	o.Flow, _ = f.Flow()
	if f.grant != nil {
		o.Who = f.grant.identity
		o.Unsaved = f.adopted && f.owner.keeper.config.Store != nil && !f.grant.stored.Load()
		o.Closing = o.Unsaved && f.owner.keeper.ctx.Err() != nil
	}
	return o
}

// shows makes this authorization's prompt the one that is shown.
func shows(f *Flight, b begun) {
	config := &f.owner.keeper.config
	p := b.Prompt()
	p.Service, p.Account = config.Service, f.owner.who.Account
	p.Scopes, p.Access = f.want, config.Words(f.want)
	p.Held, p.HeldAccess = f.given, config.Words(f.given)
	p.Instead = f.signIn.takesAPlace()
	b.Shows(p)
	f.shown.Store(&shown{&p, b.way.Flow(), f.signIn.objections(b.way)})
}

// narrowed is what f came to, which asked for need and did not get it. The need is
// remembered by its own names, too: it may have been asked for by what implies it.
func narrowed(o *Owner, f *Flight, need scopes.Requirement) error {
	missing := o.missing(need)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.setbacks.refuse(missing, f.endedAt)
	return &Setback{Err: &Narrowed{Missing: missing}, Wait: time.Until(f.endedAt.Add(coolDown)), Asked: true}
}
