package lazyauth

import (
	"context"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"golang.org/x/oauth2"
)

// RejectToken says that the API does not accept the token of the call that ctx belongs to.
// It is for APIs whose status does not say so, such as those that speak GraphQL, which put
// it into the body of a 200 or a 400. It does what a 401 in answer to [Client] does: the
// grant is refreshed, and if that does not help the person is asked to sign in anew, once
// for all calls that have this token. It returns nil once there is another token, for the
// handler to send its request again with, and an [*Error] if there is none to be had; it
// may wait for the person, as [Client] does.
//
// refused is the token as [TokenSource] returned it. Nil stands for the one that the last
// response to [Client] was for. A token that was replaced meanwhile, since another request
// or call was faster, costs nothing.
//
// What brought a token that is refused as well is not tried again for a minute, so that a
// handler may report each refusal.
func RejectToken(ctx context.Context, refused *oauth2.Token) error {
	c, err := theCall(ctx)
	if err != nil {
		return err
	}
	return reject(ctx, c, refused)
}

// reject gives up the token of a call, and gets it another one.
func reject(ctx context.Context, c *call, refused *oauth2.Token) error {
	if c.gate.Need == nil {
		return c.gate.mayUseNothing()
	}
	g := c.holder().Grant()
	if refused == nil {
		if answered := c.answered.Load(); answered != nil {
			g = answered
		}
	} else if g != nil && g.Token().AccessToken != refused.AccessToken {
		g = nil // it was replaced
	}
	r := &refusal{call: c, grant: g}
	if g != nil && !c.holder().Reject(ctx, g, grants.Refusal{
		By: c.arrived, Again: c.earlier().broughtBy(g), SignIn: true, Left: r.left(),
	}) && (g.Source() == "" || !c.standIn.giveUp()) {
		why := c.gate.auth.fail(ReasonUnsupported, errTokenRefused)
		if g.Operators() {
			why.Cause = errOperatorRefused
		}
		return c.gate.auth.explain(r.unmet(why), c.person, c.gate.Need, c.req)
	}
	other, err := c.current(ctx)
	if err == nil {
		c.earlier().brings(other)
	}
	return err
}

// A remedy is a token that a call got in the place of one that it had rejected.
type remedy struct {
	token string
	at    time.Time
}

// remedyLife is how long after a rejection the next one means that it was of no use, and
// not that a token has died which had worked.
const remedyLife = time.Minute

func (d *challenges) brings(g *grants.Grant) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.remedy = remedy{g.Token().AccessToken, time.Now()}
}

func (d *challenges) broughtBy(g *grants.Grant) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.remedy.token == g.Token().AccessToken && time.Since(d.remedy.at) < remedyLife
}
