package asking

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	// stalledAfter is how long a prompt has been with its person, and no browser has come back,
	// before the next call has them prompted by another way. A burst of calls, or a model that is
	// impatient, is no reason for that.
	stalledAfter = 45 * time.Second
	// leastReaction is the least time in which a person can refuse what they were shown. A
	// host that is quicker has refused for them.
	leastReaction = time.Second
	// batchWindow is how far apart calls may come that a model made in one go.
	batchWindow = 100 * time.Millisecond
)

// A Delivery is that of a flight's prompt to one client: whether its person was shown the
// prompt, and what they said to it.
type Delivery struct {
	board  *board
	client Client

	// slot holds the right to show the prompt while there is one: the call that takes it shows the
	// prompt, and puts it back if that fails. progressSlot holds a token while the prompt is in no
	// call's progress messages. They are two because on stateless HTTP several hosts
	// are one client, and what one of them shows is not seen at another.
	slot         chan Slot
	progressSlot chan struct{}
	// refused is closed when the prompt is refused, for the reason in refusal.
	refused chan struct{}
	refusal *Declined

	// Guarded by Person.mu.
	current        *elicit.Prompt // what follows is of; there is another one once the flight goes another way
	lately         time.Time      // when it last went to the person, or they last consented to open it; zero if never
	shownAsText    chan struct{}  // is closed when a call was first answered with it as text …
	textShownAt    time.Time      // … which was then
	shownOtherwise bool           // a program or progress messages have had the code, or a text before a refusal
	handedOver     bool           // a call is about to be answered with it
	failed         Reach          // modes that the host declares and does not deliver
	automatic      bool           // the host refused one of them by itself: no code for its model
	shown          Slot           // how many prompts were
	prompt         string         // the id of the live prompt; no answer to another counts
	mode           elicit.Channel
	at             time.Time     // when it was shown …
	maxWait        time.Duration // … and how long its host waits
	answered       bool          // the host has answered it
	carrier        Carrier       // the call that was answered with it, if one was
	completions    []completion  // to be sent when the flight is over
	program        string        // what the client called itself that it was shown to
}

// A Slot is the right to show a prompt after so many that were shown. It ends when another
// goes out: a handler may have to wait for a request to show the prompt in, and others do
// not wait for it.
type Slot int32

// A Carrier is a call that was answered with a prompt.
type Carrier interface {
	// Attended reports whether a request waits in the call.
	Attended() bool
	// ChannelFailed notes that its host declares this mode and does not deliver.
	ChannelFailed(elicit.Channel)
}

func newDelivery(b *board, c Client) *Delivery {
	d := &Delivery{
		board: b, client: c, current: b.flight.Prompt(), slot: make(chan Slot, 1), progressSlot: make(chan struct{}, 1),
		shownAsText: make(chan struct{}), refused: make(chan struct{}),
	}
	d.slot <- 0
	d.progressSlot <- struct{}{}
	return d
}

// Prompt returns the prompt.
func (d *Delivery) Prompt() *elicit.Prompt { return d.board.flight.Prompt() }

// Flight returns whose prompt it is.
func (d *Delivery) Flight() *grants.Flight { return d.board.flight }

func (d *Delivery) config() *Config { return &d.board.person.people.config }

// isGone reports whether the host has done with the prompt, as far as can be
// seen: it has answered, or, where the prompt was the answer to a call, it has
// not come back for that. Person.mu is held.
func (d *Delivery) isGone() bool {
	if d.carrier != nil {
		return !d.carrier.Attended()
	}
	return d.answered
}

// isRefused reports whether the prompt was refused.
func (d *Delivery) isRefused() bool {
	select {
	case <-d.refused:
		return true
	default:
		return false
	}
}

// freeSlot lets a call show the prompt again. Person.mu is held.
func (d *Delivery) freeSlot() {
	select {
	case <-d.slot: // for one that is not live any more
	default:
	}
	d.slot <- d.shown
}

// PutBack gives up a slot that was not used.
func (d *Delivery) PutBack(slot Slot) {
	d.board.person.mu.Lock()
	defer d.board.person.mu.Unlock()
	if d.shown == slot {
		d.freeSlot()
	}
}

