package lazyauth

import (
	"sync"
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
type ledger struct {
	mu    sync.Mutex
	last  float64
	total float64
	begun bool
}

// waited returns the progress of a message about waiting.
func (l *ledger) waited() (progress, total float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last += progressStep
	l.begun = true
	return l.last, l.total
}

// worked corrects what the handler reports if more was reported already.
func (l *ledger) worked(p *mcp.ProgressNotificationParams) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.begun && p.Progress <= l.last {
		p.Progress = l.last + progressStep/1000
	}
	l.last, l.total, l.begun = p.Progress, p.Total, true
}

// report sends a progress message to the request, if it takes any. The caller sees to
// it that the request is not answered meanwhile.
func (at attendance) report(l *ledger, message string) {
	if at.ctx == nil || at.ctx.Err() != nil {
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
