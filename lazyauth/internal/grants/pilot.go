package grants

import (
	"cmp"
	"context"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
)

// ask gets the prompt, and has land called with what comes of it.
func ask(f *Flight, a Asked) {
	var first begun
	guard.Then("a sign-in", func() (err error) {
		settled := false
		a.Settled = func() { settled = true }
		f.signIn = newSignIn(f.owner.keeper.config.Ways, a, piloted{f})
		if first, err = f.signIn.begin(&f.wanted); err == nil && !settled {
			close(f.ready)
		}
		return err
	}, func(err error) {
		if err != nil {
			f.land(result{err: cmp.Or(context.Cause(&f.wanted), err)})
			return
		}
		f.signIn.start(&f.wanted, first)
	})
}

// piloted is a flight as its sign-in knows it.
type piloted struct{ *Flight }

func (f piloted) show(b begun) { shows(f.Flight, b) }

func (f piloted) unwanted(t *oauth.Token) {
	f.owner.revokeLate(newGrant(f.owner.keeper.config.Hierarchy, t, false))
}

func (f piloted) polled(e device.PollEvent) {
	f.polls = e.Attempt
	if e.Outcome == device.Pending { // the client is good
		dropUnexplained(f.owner)
	}
	f.owner.keeper.config.Observer.Polled(f.Flight, e)
}

func (f piloted) redirected(e authcode.Event) {
	f.owner.keeper.config.Observer.Redirected(f.Flight, e)
}

func (f piloted) came(r result) {
	f.owner.keeper.call("a sign-in", func() { f.land(r) })
}