// Reach returns the channels to the request's person that the prompt can go by, and that have
// not failed.
func (d *Delivery) Reach(r Request) Reach {
	reach := r.Reach()
	d.board.person.mu.Lock()
	defer d.board.person.mu.Unlock()
	return d.left(reach, d.failed)
}

// left returns the channels of reach that the prompt can go by, without the failed ones.
func (d *Delivery) left(reach, failed Reach) Reach { return reach.Without(failed).of(d.Prompt()) }

// channel is the best one to h's person.
func (d *Delivery) channel(h Host) elicit.Channel { return d.Reach(h.Request()).Best() }

// isStalled reports whether the prompt has been with its person for a while, and the host has
// done with it. Person.mu is held.
func (d *Delivery) isStalled() bool {
	return !d.lately.IsZero() && time.Since(d.lately) >= stalledAfter && (d.prompt == "" || d.isGone())
}

// renew begins the delivery of the flight's prompt anew if that is another one by now and the host
// has done with the one before. Person.mu is held.
func (d *Delivery) renew() {
	if d.current == d.Prompt() || d.prompt != "" && !d.isGone() {
		return
	}
	if d.prompt != "" {
		d.freeSlot()
	}
	if !d.textShownAt.IsZero() {
		d.shownOtherwise, d.shownAsText, d.textShownAt = true, make(chan struct{}), time.Time{}
	}
	d.current, d.lately = d.Prompt(), time.Time{}
}

// turn has the flight go another way if the request's host refuses links, or has none to show,
// whatever it declares, and has forms, in which only a code can stand. It returns a channel that is
// closed when there is another prompt, or none to be had; nil if the flight goes on as it is.
func (d *Delivery) turn(r Request) <-chan struct{} {
	d.board.person.mu.Lock()
	lacks := d.lacksCode(r.Reach(), d.failed) && (d.failed | r.Failed).Has(elicit.URL)
	d.board.person.mu.Unlock()
	if !lacks {
		return nil
	}
	return d.board.flight.Another(grants.ErrUnshown)
}

// lacksCode reports whether a prompt with a code could go by elicitation to a host of this reach
// where these modes have failed, and this one cannot.
func (d *Delivery) lacksCode(reach, failed Reach) bool {
	return reach.Without(failed).Elicits() && !d.left(reach, failed).Elicits()
}

// isBarred reports whether the request's host shows prompts, and has refused by itself this
// one in each mode that it declares: then its model gets none of it.
func (d *Delivery) isBarred(r Request) bool {
	if !Shows(r.Call, d.Prompt()) {
		return false
	}
	d.board.person.mu.Lock()
	defer d.board.person.mu.Unlock()
	return !d.left(r.Reach(), d.failed).Elicits() && (d.automatic || r.Failed != 0)
}

// asText is why a call ends whose host can be shown the prompt in no better way than as
// text in the call's result.
func (d *Delivery) asText(r Request) error {
	if d.isBarred(r) {
		return &Declined{Automatic: true, HostOnly: true}
	}
	return &Pending{Prompt: d.Prompt()}
}

// Shown notes that the prompt goes out now by elicitation, in this mode, and returns
// its id; it reports false, and nothing may go out, if in the meantime another has, or that
// was refused. by is the call that is answered with it, if one is.
func (d *Delivery) Shown(ctx context.Context, req *mcp.CallToolRequest, slot Slot, mode elicit.Channel, by Carrier) (id string, ok bool) {
	id, maxWait, program := rand.Text(), d.config().MaxWait(req), programOf(req)
	d.board.person.mu.Lock()
	if d.shown != slot || d.isRefused() {
		d.handedOver = false
		d.board.person.mu.Unlock()
		return "", false
	}
	d.prompt, d.mode, d.at, d.answered, d.carrier, d.maxWait = id, mode, time.Now(), false, by, maxWait
	d.current, d.lately, d.program = d.Prompt(), d.at, program
	d.handedOver = false
	d.shown++
	d.board.person.mu.Unlock()
	d.prompted(ctx, mode.String())
	return id, true
}

// handOver notes that a call is about to be answered with the prompt.
func (d *Delivery) handOver() {
	d.board.person.mu.Lock()
	defer d.board.person.mu.Unlock()
	d.handedOver = true
}

