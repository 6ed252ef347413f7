package asking

import (
	"context"
	"errors"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
)

// promptWait is how long a call that may wait no more still waits for the prompt to go
// out. A handler that works for longer than its host waits, and then needs the person,
// would otherwise end before the person was asked, each time.
const promptWait = 4 * time.Second

// A waiter is one call's waiting for the end of a flight, on the goroutine that called
// Follow. There may be very many, so that what its loop calls is kept out of line and its
// frame small: see BenchmarkWaiting in package lazyauth.
type waiter struct {
	*asker
	flight   *grants.Flight
	began    time.Time
	delivery *Delivery // once there is a prompt

	// What to listen for; nil where there is nothing to hear.
	ready                              <-chan struct{} // closed when there is a prompt, or another one
	slot                               <-chan Slot
	progressSlot, shownAsText, refused <-chan struct{}
	textFallback                       <-chan time.Time // the end of progress alone
	inProgress                         bool             // its progress messages have the code
}

// Follow implements [grants.Asker]: it waits for the end of the flight, and brings the
// prompt to the person if this call gets the slot.
func (a *asker) Follow(ctx context.Context, f *grants.Flight) error {
	w := waiter{asker: a, flight: f, began: time.Now()}
	limit := time.NewTimer(max(w.left(), 0))
	defer limit.Stop()
	tick, stop := w.begin()
	defer stop()
	defer w.end()
	w.ready = f.Ready()
	for {
		var err error
		select {
		case <-f.Done():
			return nil
		case <-w.ready:
			err = w.join()
		case slot := <-w.slot:
			if !f.IsDone() {
				err = w.show(ctx, slot)
			}
		case <-w.progressSlot:
			err = w.showInProgress()
		case <-w.textFallback:
			err = w.fallBack()
		case <-w.shownAsText:
			w.shownAsText = nil
			if !Elicits(w.delivery.channel(w.host)) {
				err = w.asText()
			}
		case <-tick:
			w.report()
		case <-w.refused:
			if !f.IsDone() { // otherwise the token came first, and wins
				err = w.delivery.refusal
			}
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-limit.C:
			if more := w.more(); more > 0 {
				limit.Reset(more)
				continue
			}
			err = w.pending()
		}
		if err != nil {
			return err
		}
	}
}

// begin counts the call, and returns what ticks while it waits if its host wants to hear
// of progress.
//
//go:noinline
func (w *waiter) begin() (tick <-chan time.Time, stop func()) {
	r := w.host.Request()
	if !r.Again {
		w.flight.CountCall()
	}
	if r.Call == nil || r.Call.Params.GetProgressToken() == nil {
		return nil, func() {}
	}
	ticker := time.NewTicker(progressEvery)
	return ticker.C, ticker.Stop
}

// end lets another call's progress messages have the code, and the last call out of an
// authorization that nobody wants ends it.
func (w *waiter) end() {
	if w.delivery == nil {
		return
	}
	if w.inProgress {
		w.delivery.progressSlot <- struct{}{}
	}
	if !w.flight.IsDone() {
		w.delivery.board.leave()
	}
}

// left is how much longer the call can wait.
//
//go:noinline
func (w *waiter) left() time.Duration { return w.person.people.left(w.host.Request()) }

// more is how much longer the wait goes on when a timer has rung; zero or less if it is
// over.
//
//go:noinline
func (w *waiter) more() time.Duration {
	if left := w.left(); left > 0 {
		return left
	}
	if late := promptWait - time.Since(w.began); late > 0 && w.isUnasked() {
		return late
	}
	if w.flight.Ended() { // of which hosts hear, for a moment
		return completionWait
	}
	return 0
}

// join finds the client's delivery, now that there is a prompt, or another one; unless the
// flight goes another way first.
//
//go:noinline
func (w *waiter) join() error {
	if w.ready = w.another(); w.ready != nil {
		return nil
	}
	d, when, asText := w.person.join(w.flight, w.host.Client(), w.began, w.delivery != nil)
	if d == nil {
		return nil // over by now
	}
	w.delivery, w.refused = d, d.refused
	if err := w.resume(); err != nil {
		return err
	}
	switch {
	case w.isOpened():
		w.report() // which window that is
		return nil // it stands before the person, and everybody waits
	case when == meanwhile && !Elicits(d.channel(w.host)):
		return w.asText()
	}
	w.shownAsText = asText
	return w.seek()
}

// another has the flight go another way if the person seems to get nowhere by the present
// one. A request that comes back is no sign of that: the person may have consented just now.
//
//go:noinline
func (w *waiter) another() <-chan struct{} {
	if w.host.Request().Again || !w.person.isStalled(w.flight, w.host.Client()) {
		return nil
	}
	return w.flight.Another(grants.ErrUnreached)
}

