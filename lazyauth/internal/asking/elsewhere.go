package asking

import (
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
)

// ShownElsewhere is a prompt that another process has had a call's host show, of a flight that
// this one knows from the store.
type ShownElsewhere struct {
	ID     string // the prompt's, and …
	Flight string // … its flight's: see FlightOf
	Mode   elicit.Channel
	Age    time.Duration // how long ago that was
	Action string        // what the host has said to it; empty if it has not
}

// FlightOf tells the flight of a prompt from every other, also where several processes go on with
// it, and tells nothing else of it.
func FlightOf(p *elicit.Prompt) string {
	sum := sha256.Sum256([]byte(p.VerificationURI + "\n" + p.VerificationURIComplete + "\n" + p.UserCode))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// resume takes it that the prompt was shown, if another process has had this call's host show it.
//
//go:noinline
func (w *waiter) resume() error {
	r := w.host.Request()
	by, ok := w.host.(Carrier)
	if !ok || r.Shown == nil || r.Call == nil {
		return nil
	}
	return w.delivery.resume(r, by)
}

// resume takes it that the prompt was shown elsewhere, unless it was shown here as well, or is
// another flight's. by is the call that was answered with it. It returns why the call ends without a
// grant, if the host's answer says so.
func (d *Delivery) resume(r Request, by Carrier) error {
	e := r.Shown
	if e.Flight != FlightOf(d.Prompt()) {
		return nil
	}
	d.resumes(e, by, d.config().MaxWait(r.Call), programOf(r.Call))
	if e.Action == "" {
		return nil
	}
	declined := d.Answer(e.ID, e.Action, r.Reach())
	if declined == nil {
		return nil
	}
	if declined.HostOnly {
		d.Pass(e.ID)
	}
	return declined
}

func (d *Delivery) resumes(e *ShownElsewhere, by Carrier, maxWait time.Duration, program string) {
	d.board.person.mu.Lock()
	defer d.board.person.mu.Unlock()
	if d.shown != 0 || d.isRefused() || !Elicits(e.Mode) {
		return
	}
	select {
	case <-d.slot:
	default: // another call is about to show it
		return
	}
	d.prompt, d.mode, d.at, d.answered, d.carrier, d.maxWait = e.ID, e.Mode, time.Now().Add(-e.Age), false, by, maxWait
	d.current, d.lately, d.program = d.Prompt(), d.at, program
	d.shown++
}
