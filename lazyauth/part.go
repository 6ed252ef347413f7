package lazyauth

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// noticeWait bounds how long a completion notice may hold up the calls it
// announces.
const noticeWait = 2 * time.Second

// A part is one client's part in a flight: whether its person was shown the
// prompt, and what they said to it.
type part struct {
	flight *flight
	client client

	// turn holds a token while the prompt is not shown: who takes it shows
	// it, and puts it back if that fails. Callers that can only be answered in
	// text have one of their own, first: their answer shows nothing to hosts
	// that have dialogs.
	turn, first chan struct{}
	// refused is closed when this client's part ends before the flight does,
	// for the reason in err.
	refused chan struct{}
	err     error

	// Guarded by the owner's mutex.
	rejected bool      // the host answered what it declares with a protocol error: text only
	prompt   string    // the id of the live prompt; no answer to another counts
	at       time.Time // when it was shown
	answered bool      // the host has answered it
	carrier  *held     // the call that was answered with it, if one was
	notices  []notice  // to be sent when the flight is over
}

// gone reports whether the host has done with the prompt, as far as can be
// seen: it has answered, or, where the prompt was the answer to a call, it has
// not come back for that. The owner's mutex is held.
func (p *part) gone() bool {
	if p.carrier != nil {
		return p.carrier.current() == nil
	}
	return p.answered
}

// part returns the client's part in the flight, or nil if that is over. A part
// that ended begins anew, with the same code; so does, after one patience, one
// whose prompt the host has done with.
func (f *flight) part(c client) *part {
	f.owner.mu.Lock()
	defer f.owner.mu.Unlock()
	if f.parts == nil {
		return nil
	}
	p := f.parts[c]
	if p == nil || p.over() {
		next := &part{flight: f, client: c, turn: make(chan struct{}, 1), first: make(chan struct{}, 1), refused: make(chan struct{})}
		if p != nil && p.rejected {
			next.rejected = true // said once already: this caller waits
		} else {
			next.turn <- struct{}{}
			next.first <- struct{}{}
		}
		f.parts[c] = next
		return next
	}
	if p.gone() && time.Since(p.at) >= f.owner.auth.options.Patience {
		select {
		case p.turn <- struct{}{}:
		default:
		}
	}
	return p
}

// over reports whether the part has ended. The owner's mutex is held.
func (p *part) over() bool {
	select {
	case <-p.refused:
		return true
	default:
		return false
	}
}

// shown notes that the prompt goes out now, and returns its id.
func (p *part) shown(channel string, carrier *held) string {
	id := rand.Text()
	o := p.flight.owner
	o.mu.Lock()
	p.prompt, p.at, p.answered, p.carrier = id, time.Now(), false, carrier
	o.mu.Unlock()
	o.auth.emit(onPrompted, Event{Principal: o.principal, Tool: p.flight.tool, Scopes: p.flight.want, Channel: channel})
	return id
}

// asked puts the turn back if the prompt did not get to the host after all.
func (p *part) asked(err error) {
	_, answered := errors.AsType[inputRequired](err)
	if e, ok := errors.AsType[*Error](err); answered || ok && e.Reason == Pending {
		return // that error is the prompt
	}
	select {
	case p.turn <- struct{}{}:
	default:
	}
}

// inText ends an asker's wait with the prompt as its text.
func (p *part) inText() error {
	o := p.flight.owner
	o.auth.emit(onPrompted, Event{Principal: o.principal, Tool: p.flight.tool, Scopes: p.flight.want, Channel: elicit.Text.String()})
	return p.pending()
}

// pending is the error of a call that ends before the flight does, on a host
// that can show the prompt in no other way.
func (p *part) pending() *Error {
	e := p.flight.owner.auth.fail(Pending, nil)
	e.prompt = &p.flight.prompt
	return e
}

