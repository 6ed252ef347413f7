package asking

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	// progressEvery is the time between two progress messages of a waiting call.
	progressEvery = 5 * time.Second
	// progressAlone is how long a prompt stands in progress messages alone before the
	// model gets it as text, and progressShown is that where the host is known to show
	// them. A minute is enough for a person who reads it to be on their way, and no more
	// than a minute is lost where the same host runs unattended under the same name.
	progressAlone = 10 * time.Second
	progressShown = time.Minute
	// progressStep is how far a message about waiting moves the progress of its call:
	// not far, since the handler counts in units of its own.
	progressStep = 1e-3
)

// A Progress keeps that of one call increasing, whatever reports it: this library,
// while the call waits, and the handler (MCP basic/utilities/progress: "the progress
// value MUST increase with each notification").
//
// What sends a message locks it until that is on its way, and so does what ends the
// service of a request: messages keep their order, and none follows the answer. That holds
// for hosts that read. One that does not, so that messages fill a pipe, holds nothing up for
// longer than progressWait: the message in the pipe keeps the lock, and until it is read
// others are dropped, and requests end without it. (The SDK heeds no context while it
// writes to a pipe, seen in go-sdk v1.8.0.)
type Progress struct {
	lock  chan struct{} // holds a token while it is locked
	stuck atomic.Bool   // a message keeps it
	last  float64
	total float64
	begun bool
}

// ProgressIn returns the Progress in p, or puts a new one there.
func ProgressIn(p *atomic.Pointer[Progress]) *Progress {
	if found := p.Load(); found != nil {
		return found
	}
	p.CompareAndSwap(nil, &Progress{lock: make(chan struct{}, 1)})
	return p.Load()
}

// progressWait is how long a host may take to read a message.
const progressWait = 2 * time.Second

// Lock waits until no message is being sent. It reports false, and has not locked anything, if
// the host does not read.
func (p *Progress) Lock() bool {
	select {
	case p.lock <- struct{}{}:
		return true
	default:
	}
	if p.stuck.Load() {
		return false
	}
	timer := time.NewTimer(progressWait)
	defer timer.Stop()
	select {
	case p.lock <- struct{}{}:
		return true
	case <-timer.C:
		return false
	}
}

// Send calls send, which sends a message, and unlocks p, which is locked, once that is on its way. It
// reports false if the host does not read.
func (p *Progress) Send(send func()) bool {
	sent := make(chan struct{})
	go func() { // ends when the host reads, or its connection ends
		defer close(sent)
		defer p.Unlock()
		defer p.stuck.Store(false)
		_ = guard.Call("a progress message", func() error { // which is no loss
			send()
			return nil
		})
	}()
	timer := time.NewTimer(progressWait)
	defer timer.Stop()
	select {
	case <-sent:
		return true
	case <-timer.C:
	}
	p.stuck.Store(true)
	select {
	case <-sent: // at that moment
		p.stuck.Store(false)
	default:
	}
	return false
}

// Unlock lets another message be sent.
func (p *Progress) Unlock() { <-p.lock }

// waited returns the progress of a message about waiting. p is locked.
func (p *Progress) waited() (progress, total float64) {
	p.last, p.begun = above(p.last, progressStep), true
	return p.last, p.total
}

// above is x and a step, or what comes next after x where that is more.
func above(x, step float64) float64 { return max(x+step, math.Nextafter(x, math.Inf(1))) }

// Worked corrects what the handler reports if more was reported already. p is locked.
func (p *Progress) Worked(m *mcp.ProgressNotificationParams) {
	if p.begun && m.Progress <= p.last {
		m.Progress = above(p.last, progressStep/1000)
	}
	p.last, p.total, p.begun = m.Progress, m.Total, true
}

// report sends a progress message to the request, if it takes any, and unlocks p, which is
// locked.
func (p *Progress) report(r Request, message string) {
	if r.Ctx == nil || r.Ctx.Err() != nil || r.Call.Session == nil || r.Call.Params.GetProgressToken() == nil {
		p.Unlock()
		return
	}
	token := r.Call.Params.GetProgressToken()
	progress, total := p.waited()
	p.Send(func() {
		// A host that does not hear it loses nothing but the message.
		_ = r.Call.Session.NotifyProgress(r.Ctx, &mcp.ProgressNotificationParams{
			ProgressToken: token, Message: message, Progress: progress, Total: total,
		})
	})
}