// Withdraw takes back the prompt of this id, which no host was given after all.
func (d *Delivery) Withdraw(id string) {
	d.board.person.mu.Lock()
	defer d.board.person.mu.Unlock()
	if d.prompt == id {
		d.prompt = ""
		d.freeSlot()
	}
}

// Pass leaves the prompt to the person's other hosts, after the one that was shown the
// prompt of this id has refused it by itself.
func (d *Delivery) Pass(id string) {
	d.board.person.mu.Lock()
	defer d.board.person.mu.Unlock()
	if d.prompt == id {
		d.fail()
	}
}

// isLive reports whether a host has the prompt.
func (d *Delivery) isLive() bool {
	d.board.person.mu.Lock()
	defer d.board.person.mu.Unlock()
	return d.prompt != ""
}

// prompted tells the observer that the prompt goes out now.
func (d *Delivery) prompted(ctx context.Context, channel string) {
	if ctx == nil {
		ctx = d.board.flight.Context()
	}
	d.board.flight.CountPrompt()
	d.config().Observer.Prompted(ctx, d.board.flight, channel)
}

// FallBackToText ends a call's wait with the prompt as text, and with it those of all calls
// that wait already and whose hosts have no better way: most models see the result of none
// of their calls before they have those of all.
func (d *Delivery) FallBackToText(ctx context.Context) error {
	d.board.person.mu.Lock()
	first := d.textShownAt.IsZero()
	if first {
		d.textShownAt = time.Now()
		if d.lately.IsZero() { // or else it stands elsewhere, and has for longer
			d.lately = d.textShownAt
		}
		close(d.shownAsText)
	}
	d.board.person.mu.Unlock()
	if first {
		d.prompted(ctx, elicit.Text.String())
	}
	return &Pending{Prompt: d.Prompt()}
}

// ShownOtherwise notes that the prompt is shown, and cannot be refused there: in progress messages,
// by a "caller", or in a "browser" that this program has opened.
func (d *Delivery) ShownOtherwise(ctx context.Context, channel string) {
	d.board.person.mu.Lock()
	d.shownOtherwise, d.lately = true, time.Now()
	d.board.person.mu.Unlock()
	d.prompted(ctx, channel)
}

// FallBackInstead is FallBackToText for a request that took the slot, and turns out to be unable
// to show the prompt.
func (d *Delivery) FallBackInstead(r Request, slot Slot) error {
	d.PutBack(slot)
	if d.isBarred(r) {
		return d.asText(r)
	}
	return d.FallBackToText(r.Ctx)
}

