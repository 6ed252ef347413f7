package grants

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/ending"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

const (
	// batchWindow is how far apart calls may come that a model made in one go. What they
	// need is one authorization.
	batchWindow = 100 * time.Millisecond
)

// A Flight is one authorization in progress, in three parts: ask, on a goroutine, until there is a prompt and
// Ready is closed; then the wait for the person, on none; and land, on another one, until Done is closed. It lives as long as its prompt, whoever waits for it, and
// no answer of a host is needed for it to succeed: only the authorization server's word
// counts.
type Flight struct {
	owner *Owner
	need  scopes.Requirement // of the call that started it
	tool  string             // whose call that was
	link  Link               // how a link gets to its person
	began time.Time
	saw   *string // the access token of its owner's record then, empty for none; nil: nobody has looked

	// Guarded by Owner.mu until gathering ends, and not changed after that.
	gathering bool       // what more is needed becomes part of want
	want      scopes.Set // what is asked for
	given     scopes.Set // what the person has given already, if this is for more

	programs []string // what the hosts call themselves whose calls wait, or have; guarded by Owner.mu
	anew     bool     // the grant takes the place of the one that there is, whatever it has; guarded by Owner.mu

	// wanted has the values of that call, and ends if the flight is abandoned, and at its end: what leads to the token has it.
	wanted ending.Context

	ready  chan struct{}
	shown  atomic.Pointer[shown] // once ready; what it points to is not changed
	signIn *signIn               // once ready

	done ending.Context // ends with the flight

	*landing // nil until it lands

	polls int // so far, and all once the outcome is settled

	ended   atomic.Bool  // its outcome is settled, and nobody can be asked any more; set under Owner.mu
	before  []func()     // to be called before done; guarded by Owner.mu
	calls   atomic.Int64 // that have waited
	prompts atomic.Int64 // that were shown
}

// A landing is what a flight comes to.
type landing struct {
	grant     *Grant // if err is nil
	err       error
	adopted   bool // the grant is the owner's now
	elsewhere bool // another process was given it, and has stored it
	endedAt   time.Time
}

// newFlight returns a flight that begins with this need; o.mu is held.
func newFlight(ctx context.Context, o *Owner, need scopes.Requirement, a Asker) *Flight {
	f := &Flight{owner: o, need: need, tool: a.Tool(), link: a.Link(), wanted: ending.Context{Values: ctx}, began: time.Now(), saw: o.record.seen.Load(), gathering: true, ready: make(chan struct{})}
	f.want = o.wanted(need)
	return f
}

// Owner returns whose flight it is.
func (f *Flight) Owner() *Owner { return f.owner }

// Want returns what it asks for; it may be called once Ready is closed, or Done is.
func (f *Flight) Want() scopes.Set { return f.want }

// Tool names the tool whose call started it.
func (f *Flight) Tool() string { return f.tool }

// Context has the values of the call that started it, and no end.
func (f *Flight) Context() context.Context { return context.WithoutCancel(f.wanted.Values) }

// Ready is closed once there is a prompt.
func (f *Flight) Ready() <-chan struct{} { return f.ready }

// Prompt returns the prompt as it is now, which does not change; but there may be another one
// later: see Another. It may be called once Ready is closed.
func (f *Flight) Prompt() *elicit.Prompt { return f.shown.Load().prompt }

// Flow names the way by which the prompt is, or, once the outcome is settled, the one by which
// the flight came to its end; empty if there was none. Against is why others were not gone
// before it, or nil.
func (f *Flight) Flow() (name string, against error) {
	if s := f.shown.Load(); s != nil {
		return s.flow, s.against
	}
	return "", nil
}

// A shown prompt is the one that people are shown from some time on.
type shown struct {
	prompt  *elicit.Prompt
	flow    string
	against error
}