// isOpened reports whether the program has opened the prompt in a browser by itself, which the
// first one who sees it tells. A program that asks is shown it all the same.
//
//go:noinline
func (w *waiter) isOpened() bool {
	r, p := w.host.Request(), w.delivery.Prompt()
	if !p.Opened || r.Call == nil {
		return false
	}
	if w.delivery.board.isFirst(p) {
		w.delivery.ShownOtherwise(r.Ctx, "browser")
	}
	return true
}

// seek goes for the best channel that is left.
func (w *waiter) seek() error {
	if !Elicits(w.delivery.channel(w.host)) && w.turn() {
		return nil
	}
	switch c := w.delivery.channel(w.host); { // anew: another prompt may have come meanwhile
	case Elicits(c):
		w.slot = w.delivery.slot
	case w.isBarred():
		return w.asText()
	case c == elicit.Progress:
		w.progressSlot = w.delivery.progressSlot
	case w.shownAsText != nil: // no call was shown it as text
		return w.fallBack()
	}
	return nil
}

// turn reports whether the flight goes another way, since that is how the host can show a prompt.
//
//go:noinline
func (w *waiter) turn() bool {
	w.ready = w.delivery.turn(w.host.Request())
	return w.ready != nil
}

//go:noinline
func (w *waiter) isBarred() bool { return w.delivery.isBarred(w.host.Request()) }

//go:noinline
func (w *waiter) asText() error { return w.delivery.asText(w.host.Request()) }

//go:noinline
func (w *waiter) fallBack() error { return w.delivery.FallBackToText(w.host.Request().Ctx) }

// isUnasked reports whether the prompt has yet to get to the call's person.
func (w *waiter) isUnasked() bool {
	return w.delivery == nil || Elicits(w.delivery.channel(w.host)) && !w.delivery.isLive()
}

// show has the host show the prompt, whose slot is taken.
//
//go:noinline
func (w *waiter) show(ctx context.Context, slot Slot) error {
	mode := w.delivery.channel(w.host)
	if !Elicits(mode) { // its modes have failed, for others
		w.delivery.PutBack(slot)
		w.slot = nil
		return w.seek()
	}
	shown := false
	defer func() {
		if !shown { // the author's Wording has panicked, among others
			w.delivery.PutBack(slot)
		}
	}()
	err := w.host.Show(ctx, w.delivery, slot, mode)
	if errors.Is(err, ErrHandedOver) {
		shown = true
		w.delivery.handOver()
	}
	shown = shown || err == nil
	return err
}

// showInProgress puts the prompt into the call's progress messages. The model gets it as text
// after a while, and soon where it is not known that a person sees those.
//
//go:noinline
func (w *waiter) showInProgress() error {
	w.progressSlot, w.inProgress = nil, true
	select {
	case <-w.shownAsText:
		return w.asText() // while it waited for the slot
	default:
	}
	r := w.host.Request()
	w.delivery.ShownOtherwise(r.Ctx, elicit.Progress.String())
	w.report()
	if w.shownAsText == nil {
		return nil // the model has it already
	}
	alone := progressAlone
	if w.delivery.config().ShowsProgress(r.Call) {
		alone = progressShown
	}
	w.textFallback = time.After(alone)
	return nil
}

// report tells the request that the call waits, and for what.
//
//go:noinline
func (w *waiter) report() {
	r := w.host.Request()
	prompt := elicit.Prompt{Service: w.person.people.config.Service}
	select {
	case <-w.flight.Ready():
		// Another request may have come for a handler, from a host that shows prompts.
		if prompt = *w.flight.Prompt(); !w.inProgress || Shows(r.Call, &prompt) {
			prompt = prompt.Hidden()
		}
	default: // the authorization server takes its time: the host must not lose patience
	}
	p := w.host.Progress()
	if p == nil {
		return // a program asks
	}
	message := w.person.people.config.Wording(r.Call).Say(elicit.Progress, prompt)
	if p.Lock() {
		now := w.host.Request()
		if now.Call != r.Call { // it came meanwhile, perhaps from a host that shows prompts
			now = Request{}
		}
		p.report(now, message)
	}
}

// pending is the error of a call that may wait no more.
//
//go:noinline
func (w *waiter) pending() error {
	switch {
	case w.delivery == nil:
		return &Pending{NoPrompt: true}
	case w.delivery.Prompt().Opened:
		if r := w.host.Request(); !Shows(r.Call, w.delivery.Prompt()) {
			return w.delivery.FallBackToText(r.Ctx)
		}
		return &Pending{}
	case Elicits(w.delivery.channel(w.host)):
		return &Pending{}
	default:
		return w.asText()
	}
}