// Request shows the prompt by a server request (up to MCP 2025-11-25) and
// leaves a goroutine waiting for the answer, until the flight is over: hosts
// answer when the person consents, when they come back, or never. The request
// outlives the call that caused it, since the flight does.
func (d *Delivery) Request(ctx context.Context, req *mcp.CallToolRequest, slot Slot, mode elicit.Channel) {
	id, ok := d.Shown(ctx, req, slot, mode, nil)
	if !ok {
		return
	}
	going := false
	defer func() {
		if !going { // the author's Wording has panicked
			d.Withdraw(id)
		}
	}()
	params := Elicitation(d.config().Wording(req), mode, *d.Prompt(), id)
	going = true
	person, flight, session := d.board.person, d.board.flight, req.Session
	person.mu.Lock()
	over := d.board.closed
	if mode == elicit.URL { // forms have no completion notification
		d.completions = append(d.completions, completion{ctx, session, id})
	}
	person.mu.Unlock()
	if over {
		return
	}
	reach := ReachOf(req)
	// The values route the request over HTTP; the end is the flight's.
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := flight.AfterDone(cancel)
	spawned := d.config().Keeper.Spawn("a prompt at a host", func() {
		defer stop()
		defer cancel()
		var result *mcp.ElicitResult
		err := guard.Call("the request to a host", func() (err error) {
			result, err = session.Elicit(ctx, params)
			return err
		})
		switch {
		case ctx.Err() != nil:
		case err != nil:
			d.unanswered(id, err, reach)
		default:
			_ = d.Answer(id, result.Action, reach) // calls that wait learn of it by refused
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
func (d *Delivery) unanswered(id string, err error, reach Reach) {
	if _, protocol := errors.AsType[*jsonrpc.Error](err); !protocol || errors.Is(err, mcp.ErrConnectionClosed) {
		_ = d.Answer(id, "", 0)
		return
	}
	d.board.person.mu.Lock()
	current := id == d.prompt
	if current && (!d.automatic || d.left(reach, d.failed.With(d.mode)).Elicits()) {
		d.fail()
		current = false
	}
	d.board.person.mu.Unlock()
	if current { // what is left is the text, and the host has refused before
		d.refuse(&Declined{Automatic: true})
	}
}

// isShared reports whether the client may be several hosts of one person, of which one
// must not decide for the others: on stateless HTTP a client is a principal. What is
// known then is which call the prompt was the answer to.
func (d *Delivery) isShared() bool {
	_, principal := d.client.(grants.Principal)
	return principal && d.carrier != nil
}

// fail gives up the mode of the live prompt, and lets a call show it in another.
// Person.mu is held.
func (d *Delivery) fail() {
	if d.isShared() {
		d.carrier.ChannelFailed(d.mode)
	} else {
		d.failed = d.failed.With(d.mode)
	}
	d.completions = slices.DeleteFunc(d.completions, func(c completion) bool { return c.id == d.prompt })
	d.prompt = ""
	d.freeSlot()
}

// Answer takes what the host says to the prompt of this id; an answer to any
// other is stale and changes nothing. It returns why the client's calls go on without a
// grant, if the answer does that. Accepting means that the person
// consents to open the URL, and says nothing about authorization.
//
// A refusal that no person can have made so fast says that the host does not show
// prompts of this mode: if it declares another, in reach, that is tried first, by another way
// of the flight if need be. If it
// does not, and the client may be several hosts, it ends the one call alone
// (Declined.HostOnly); once that is done the caller lets the others ask, by Pass.
func (d *Delivery) Answer(id, action string, reach Reach) *Declined {
	d.board.person.mu.Lock()
	if id != d.prompt || d.board.flight.Ended() || d.board.closed {
		d.board.person.mu.Unlock()
		return nil
	}
	d.answered = true
	refused := action == "decline" || action == "cancel"
	automatic := time.Since(d.at) < leastReaction
	if !refused {
		d.lately = time.Now()
	}
	failed := d.failed.With(d.mode)
	if refused && automatic && (d.left(reach, failed).Elicits() || d.lacksCode(reach, failed) && d.board.flight.Another(grants.ErrUnshown) != nil) {
		d.automatic = true
		d.fail()
		d.board.person.mu.Unlock()
		return nil
	}
	hostOnly := refused && automatic && d.isShared()
	d.board.person.mu.Unlock()
	if !refused {
		return nil
	}
	e := &Declined{Dismissed: action == "cancel", Automatic: automatic, HostOnly: hostOnly}
	if d.config().TextAfterDecline {
		e.Prompt = d.Prompt()
	}
	if !hostOnly {
		d.refuse(e)
	}
	return e
}

// refuse ends the waits of the client's calls with err, unless the flight is over: a token
// that came first wins. A decline is remembered. The flight ends with it if no other client has
// the prompt and no call waits; otherwise the last call that waits ends it as it leaves.
func (d *Delivery) refuse(err *Declined) {
	p := d.board.person
	p.mu.Lock()
	if d.board.flight.Ended() || d.board.closed || d.isRefused() {
		p.mu.Unlock()
		return
	}
	d.refusal = err
	for _, c := range d.completions {
		if c.id != d.prompt { // dialogs that the host was not asked to take down
			d.board.stale = append(d.board.stale, c)
		}
	}
	close(d.refused)
	if !err.Dismissed {
		now := p.people.now()
		maps.DeleteFunc(p.declined, func(_ Client, earlier decline) bool { return earlier.until <= now })
		p.declined[d.client] = decline{until: now + declineCoolDown, automatic: err.Automatic}
	}
	channel, program := d.mode.String(), d.program
	unwanted := d.board.closeIfUnwanted()
	p.mu.Unlock()
	if told := d.config().Declined; told != nil && !err.Dismissed && !err.Automatic {
		told(p.Who(), program)
	}
	d.config().Observer.Declined(d.board.flight.Context(), d.board.flight, channel)
	if unwanted {
		d.board.flight.Abandon()
	}
}
