package refhost

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// The defaults where a task does not say.
const (
	callTimeout = 2 * time.Minute
	maxTimeouts = 4 // progress prolongs a call to so many time-outs
)

var errTimeout = errors.New("the call timed out")

// wait waits for the response as long as the call may take. Progress starts the
// clock again, up to a maximum; while a dialog is open it stands still.
func (c *client) wait(ctx context.Context, out *outgoing, call hostcheck.Call) (message, error) {
	limit := callTimeout
	if call.TimeoutMs > 0 {
		limit = time.Duration(call.TimeoutMs) * time.Millisecond
	}
	most := maxTimeouts * limit
	switch {
	case c.h.habit == OwnMaximum:
		most = time.Minute
	case call.MaxMs > 0:
		most = time.Duration(call.MaxMs) * time.Millisecond
	}
	fault := c.h.fault
	if (call.ID == probe.ID) != (fault == WaitsForProbe) {
		fault = None
	}
	switch fault {
	case ImpatientCalls:
		limit /= 4
	case NeverTimesOut, WaitsForProbe:
		limit, most = time.Hour, time.Hour
	case NoMaximum:
		most = time.Hour
	}
	left, total := limit, most
	for {
		asking, turned := c.h.asking()
		if c.h.fault == ClockRunsOn {
			asking = false
		}
		began := time.Now()
		var alarm <-chan time.Time
		var timer *time.Timer
		if !asking {
			timer = time.NewTimer(min(left, total))
			alarm = timer.C
		}
		var r message
		var err error
		reset, ended := false, true
		select {
		case r = <-out.done:
		case err = <-out.lost:
			select { // the response may have come just before
			case r = <-out.done:
				err = nil
			default:
				err = &brokenError{out.id, err}
			}
		case <-out.progress:
			reset, ended = c.h.fault != IgnoresProgress, false
		case <-turned:
			ended = false
		case <-alarm:
			if err = errTimeout; call.ID != probe.ID {
				c.giveUp(out)
			}
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		if timer != nil {
			timer.Stop()
		}
		if ended {
			return r, err
		}
		if !asking {
			left -= time.Since(began)
			total -= time.Since(began)
		}
		if reset {
			left = limit
		}
	}
}

// giveUp tells the server that nobody waits any more.
func (c *client) giveUp(out *outgoing) {
	if c.h.fault == CancelsStrangers {
		c.notify("notifications/cancelled", map[string]any{"requestId": 987654, "reason": "the call timed out"})
	}
	switch c.h.fault {
	case NeverCancels:
		return
	case Misspells:
		c.notify("notifications/canceled", map[string]any{"requestId": json.RawMessage(out.id)})
		return
	case EndsServer:
		if _, overHTTP := c.link.(*httpLink); !overHTTP {
			c.link.close()
			return
		}
	}
	if _, overHTTP := c.link.(*httpLink); overHTTP && c.modern {
		return // closing the stream says it
	}
	params := map[string]any{"requestId": json.RawMessage(out.id), "reason": "the call timed out"}
	if c.h.fault == NumericReason {
		params["reason"] = 7
	}
	c.notify("notifications/cancelled", params)
}
