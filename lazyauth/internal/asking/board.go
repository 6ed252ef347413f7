package asking

import (
	"context"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// completionWait bounds how long a completion notification may hold up the calls whose
// end it announces.
const completionWait = 2 * time.Second

// A board has the deliveries of one flight's prompt, to all clients.
type board struct {
	flight *grants.Flight
	person *Person

	// Guarded by Person.mu.
	deliveries map[Client]*Delivery
	stale      []completion   // of prompts before one that was refused
	closed     bool           // no call joins any more
	opened     *elicit.Prompt // that the program has opened in a browser, as the observer was told
	waiting    int            // calls that have joined and not left
}

// leave notes that a call which has joined waits no more.
func (b *board) leave() {
	b.person.mu.Lock()
	b.waiting--
	unwanted := b.closeIfUnwanted()
	b.person.mu.Unlock()
	if unwanted {
		b.flight.Abandon()
	}
}

// closeIfUnwanted closes the board and reports true if no call waits and every person before
// whom the prompt stood has declined it: to poll on would be in vain. Then the caller
// abandons the flight.
//
// A person who dismissed the prompt has not declined it: closing a dialog is what people do on
// their way to the browser, and GitHub Copilot CLI leaves them no other way to be rid of
// it. Nor has a host that refused by itself. Person.mu is held.
func (b *board) closeIfUnwanted() bool {
	if b.waiting > 0 || b.closed || b.flight.Ended() {
		return false
	}
	declined := false
	for _, d := range b.deliveries {
		switch {
		case d.shownOtherwise || !d.textShownAt.IsZero(): // a person may act on that
			return false
		case !d.isRefused():
			if d.prompt != "" || d.handedOver {
				return false
			}
		case d.refusal.Dismissed || d.refusal.Prompt != nil:
			return false
		case !d.refusal.Automatic:
			declined = true
		}
	}
	b.closed = declined
	return declined
}

// boardOf returns the board of f, or nil if f has come to its end.
func (p *Person) boardOf(f *grants.Flight) *board {
	p.mu.Lock()
	b, fresh := p.board, false
	if b == nil || b.flight != f {
		b, fresh = &board{flight: f, person: p, deliveries: make(map[Client]*Delivery)}, true
		p.board = b
	}
	closed := b.closed
	p.mu.Unlock()
	if closed || fresh && !f.Before(b.close) {
		return nil
	}
	return b
}

// close ends the asking of a flight, and says so to the hosts that did not refuse. It is
// called by the flight's goroutine, before any call that waits goes on.
func (b *board) close() {
	b.person.mu.Lock()
	b.closed = true
	out := b.stale
	for _, d := range b.deliveries {
		if !d.isRefused() {
			out = append(out, d.completions...)
		}
	}
	b.person.mu.Unlock()
	b.person.people.complete(out)
}

// textShown is when a client was shown the prompt as text, as seen by a call that waits.
type textShown int

const (
	never     textShown = iota
	before              // before it began to wait
	meanwhile           // while it did, or in the same batch of calls
)

// headStart is how much earlier than its prompt was shown a call may have come, which its
// host has then waited longer for: the prompt has to be had first.
const headStart = time.Second

// join has a call wait, until it leaves. It returns the client's delivery, or nil if the flight
// is over, and when the client was shown the prompt as text, as seen by a call that waits since
// then; if it never was, asText is closed when it is. A delivery that was refused begins anew,
// with the same code; so does, after as long as its host waits, one whose prompt the host has
// done with. A call that has joined, and does so again, is counted once.
func (p *Person) join(f *grants.Flight, c Client, since time.Time, again bool) (d *Delivery, when textShown, asText <-chan struct{}) {
	b := p.boardOf(f)
	if b == nil {
		return nil, never, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if b.closed || f.Ended() {
		return nil, never, nil
	}
	d = b.deliveries[c]
	if d == nil || d.isRefused() {
		fresh := newDelivery(b, c)
		fresh.shownOtherwise = d != nil && (d.shownOtherwise || !d.textShownAt.IsZero())
		d, b.deliveries[c] = fresh, fresh
	}
	if !again {
		b.waiting++
	}
	d.renew()
	if d.prompt != "" && d.isGone() && time.Since(d.at) >= d.maxWait-headStart {
		d.freeSlot()
	}
	switch {
	case d.textShownAt.IsZero():
		return d, never, d.shownAsText
	case !since.After(d.textShownAt) || time.Since(d.textShownAt) < batchWindow:
		return d, meanwhile, nil
	default:
		return d, before, nil
	}
}

// isStalled reports whether c's person has had the prompt of f for a while, and the host has done
// with it.
func (p *Person) isStalled(f *grants.Flight, c Client) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.board
	return b != nil && b.flight == f && b.deliveries[c] != nil && b.deliveries[c].isStalled()
}

// isFirst reports whether the caller is the first to say that this prompt was opened in a browser.
func (b *board) isFirst(p *elicit.Prompt) bool {
	b.person.mu.Lock()
	defer b.person.mu.Unlock()
	first := b.opened != p
	b.opened = p
	return first
}

// A completion is the news for one host that the prompt of this id is over. Over HTTP it
// goes into the stream of the request that caused the prompt, while that is open.
type completion struct {
	request context.Context
	session *mcp.ServerSession
	id      string
}

// complete tells hosts that the interaction is over (MCP 2025-11-25
// client/elicitation, "Completion notifications"), so that they can take their
// dialogs down. Hosts that do not read hold it up for at most completionWait.
func (p *People) complete(all []completion) {
	keeper := p.config.Keeper
	ctx, cancel := context.WithTimeout(context.WithoutCancel(keeper.Context()), completionWait) // Close is an end like any other
	defer cancel()
	sent := make(chan struct{}, len(all))
	for _, c := range all {
		keeper.Go("a notification to a host", func() { // the flight's own goroutine is waited for as long as this function runs
			defer func() { sent <- struct{}{} }()
			ctx := ctx
			if c.request.Err() == nil {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(c.request, completionWait)
				defer cancel()
			}
			// A host that is gone needs no notification.
			_ = c.session.NotifyElicitationComplete(ctx, &mcp.ElicitationCompleteParams{ElicitationID: c.id})
		})
	}
	for range all {
		select {
		case <-sent:
		case <-ctx.Done():
			return
		}
	}
}
