package lazyauth

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	// progressEvery is the time between two progress messages of a waiting call.
	progressEvery = 5 * time.Second
	// progressStands is how long a prompt in progress messages is given, on hosts that
	// are not known to show them, before the model is told as well.
	progressStands = 10 * time.Second
	// progressStep is how far a message about waiting moves the progress of its call:
	// not far, since the handler counts in units of its own.
	progressStep = 1e-3
)

// A ledger keeps the progress of one call increasing, whoever reports it: this library,
// while the call waits, and the handler (MCP basic/utilities/progress: "the progress
// value MUST increase with each notification").
//
// Whoever sends a message holds the ledger until it is on its way, and so does who ends
// an attendance: messages keep their order, and none follows the answer. It is held by
// a token in a channel, since a host may be slow to read.
type ledger struct {
	held  chan struct{}
	last  float64
	total float64
	begun bool
}

func newLedger() *ledger { return &ledger{held: make(chan struct{}, 1)} }

// ledgerIn returns the ledger in p, or puts a new one there.
func ledgerIn(p *atomic.Pointer[ledger]) *ledger {
	if l := p.Load(); l != nil {
		return l
	}
	p.CompareAndSwap(nil, newLedger())
	return p.Load()
}

func (l *ledger) hold()    { l.held <- struct{}{} }
func (l *ledger) release() { <-l.held }

// waited returns the progress of a message about waiting. l is held.
func (l *ledger) waited() (progress, total float64) {
	l.last, l.begun = above(l.last, progressStep), true
	return l.last, l.total
}

// above is x and a step, or what comes next after x where that is more.
func above(x, step float64) float64 { return max(x+step, math.Nextafter(x, math.Inf(1))) }

// worked corrects what the handler reports if more was reported already. l is held.
func (l *ledger) worked(p *mcp.ProgressNotificationParams) {
	if l.begun && p.Progress <= l.last {
		p.Progress = above(l.last, progressStep/1000)
	}
	l.last, l.total, l.begun = p.Progress, p.Total, true
}

// report sends a progress message to the request, if it takes any. l is held.
func (at attendance) report(l *ledger, message string) {
	if at.ctx == nil || at.ctx.Err() != nil || at.req.Session == nil {
		return
	}
	token := at.req.Params.GetProgressToken()
	if token == nil {
		return
	}
	progress, total := l.waited()
	// A host that cannot be told loses nothing but the message.
	_ = at.req.Session.NotifyProgress(at.ctx, &mcp.ProgressNotificationParams{
		ProgressToken: token, Message: message, Progress: progress, Total: total,
	})
}