// Another has the flight prompted by its next way, if there is one and no browser has come
// back by the present one; both are good from then on. It returns a channel that is closed
// when it is known what came of that, unless the flight is done before; nil if the present
// prompt stays. It may be called once Ready is closed.
func (f *Flight) Another(why error) <-chan struct{} { return f.signIn.another(why) }

// Done is closed when the flight has come to its end.
func (f *Flight) Done() <-chan struct{} { return f.done.Done() }

// IsDone reports whether the flight has come to its end. For the sake of the stacks of those who wait it is out of line, as some
// of Owner's are.
//
//go:noinline
func (f *Flight) IsDone() bool { return f.done.Err() != nil }

// Ended reports whether the outcome is settled: from then until Done is closed, those who
// wait are being told.
func (f *Flight) Ended() bool { return f.ended.Load() }

// AfterDone calls stop, which returns at once, when the flight has come to its end, unless
// the function that it returns is called before.
func (f *Flight) AfterDone(stop func()) func() bool { return ending.AfterFunc(&f.done, stop) }

// Abandon ends the flight, unless its token has come: whoever was asked does not want it,
// and nobody waits. The authorization server is not told, which has no word for it; the
// device code lapses by itself. Who waits for the flight after all looks again for what to
// do, as if it had not been there.
func (f *Flight) Abandon() { f.wanted.End(ErrAbandoned) }

// Before has hook called once the outcome is settled, before Done is closed. It reports
// false, and calls nothing, if that has come to pass.
func (f *Flight) Before(hook func()) bool {
	f.owner.mu.Lock()
	defer f.owner.mu.Unlock()
	if f.Ended() {
		return false
	}
	f.before = append(f.before, hook)
	return true
}

// Result returns the grant and whether it was adopted, or why there is none. It may be
// called once the outcome is settled (see Ended): by the observer, by hooks, and by all once
// Done is closed.
func (f *Flight) Result() (g *Grant, adopted bool, err error) { return f.grant, f.adopted, f.err }

// Missing returns what the flight asked for and its grant is without, if it brought one. It
// may be called when Result may.
func (f *Flight) Missing() scopes.Set {
	return f.grant.lacks(f.want)
}

// Counts returns how often it polled, how often its prompt was shown, and how many calls
// waited; it may be called once the outcome is settled.
func (f *Flight) Counts() (polls, prompts, calls int) {
	return f.polls, int(f.prompts.Load()), int(f.calls.Load())
}

// CountCall notes that a call waits for the flight; it is the asker's to say, in Follow.
func (f *Flight) CountCall() { f.calls.Add(1) }

// CountPrompt notes that the prompt is shown; it is the asker's to say.
func (f *Flight) CountPrompt() { f.prompts.Add(1) }

// IsStepUp reports whether f asks for more than the person has given already. It may be called
// when Result may.
func IsStepUp(f *Flight) bool { return !f.given.IsEmpty() && !f.want.Minus(f.given).IsEmpty() }

// covers reports whether what the flight asks for satisfies need; while it is gathering,
// o.mu is held.
func (f *Flight) covers(need scopes.Requirement) bool {
	order := f.owner.keeper.config.Hierarchy
	return order.Covers(order.Expand(f.want), need)
}

// gather waits for the needs of other calls that a model made in the same go, settles what
// is asked for, which is no more than what waits by then, and returns it. It does not wait
// where all that the program can need is asked for already.
func (f *Flight) gather(ctx context.Context) scopes.Set {
	o := f.owner
	o.mu.Lock()
	more := f.gathering && !f.covers(o.keeper.config.Declared())
	o.mu.Unlock()
	if more {
		timer := time.NewTimer(time.Until(f.began.Add(batchWindow)))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !f.gathering { // by another way
		return f.want
	}
	settle(f, o.wanted(f.need))
	return f.want
}

// begin begins the flight. It reports false if the keeper is closed.
func (f *Flight) begin(a Asked) bool {
	keeper := f.owner.keeper
	if !keeper.Hold("a sign-in") {
		return false
	}
	keeper.Go("a sign-in", func() { ask(f, a) })
	return true
}
