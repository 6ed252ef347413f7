package lazyauth

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// noticeWait bounds how long a completion notice may hold up the calls it
// announces.
const noticeWait = 2 * time.Second

const (
	// byHand is the least time in which a person can refuse what they were shown. A
	// host that is quicker has refused for them.
	byHand = time.Second
	// batch is how far apart calls may come that a model made in one go.
	batch = 100 * time.Millisecond
)

// A part is one client's part in a flight: whether its person was shown the
// prompt, and what they said to it.
type part struct {
	flight *flight
	board  *board
	client client

	// turn holds a token while no host has the prompt in an elicitation: who takes it
	// shows it, and puts it back if that fails. loud holds one while it is in nobody's
	// progress messages. They are two because on stateless HTTP several hosts are one
	// client, and what one of them shows is not seen at another.
	turn, loud chan struct{}
	// told is closed when somebody was told in text.
	told chan struct{}
	// refused is closed when this client's part ends before the flight does,
	// for the reason in err.
	refused chan struct{}
	err     error

	// Guarded by the person's asking.
	heard    int64        // the last ticket that was drawn when somebody was told in text
	heardAt  time.Time    // when that was
	failed   elicit.Reach // modes that the host declares and does not deliver
	hushed   bool         // the host refused one of them by itself: no code for its model
	prompt   string       // the id of the live prompt; no answer to another counts
	mode     elicit.Channel
	at       time.Time     // when it was shown …
	patience time.Duration // … and how long its host waits
	answered bool          // the host has answered it
	carrier  carrier       // the call that was answered with it, if one was
	notices  []notice      // to be sent when the flight is over
}

// A carrier is a call that was answered with a prompt.
type carrier interface {
	attended() bool       // whether a request attends to it
	fails(elicit.Channel) // its host declares this mode and does not deliver
}

// A board has the parts of all clients in one flight.
type board struct {
	flight *flight
	person *person

	// Guarded by the person's asking.
	parts  map[client]*part
	stale  []notice // of prompts before one that was refused
	closed bool     // nobody joins any more
}

// boardOf returns the board of f, or nil if f has come to its end.
func (o *person) boardOf(f *flight) *board {
	o.asking.Lock()
	b, fresh := o.board, false
	if b == nil || b.flight != f {
		b, fresh = &board{flight: f, person: o, parts: make(map[client]*part)}, true
		o.board = b
	}
	closed := b.closed
	o.asking.Unlock()
	if closed || fresh && !f.before(b.close) {
		return nil
	}
	return b
}

// close ends the asking of a flight, and says so to the hosts that did not refuse.
func (b *board) close() {
	b.person.asking.Lock()
	b.closed = true
	out := b.stale
	for _, p := range b.parts {
		if !p.over() {
			out = append(out, p.notices...)
		}
	}
	b.person.asking.Unlock()
	b.person.auth.announce(out)
}

// over reports whether nobody can be asked any more.
func (b *board) over() bool {
	if b.flight.landed() {
		return true
	}
	b.person.asking.Lock()
	defer b.person.asking.Unlock()
	return b.closed
}

// gone reports whether the host has done with the prompt, as far as can be
// seen: it has answered, or, where the prompt was the answer to a call, it has
// not come back for that. The owner's mutex is held.
func (p *part) gone() bool {
	if p.carrier != nil {
		return !p.carrier.attended()
	}
	return p.answered
}

// Whether a client was told in text before somebody began to wait, or while they did.
type telling int

const (
	never telling = iota
	earlier
	meanwhile
)

// join returns the client's part in the flight, or nil if that is over, and when
// somebody was told in text, as seen by who drew the ticket. A part that ended begins
// anew, with the same code; so does, after one patience, one whose prompt the host has
// done with.
func (o *person) join(f *flight, c client, ticket int64) (*part, telling) {
	b := o.boardOf(f)
	if b == nil || f.landed() {
		return nil, never
	}
	o.asking.Lock()
	defer o.asking.Unlock()
	if b.closed {
		return nil, never
	}
	p := b.parts[c]
	if p == nil || p.over() {
		p = &part{flight: f, board: b, client: c, turn: make(chan struct{}, 1), loud: make(chan struct{}, 1), told: make(chan struct{}), refused: make(chan struct{})}
		p.turn <- struct{}{}
		p.loud <- struct{}{}
		b.parts[c] = p
	}
	if p.prompt != "" && p.gone() && time.Since(p.at) >= p.patience {
		p.giveTurn()
	}
	switch {
	case p.heard == 0:
		return p, never
	case p.heard >= ticket || time.Since(p.heardAt) < batch:
		return p, meanwhile
	default:
		return p, earlier
	}
}

