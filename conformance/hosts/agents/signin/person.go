package signin

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents"
	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents/record"
)

// A person reads what an agent shows them, and some seconds later has approved
// at the authorization server. What the agent shows to nobody they do not see,
// nor what it refused in their name.
type person struct {
	as       *authorizationServer
	progress bool // the agent shows it
	codes    bool // there is one to each link
	waits    bool // for the end of the process that has shown it
	leaves   bool // they quit the program that asks them, and go nevertheless
	record   record.Record

	mu      sync.Mutex
	sight   *record.Sighting // by which they went, or are about to
	timer   *time.Timer
	went    time.Time // when they were there
	done    time.Time // when they had approved
	failed  error
	gone    sync.WaitGroup
	decided chan struct{} // closed when they have, or could not
}

const (
	// hurry is from when they could read everything to their approval.
	hurry = 3 * time.Second
	// leisure is the same where they quit the program, which may have killed the server: another process
	// takes its turn to poll within eight seconds.
	leisure = 10 * time.Second
)

func (p *person) begin() {
	p.decided = make(chan struct{})
	p.record = record.Record{Tool: Tool, Codes: p.codes, Seen: p.sees, Answered: p.answered, Over: p.over}
}

// sees has the person on their way, if it is the first that they see.
func (p *person) sees(s *record.Sighting) {
	if s.Way == "progress" && !p.progress {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sight != nil {
		return
	}
	p.sight = s
	if !p.waits {
		p.goes()
	}
}

// over has them on their way, if the process that has ended is the one that has shown them where to go.
func (p *person) over(process int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waits && p.sight != nil && p.sight.Process == process && p.timer == nil {
		p.goes()
	}
}

// looksWhetherItLives has them on their way if the process was killed, which no recording can say. It is
// called by whoever reads the recording.
func (p *person) looksWhetherItLives() {
	p.mu.Lock()
	s, wait := p.sight, p.waits && p.timer == nil
	p.mu.Unlock()
	if wait && s != nil && !agents.Lives(s.Process) {
		p.record.Read(record.Line{At: time.Now(), Process: s.Process, From: record.Ended})
	}
}

// goes is called with the mutex held.
func (p *person) goes() {
	s, after := p.sight, hurry
	if p.leaves {
		after = leisure
	}
	p.gone.Add(1)
	p.timer = time.AfterFunc(after, func() {
		defer p.gone.Done()
		p.approve(s)
	})
}

// wait returns once they have decided, if they have seen anything, and with ctx.
func (p *person) wait(ctx context.Context) {
	p.mu.Lock()
	idle := p.sight == nil
	p.mu.Unlock()
	if idle {
		return
	}
	select {
	case <-p.decided:
	case <-ctx.Done():
	}
}

// answered stops them if the prompt by which they would go was refused: either
// it was never on a screen, or they do not want to.
func (p *person) answered(q *record.Prompt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case q.Answer == "accept", p.sight == nil, p.sight.Prompt != q, p.leaves && !q.Automatic():
	case p.timer == nil:
		p.sight = nil
	case p.timer.Stop():
		p.gone.Done()
		p.sight, p.timer = nil, nil
	}
}

// approve goes to the authorization server and approves, through its pages.
func (p *person) approve(s *record.Sighting) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	went := time.Now()
	err := p.visit(ctx, s)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.went, p.done, p.failed = went, time.Now(), err
	close(p.decided)
}

func (p *person) visit(ctx context.Context, s *record.Sighting) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	browser := &http.Client{Jar: jar, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.as.trust, MinVersion: tls.VersionTLS12}}}
	defer browser.CloseIdleConnections()
	if p.codes {
		return fakeas.Visit(ctx, browser, s.URL, s.Code, true)
	}
	back, err := fakeas.VisitAuthorization(ctx, browser, s.URL, "", true)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, back, nil)
	if err != nil {
		return errors.New("not an address: where the authorization server sends them")
	}
	resp, err := browser.Do(r)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
