package lazyauth

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A host is through whom a person can be asked: a call, in one of the forms that the
// eras give it, or a program.
type host interface {
	// client says who would be shown the prompt.
	client() client
	// tool names the tool, for the trace.
	tool() string
	// at is the request through which the person can be reached for now; its req
	// is nil if a program asks, and its ctx if the host has to come back first.
	at() attendance
	// ledger counts the call's progress.
	ledger() *ledger
	// ask brings the prompt of p to the person by elicitation in this mode, and
	// returns once it is on its way; an error ends the wait. It is errHandedOver if the
	// prompt takes the place of the answer that the caller waits for.
	ask(ctx context.Context, p *part, mode elicit.Channel) error
}

// An attendance is a request that a call waits in.
type attendance struct {
	ctx     context.Context // the request's: it ends with the request
	req     *mcp.CallToolRequest
	arrived time.Duration // since the interceptor's epoch
	again   bool          // it came for a call that has waited before it
	failed  elicit.Reach  // modes that its host declares and does not deliver
	// stop ends the request's wait for the authorization, while there is one; guarded by
	// held.mu.
	stop context.CancelCauseFunc
}

// left is how much longer the request can wait from now on.
func (at attendance) left(i *keeper) time.Duration {
	if at.req == nil {
		return time.Hour // the flight ends first
	}
	return i.patience(at.req) - (i.now() - at.arrived) // in this order: patience may be endless
}

// reach returns the channels to the person behind the request.
func (at attendance) reach() elicit.Reach {
	if at.req == nil {
		return elicit.Reach(0).With(elicit.URL) // in effect: the program asks
	}
	return elicit.ReachOf(at.req).Without(at.failed)
}

// A wait is one asker's waiting for the end of a flight.
type wait struct {
	flight *flight
	person *person
	asker  host
	ticket int64 // its place among those who wait for the flight
	began  time.Time
	part   *part // once there is a prompt

	// What to listen for; nil where there is nothing to hear.
	turn, loud, told, refused <-chan struct{}
	stands                    <-chan time.Time // the end of progress alone
	shows                     bool             // its progress messages have the code
}

// wait waits for the end of the flight on behalf of a, and brings the prompt to the
// person if that is a's turn.
func (t *through) follow(ctx context.Context, f *flight) error {
	a := t.host
	w := wait{flight: f, person: t.person, asker: a, ticket: f.tickets.Add(1), began: time.Now()}
	patience := time.NewTimer(max(w.left(), 0))
	defer patience.Stop()
	tick, stop := w.come()
	defer stop()
	defer w.quiet()
	ready := f.ready
	for {
		var err error
		select {
		case <-f.over.Done():
			return nil
		case <-ready:
			ready = nil
			err = w.begin()
		case <-w.turn:
			if f.over.Err() == nil {
				err = w.ask(ctx)
			}
		case <-w.loud:
			err = w.speak()
		case <-w.stands:
			err = w.part.tell()
		case <-w.told:
			w.told = nil
			if !w.part.channel(a).Elicits() {
				err = w.part.pending()
			}
		case <-tick:
			w.report()
		case <-w.refused:
			if f.over.Err() == nil { // otherwise the token came first, and wins
				err = w.part.err
			}
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-patience.C:
			if more := w.more(); more > 0 {
				patience.Reset(more)
				continue
			}
			err = w.pending()
		}
		if err != nil {
			return err
		}
	}
}

// come counts the call, and returns what ticks while it waits if its host wants to hear
// of progress.
//
//go:noinline
func (w *wait) come() (tick <-chan time.Time, stop func()) {
	at := w.asker.at()
	if !at.again {
		w.flight.calls.Add(1)
	}
	if at.req == nil || at.req.Params.GetProgressToken() == nil {
		return nil, func() {}
	}
	ticker := time.NewTicker(progressEvery)
	return ticker.C, ticker.Stop
}

// left is the asker's patience.
//
//go:noinline
func (w *wait) left() time.Duration { return w.asker.at().left(w.flight.owner.auth) }

// more is how much longer the wait goes on when a timer has rung; zero or less if it is
// over.
//
//go:noinline
func (w *wait) more() time.Duration {
	if left := w.left(); left > 0 {
		return left
	}
	if late := promptWait - time.Since(w.began); late > 0 && w.unasked() {
		return late
	}
	if w.flight.landed() { // of which hosts are being told, for a moment
		return noticeWait
	}
	return 0
}