// giveTurn lets somebody show the prompt again.
func (p *part) giveTurn() {
	select {
	case p.turn <- struct{}{}:
	default:
	}
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

// channel is the best one to a's person that has not failed.
func (p *part) channel(a host) elicit.Channel {
	reach := a.at().reach()
	p.board.person.asking.Lock()
	defer p.board.person.asking.Unlock()
	return reach.Without(p.failed).Best()
}

// shown notes that the prompt goes out now by elicitation, in this mode, and returns
// its id.
func (p *part) shown(req *mcp.CallToolRequest, mode elicit.Channel, by carrier) string {
	id := rand.Text()
	p.board.person.asking.Lock()
	p.prompt, p.mode, p.at, p.answered, p.carrier, p.patience = id, mode, time.Now(), false, by, p.flight.owner.auth.patience(req)
	p.board.person.asking.Unlock()
	p.prompted(mode.String())
	return id
}

// pass leaves the prompt to the person's other hosts, after the one that was shown the
// prompt of this id has refused it by itself.
func (p *part) pass(id string) {
	p.board.person.asking.Lock()
	defer p.board.person.asking.Unlock()
	if p.prompt == id {
		p.fail()
	}
}

// withdraw takes back the prompt of this id, which no host was given after all.
func (p *part) withdraw(id string) {
	p.board.person.asking.Lock()
	defer p.board.person.asking.Unlock()
	if p.prompt == id {
		p.prompt = ""
		p.giveTurn()
	}
}

// live reports whether a host has the prompt.
func (p *part) live() bool {
	p.board.person.asking.Lock()
	defer p.board.person.asking.Unlock()
	return p.prompt != ""
}

// prompted tells the trace that the prompt goes out now.
func (p *part) prompted(channel string) {
	p.flight.prompts.Add(1)
	o := p.flight.owner
	o.auth.emit(onPrompted, Event{Principal: o.principal, Tool: p.flight.tool, Scopes: p.flight.want, Channel: channel})
}

// tell ends an asker's wait with the prompt as its text, and with it the waits of all
// who wait already and can be told in no better way: most models see the result of none
// of their calls before they have those of all.
func (p *part) tell() *Error {
	o := p.board.person
	o.asking.Lock()
	first := p.heard == 0
	if first {
		p.heard, p.heardAt = p.flight.tickets.Load(), time.Now()
		close(p.told)
	}
	o.asking.Unlock()
	if first {
		p.prompted(elicit.Text.String())
	}
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
func (p *part) request(ctx context.Context, req *mcp.CallToolRequest, mode elicit.Channel) {
	id := p.shown(req, mode, nil)
	session, auth := req.Session, p.flight.owner.auth
	p.board.person.asking.Lock()
	over := p.board.closed
	if mode == elicit.URL { // forms have no completion notice
		p.notices = append(p.notices, notice{ctx, session, id})
	}
	p.board.person.asking.Unlock()
	if over {
		return
	}
	params := auth.wording(req).Elicitation(mode, p.flight.prompt, id)
	reach := elicit.ReachOf(req)
	// The values route the request over HTTP; the end is the flight's.
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(p.flight.over, cancel)
	spawned := auth.spawn(func() {
		defer stop()
		defer cancel()
		result, err := session.Elicit(ctx, params)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			p.unanswered(id, err, reach)
		default:
			_ = p.answer(id, result.Action, reach) // who waits learns of it by refused
		}
	})
	if !spawned {
		stop()
		cancel()
	}
}

// unanswered deals with a server request that got no answer. A protocol error says
// that the host has not what it declared, which is no refusal: the person saw
// nothing, and the next channel is tried. Anything else leaves the prompt to the next
// call.
func (p *part) unanswered(id string, err error, reach elicit.Reach) {
	if _, protocol := errors.AsType[*jsonrpc.Error](err); !protocol || errors.Is(err, mcp.ErrConnectionClosed) {
		_ = p.answer(id, "", 0)
		return
	}
	o := p.board.person
	o.asking.Lock()
	current := id == p.prompt
	if current && (!p.hushed || reach.Without(p.failed.With(p.mode)).Elicits()) {
		p.fail()
		current = false
	}
	o.asking.Unlock()
	if current { // what is left is the text, and the host has refused before
		e := o.auth.fail(Declined, nil)
		e.hasty = true
		p.refuse(e)
	}
}

// shared reports whether the client may be several hosts of one person, of which one
// must not decide for the others: on stateless HTTP a client is a principal. What is
// known then is which call the prompt was the answer to.
func (p *part) shared() bool {
	_, principal := p.client.(Principal)
	return principal && p.carrier != nil
}

// fail gives up the mode of the live prompt, and lets somebody show it in another. The
// owner's mutex is held.
func (p *part) fail() {
	if p.shared() {
		p.carrier.fails(p.mode)
	} else {
		p.failed = p.failed.With(p.mode)
	}
	p.notices = slices.DeleteFunc(p.notices, func(n notice) bool { return n.id == p.prompt })
	p.prompt = ""
	p.giveTurn()
}

// answer takes what the host says to the prompt of this id; an answer to any
// other is stale and changes nothing. It returns the error that ends the
// client's part, if the answer does that. Accepting means that the person
// consents to open the URL, and says nothing about authorization.
//
// A refusal that no person can have made so fast says that the host does not show
// prompts of this mode: if it declares another, in reach, that is tried first. If it
// does not, and the client may be several hosts, it ends the one call alone; once that
// is done the caller lets the others ask, by pass.
func (p *part) answer(id, action string, reach elicit.Reach) *Error {
	o := p.board.person
	o.asking.Lock()
	if id != p.prompt || p.flight.landed() || p.board.closed {
		o.asking.Unlock()
		return nil
	}
	p.answered = true
	refused := action == "decline" || action == "cancel"
	hasty := time.Since(p.at) < byHand
	if refused && hasty && reach.Without(p.failed.With(p.mode)).Elicits() {
		p.hushed = true
		p.fail()
		o.asking.Unlock()
		return nil
	}
	alone := refused && hasty && p.shared()
	o.asking.Unlock()
	if !refused {
		return nil
	}
	e := o.auth.fail(Declined, nil)
	e.cancel, e.hasty, e.alone = action == "cancel", hasty, alone
	if o.auth.options.TextAfterDecline {
		e.prompt = &p.flight.prompt
	}
	if !alone {
		p.refuse(e)
	}
	return e
}

// refuse ends the client's part with err, unless the flight is over: a token
// that came first wins. A decline is remembered.
func (p *part) refuse(err *Error) {
	o := p.board.person
	o.asking.Lock()
	if p.flight.landed() || p.board.closed || p.over() {
		o.asking.Unlock()
		return
	}
	p.err = err
	for _, n := range p.notices {
		if n.id != p.prompt { // dialogs that the host was not asked to take down
			p.board.stale = append(p.board.stale, n)
		}
	}
	close(p.refused)
	if !err.cancel {
		now := o.auth.now()
		maps.DeleteFunc(o.declined, func(_ client, until time.Duration) bool { return until <= now })
		o.declined[p.client] = now + peace
	}
	channel := p.mode.String()
	o.asking.Unlock()
	o.auth.emit(onFailed, Event{Principal: o.principal, Tool: p.flight.tool, Scopes: p.flight.want, Channel: channel, Reason: Declined})
}

// A notice is the news for one host that a prompt of this id is over. Over HTTP it
// goes into the stream of the request that caused the prompt, while that is open.
type notice struct {
	request context.Context
	session *mcp.ServerSession
	id      string
}

// announce tells hosts that the interaction is over (MCP 2025-11-25
// client/elicitation, "Completion notifications"), so that they can take their
// dialogs down. Hosts that do not read hold it up for at most noticeWait.
func (i *keeper) announce(notices []notice) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(i.ctx), noticeWait) // Close is an end like any other
	defer cancel()
	sent := make(chan struct{}, len(notices))
	for _, n := range notices {
		i.wg.Go(func() { // the flight's own goroutine is counted as long as this function runs
			ctx := ctx
			if n.request.Err() == nil {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(n.request, noticeWait)
				defer cancel()
			}
			// A host that is gone needs no notice.
			_ = n.session.NotifyElicitationComplete(ctx, &mcp.ElicitationCompleteParams{ElicitationID: n.id})
			sent <- struct{}{}
		})
	}
	for range notices {
		select {
		case <-sent:
		case <-ctx.Done():
			return
		}
	}
}