// request shows the prompt by a server request (up to MCP 2025-11-25) and
// leaves a goroutine waiting for the answer, until the flight is over: hosts
// answer when the person consents, when they come back, or never. The request
// outlives the call that caused it, since the flight does.
func (p *part) request(ctx context.Context, session *mcp.ServerSession) {
	id := p.shown(elicit.ServerRequest.String(), nil)
	p.flight.owner.mu.Lock()
	over := p.flight.parts == nil
	p.notices = append(p.notices, notice{session, id})
	p.flight.owner.mu.Unlock()
	if over {
		return
	}
	// The values route the request over HTTP; the end is the flight's.
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(p.flight.over, cancel)
	spawned := p.flight.owner.auth.spawn(func() {
		defer stop()
		defer cancel()
		result, err := session.Elicit(ctx, p.flight.prompt.Params(id))
		switch {
		case ctx.Err() != nil:
		case err != nil:
			p.failed(id, err)
		default:
			_ = p.answer(id, result.Action) // who waits learns of it by refused
		}
	})
	if !spawned {
		stop()
		cancel()
	}
}

// failed deals with a server request that got no answer. A protocol error says
// that the host has not what it declared, which is no refusal: the person saw
// nothing. Anything else leaves the prompt to the next call.
func (p *part) failed(id string, err error) {
	if _, protocol := errors.AsType[*jsonrpc.Error](err); !protocol || errors.Is(err, mcp.ErrConnectionClosed) {
		_ = p.answer(id, "")
		return
	}
	p.flight.owner.mu.Lock()
	p.rejected = true
	p.flight.owner.mu.Unlock()
	p.refuse(p.pending())
}

// answer takes what the host says to the prompt of this id; an answer to any
// other is stale and changes nothing. It returns the error that ends the
// client's part, if the answer does that. Accepting means that the person
// consents to open the URL, and says nothing about authorization.
func (p *part) answer(id, action string) error {
	o := p.flight.owner
	o.mu.Lock()
	if id != p.prompt || p.flight.parts == nil {
		o.mu.Unlock()
		return nil
	}
	p.answered = true
	o.mu.Unlock()
	switch action {
	case "decline":
		e := o.auth.fail(Declined, nil)
		p.refuse(e)
		return e
	case "cancel":
		e := o.auth.fail(Declined, nil)
		e.cancel = true
		p.refuse(e)
		return e
	default:
		return nil
	}
}

// refuse ends the client's part with err, unless the flight is over: a token
// that came first wins. A decline is remembered.
func (p *part) refuse(err *Error) {
	o := p.flight.owner
	o.mu.Lock()
	if p.flight.parts == nil || p.over() {
		o.mu.Unlock()
		return
	}
	p.err = err
	close(p.refused)
	if err.Reason == Declined && !err.cancel {
		now := o.auth.now()
		maps.DeleteFunc(o.declined, func(_ client, until time.Duration) bool { return until <= now })
		o.declined[p.client] = now + peace
	}
	o.mu.Unlock()
	if err.Reason == Declined {
		o.auth.emit(onFailed, Event{Principal: o.principal, Tool: p.flight.tool, Scopes: p.flight.want, Reason: Declined})
	}
}

// A notice is the news for one host that a prompt of this id is over.
type notice struct {
	session *mcp.ServerSession
	id      string
}

// notices returns what is to be announced to the hosts that did not refuse.
// The owner's mutex is held.
func (f *flight) notices() []notice {
	var out []notice
	for _, p := range f.parts {
		if !p.over() {
			out = append(out, p.notices...)
		}
	}
	return out
}

// announce tells hosts that the interaction is over (MCP 2025-11-25
// client/elicitation, "Completion notifications"), so that they can take their
// dialogs down. Hosts that do not read hold it up for at most noticeWait.
func (i *Interceptor) announce(notices []notice) {
	ctx, cancel := context.WithTimeout(i.ctx, noticeWait)
	defer cancel()
	sent := make(chan struct{}, len(notices))
	for _, n := range notices {
		if !i.spawn(func() {
			// A host that is gone needs no notice.
			_ = n.session.NotifyElicitationComplete(ctx, &mcp.ElicitationCompleteParams{ElicitationID: n.id})
			sent <- struct{}{}
		}) {
			return
		}
	}
	for range notices {
		select {
		case <-sent:
		case <-ctx.Done():
			return
		}
	}
}