// begin joins the client's part in the flight, now that there is a prompt.
func (w *wait) begin() error {
	p, told := w.person.join(w.flight, w.asker.client(), w.ticket)
	if p == nil {
		return nil // over by now
	}
	w.part, w.refused = p, p.refused
	switch {
	case told == never:
		w.told = p.told
	case told == meanwhile && !p.channel(w.asker).Elicits():
		return p.pending()
	}
	return w.seek()
}

// seek goes for the best channel that is left.
func (w *wait) seek() error {
	switch c := w.part.channel(w.asker); {
	case c.Elicits():
		w.turn = w.part.turn
	case c == elicit.Progress:
		w.loud = w.part.loud
	case w.told != nil: // nobody was told in text
		return w.part.tell()
	}
	return nil
}

// unasked reports whether the prompt has yet to get to the asker's person.
func (w *wait) unasked() bool {
	return w.part == nil || w.part.channel(w.asker).Elicits() && !w.part.live()
}

// ask has the asker show the prompt, whose turn it is.
func (w *wait) ask(ctx context.Context) error {
	mode := w.part.channel(w.asker)
	if !mode.Elicits() { // its modes have failed, for others
		w.part.giveTurn()
		w.turn = nil
		return w.seek()
	}
	asked := false
	defer func() {
		if !asked { // the author's Wording has panicked
			w.part.giveTurn()
		}
	}()
	err := w.asker.ask(ctx, w.part, mode)
	asked = true
	if err != nil && !errors.Is(err, errHandedOver) {
		w.part.giveTurn()
	}
	return err
}

// speak puts the prompt into the asker's progress messages. Where it is not known
// that anybody sees those, the model is told soon after.
func (w *wait) speak() error {
	w.loud, w.shows = nil, true
	select {
	case <-w.told:
		return w.part.pending() // while it waited for its turn
	default:
	}
	at := w.asker.at()
	w.part.prompted(elicit.Progress.String())
	w.report()
	if w.told != nil && !w.flight.owner.auth.host(at.req).ShowsProgress {
		w.stands = time.After(progressStands)
	}
	return nil
}

// quiet lets another asker's progress messages have the code.
func (w *wait) quiet() {
	if w.shows {
		w.part.loud <- struct{}{}
	}
}

// report tells the request that the call waits, and for what.
func (w *wait) report() {
	prompt := elicit.Prompt{Service: w.flight.owner.auth.service.Name}
	select {
	case <-w.flight.ready:
		if prompt = w.flight.prompt; !w.shows {
			prompt = prompt.Hidden()
		}
	default: // the authorization server takes its time: the host must not lose patience
	}
	l := w.asker.ledger()
	if l == nil {
		return // a program asks
	}
	l.hold()
	defer l.release()
	at := w.asker.at()
	at.report(l, w.flight.owner.auth.wording(at.req).Say(elicit.Progress, prompt))
}

// pending is the error of a call whose patience ends before the flight does.
func (w *wait) pending() error {
	switch {
	case w.part == nil:
		return w.flight.owner.auth.fail(Pending, errNoPrompt)
	case w.part.channel(w.asker).Elicits():
		return w.flight.owner.auth.fail(Pending, nil)
	default:
		return w.part.pending()
	}
}

// errHandedOver ends a wait whose caller is answered with the prompt.
var errHandedOver = errors.New("lazyauth: the prompt was handed over")

// host returns what is known of the host behind req; the zero value if nothing is.
func (i *keeper) host(req *mcp.CallToolRequest) Host {
	if req == nil { // of a call that is over
		return Host{}
	}
	info := req.ClientInfo()
	if info == nil {
		return Host{}
	}
	if h, ok := i.options.Hosts[info.Name]; ok {
		return h
	}
	var best Host
	length := -1
	for pattern, h := range i.options.Hosts {
		prefix, ok := strings.CutSuffix(pattern, "*")
		if ok && len(prefix) > length && strings.HasPrefix(info.Name, prefix) {
			best, length = h, len(prefix)
		}
	}
	return best
}

// patience is how long after its arrival a request of req's host may wait.
func (i *keeper) patience(req *mcp.CallToolRequest) time.Duration {
	h := i.host(req)
	if h.WithProgress != 0 && req.Params.GetProgressToken() != nil {
		return h.WithProgress
	}
	if h.Patience != 0 {
		return h.Patience
	}
	return i.options.Patience
}

// A client is who can be shown a prompt, as a comparable value: the session
// where there is one, the principal where every request stands alone.
type client any
